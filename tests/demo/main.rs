//! The demo: a simulated S3 and Blob service on this machine, and a real copy between them, by
//! the same code as `blobfleet copy`.
//!
//! `cargo run --release --example demo`

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use blobfleet::command::copy;
use blobfleet::config::{FrontCli, FrontCommand, parse};
use blobfleet::failure::{Failure, Reason};
use blobfleet::process::{self, print};
use blobfleet::source::credentials::Credentials;

use simcloud::{ACCESS_KEY, ACCOUNT, Config, Keep, Object, SECRET_KEY, SimCloud};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const HOUR: Duration = Duration::from_secs(3600);

/// How many objects of which size.
type Classes = &'static [(u64, u64)];

/// Bucket, region, and what is in it.
const BUCKETS: &[(&str, &str, Classes)] = &[
    (
        "demo-photos",
        "us-east-1",
        &[(1500, 40 * KIB), (60, 3 * MIB)],
    ),
    (
        "demo.logs",
        "eu-north-1",
        &[(2000, KIB), (100, 0), (20, 5 * MIB)],
    ),
    (
        "demo--archive",
        "eu-north-1",
        &[(400, 100 * KIB), (2, 300 * MIB)],
    ),
];

fn main() -> ExitCode {
    process::run(async |shutdown| {
        let config = Config {
            keep: Keep::Digest,
            ..Config::default()
        };
        let cloud = SimCloud::start(config)
            .await
            .map_err(|error| unusable(&error))?;
        let objects = fill(&cloud);
        let sas = cloud.sas(ACCOUNT, "rwdlac", cloud.now() + HOUR);
        let destination = format!("{}?{sas}", cloud.blob_url(ACCOUNT));
        let state = tempfile::tempdir().map_err(|error| unusable(&error))?;
        print(&format!(
            "Simulated here: S3 at {} with {objects} objects in {} buckets of two regions, and an \
             empty Blob account at {}.\n\n  blobfleet copy s3:// '{}?SAS' --recursive\n",
            cloud.s3_url(),
            BUCKETS.len(),
            cloud.blob_url(ACCOUNT),
            cloud.blob_url(ACCOUNT),
        ))?;
        let arguments = [
            "blobfleet",
            "copy",
            "s3://",
            &destination,
            "--recursive",
            "--s3-endpoint",
            &cloud.s3_url(),
            "--state",
            &state.path().to_string_lossy(),
        ];
        let credentials = Credentials::fixed(ACCESS_KEY, SECRET_KEY, None);
        let FrontCommand::Copy(command) = parse::<FrontCli>(arguments)
            .map_err(|error| Failure::stop(Reason::Usage, error.to_string()))?
            .command
        else {
            return Err(Failure::stop(Reason::Usage, "this is no copy"));
        };
        let code = copy::run_as(*command, Some(credentials), |_| None, shutdown).await?;
        print(&format!(
            "\nContainers made: {}",
            cloud.containers(ACCOUNT).join(", ")
        ))?;
        print("Next: README.md has the same command for your own buckets, and the fleet.")?;
        Ok(code)
    })
}

/// Puts the objects; gives how many.
fn fill(cloud: &SimCloud) -> u64 {
    let mut seed = 0;
    for (bucket, region, classes) in BUCKETS {
        cloud.add_bucket(bucket, region);
        for (count, length) in *classes {
            cloud.put_objects(
                bucket,
                (0..*count).map(|number| {
                    seed += 1;
                    let key = format!("{}/{number:05} of {count}.bin", length / KIB);
                    let object = Object::generated(seed, *length)
                        .header("content-type", "application/octet-stream")
                        .metadata("number", &number.to_string());
                    (key, object)
                }),
            );
        }
    }
    seed
}

fn unusable(error: &io::Error) -> Failure {
    Failure::stop(
        Reason::LocalState,
        format!("the demo cannot start: {error}"),
    )
}
