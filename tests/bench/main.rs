//! Objects per second and memory of the real programs against simcloud on the same machine.
//!
//! ```text
//! cargo bench --bench throughput                    # blobfleet copy, embedded queue
//! cargo bench --bench throughput -- --broker amqp://guest:guest@127.0.0.1:5672/%2f
//!                                                   # lister, copier, reporter over RabbitMQ
//! cargo bench --bench throughput -- --objects 20000 --size 1024
//! cargo bench --bench throughput -- --programs FOLDER   # programs built elsewhere, from another commit
//! ```
//!
//! simcloud checks every signature and fetches every source over a socket; it runs in this
//! process and shares the machine's cores with what it measures. Figures are printed, not asserted.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints its figures, and ends where its set-up fails"
)]

mod fleet;
mod process;

use std::path::PathBuf;
use std::time::Duration;

use simcloud::{ACCOUNT, Config, Keep, OpKind, SimCloud};

use process::{Places, Program};

/// What is measured.
#[derive(Debug)]
struct Options {
    objects: u64,
    size: u64,
    broker: Option<String>,
    copiers: usize,
    concurrency: u64,
    /// Where the programs are; this build's own otherwise.
    programs: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options {
        objects: 100_000,
        size: 1024,
        broker: None,
        copiers: 1,
        concurrency: 2000,
        programs: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--bench" {
            continue;
        }
        let value = arguments
            .next()
            .unwrap_or_else(|| panic!("{argument} takes a value"));
        let number = || {
            value
                .parse()
                .unwrap_or_else(|_| panic!("{argument} takes a number"))
        };
        match argument.as_str() {
            "--objects" => options.objects = number(),
            "--size" => options.size = number(),
            "--copiers" => options.copiers = usize::try_from(number()).unwrap_or(1),
            "--concurrency" => options.concurrency = number(),
            "--programs" => options.programs = Some(value.into()),
            "--broker" => options.broker = Some(value),
            other => panic!("{other} is no option"),
        }
    }
    options
}

#[tokio::main]
async fn main() {
    let options = options();
    let config = Config {
        keep: Keep::Digest,
        ..Config::default()
    };
    let cloud = SimCloud::start(config).await.expect("simcloud starts");
    cloud.add_series_bucket(
        "bench",
        "us-east-1",
        "object-",
        options.objects,
        options.size,
    );
    let sas = cloud.sas(ACCOUNT, "rwdlac", cloud.now() + Duration::from_secs(86_400));
    let places = Places {
        endpoint: cloud.s3_url(),
        destination: format!("{}/bench?{sas}", cloud.blob_url(ACCOUNT)),
        state: tempfile::tempdir().expect("a temporary folder"),
        concurrency: options.concurrency,
        programs: options.programs,
    };
    println!("{} objects of {} bytes", options.objects, options.size);
    let seconds = match &options.broker {
        Some(broker) => fleet::run(&places, broker, options.copiers).await,
        None => {
            Program::start("blobfleet", &["copy"], &places, None)
                .ended()
                .await
        }
    };
    let (blobs, writes) = cloud.write_totals(ACCOUNT);
    assert_eq!(blobs, options.objects, "every object is there");
    println!("{blobs} blobs, {writes} writes, {seconds:.1} s");
    #[expect(clippy::cast_precision_loss, reason = "a printed figure")]
    let rate = options.objects as f64 / seconds;
    println!("{rate:.0} objects/s");
    for kind in OpKind::ALL {
        let requests = cloud.requests(*kind);
        if requests > 0 {
            println!("{kind:?}: {requests} requests");
        }
    }
}
