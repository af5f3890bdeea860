//! Serves a simulated pair of clouds until it is interrupted:
//! `cargo run -p simcloud --example serve -- --buckets 3 --objects 1000 --size 1024`.

#![expect(
    clippy::print_stdout,
    reason = "prints what to export, for a person or a script"
)]

use std::process::ExitCode;
use std::time::Duration;

use simcloud::{ACCESS_KEY, ACCOUNT, Config, Keep, Object, Ports, Quirk, SECRET_KEY, SimCloud};

const REGIONS: &[&str] = &["us-east-1", "eu-west-1", "ap-southeast-2"];
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

struct Options {
    buckets: u64,
    objects: u64,
    size: u64,
    s3_port: u64,
    blob_port: u64,
    digests: bool,
    tls: bool,
    quirks: Vec<Quirk>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        buckets: 1,
        objects: 1000,
        size: 1024,
        s3_port: 0,
        blob_port: 0,
        digests: false,
        tls: false,
        quirks: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let target = match name.as_str() {
            "--buckets" => &mut options.buckets,
            "--objects" => &mut options.objects,
            "--size" => &mut options.size,
            "--s3-port" => &mut options.s3_port,
            "--blob-port" => &mut options.blob_port,
            "--digests" => {
                options.digests = true;
                continue;
            }
            "--quirk" => {
                let name = arguments.next().unwrap_or_default();
                options.quirks.push(name.parse()?);
                continue;
            }
            "--tls" => {
                options.tls = true;
                continue;
            }
            _ => return Err(format!("unknown option {name}")),
        };
        let value = arguments.next().and_then(|value| value.parse().ok());
        *target = value.ok_or_else(|| format!("{name} takes a number"))?;
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            println!(
                "options: --buckets N --objects N --size BYTES --s3-port N --blob-port N --digests --tls --quirk NAME"
            );
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), String> {
    let options = options()?;
    let port = |number: u64| u16::try_from(number).map_err(|_| "no such port".to_owned());
    let config = Config {
        keep: match options.digests {
            true => Keep::Digest,
            false => Keep::Bytes,
        },
        tls: options.tls,
        quirks: options.quirks.clone(),
        ports: Ports {
            s3: port(options.s3_port)?,
            blob: port(options.blob_port)?,
            tls: 0,
        },
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.map_err(|e| e.to_string())?;
    for bucket in 0..options.buckets {
        let name = format!("bucket-{bucket}");
        let region = REGIONS[bucket as usize % REGIONS.len()];
        cloud.add_bucket(&name, region);
        cloud.put_objects(
            &name,
            (0..options.objects).map(|index| {
                let object = Object::generated(bucket << 40 | index, options.size);
                (format!("folder-{}/{index:08}", index % 16), object)
            }),
        );
    }
    announce(&cloud);
    std::future::pending().await
}

fn announce(cloud: &SimCloud) {
    let sas = cloud.sas(ACCOUNT, "rwdlact", cloud.now() + WEEK);
    println!("export AWS_ACCESS_KEY_ID='{ACCESS_KEY}'");
    println!("export AWS_SECRET_ACCESS_KEY='{SECRET_KEY}'");
    println!("export AWS_ENDPOINT_URL_S3='{}'", cloud.s3_url());
    println!("export AZURE_STORAGE_ACCOUNT='{ACCOUNT}'");
    println!("export AZURE_STORAGE_KEY='{}'", cloud.account_key(ACCOUNT));
    println!("export DESTINATION='{}?{sas}'", cloud.blob_url(ACCOUNT));
    if let (Some(address), Some(pem)) = (cloud.tls_address(), cloud.ca_pem()) {
        println!("# TLS for any host name at {address}, authority:");
        println!("{pem}");
    }
}
