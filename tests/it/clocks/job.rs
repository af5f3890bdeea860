//! A job that the program submits by one clock, and whose objects are copied by another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_credential_types::Credentials as Keys;
use blobfleet::board::{self, Board};
use blobfleet::broker::Broker;
use blobfleet::broker::embedded::EmbeddedBroker;
use blobfleet::clients::{Clients, Login};
use blobfleet::clock::Clock;
use blobfleet::copier::{Copier, Speed};
use blobfleet::destination::url::DestinationUrl;
use blobfleet::http::{Roots, Transport};
use blobfleet::job::{JobEnd, JobId};
use blobfleet::lister::Lister;
use blobfleet::metrics::{Metrics, Role as Program};
use blobfleet::prompt::Prompter;
use blobfleet::reporter::{LedgerHandle, Reporter};
use blobfleet::retry::RetryPolicy;
use blobfleet::source::credentials::Credentials;
use simcloud::{ACCESS_KEY, ACCOUNT, Action, OpKind, SECRET_KEY};
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::harness::{Invocation, World};

/// Between two looks at something that another process changes.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A job that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// Has the program submit the job, and kills it before its first page is answered. `looks` pages
/// are asked for before that.
pub(super) async fn submit(world: &World, copy: &Invocation, looks: u64) {
    let gate = Gate::default();
    let held = gate.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::ListObjects if op.number > looks => held.action(),
        _ => Action::Pass,
    });
    let written = world.cloud.write_totals(ACCOUNT);
    let mut running = copy.start();
    let asked = async {
        while world.cloud.requests(OpKind::ListObjects) <= looks {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = asked => {}
        never = running.must_not_end() => never,
    }
    assert!(running.kill().await, "it had ended by itself");
    assert_eq!(world.cloud.write_totals(ACCOUNT), written);
    world.cloud.clear_hook();
    gate.open();
}

/// The folder of the one job.
pub(super) fn folder(world: &World) -> PathBuf {
    let mut folders = world.job_folders();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

fn job_of(folder: &Path) -> JobId {
    JobId::new(folder.file_name().unwrap().to_str().unwrap())
}

/// How the job of a folder has ended.
pub(super) async fn ended(folder: &Path) -> JobEnd {
    let broker = EmbeddedBroker::open(folder).unwrap();
    let jobs = board::read(&*broker).await.unwrap();
    jobs.get(&job_of(folder)).unwrap().end.clone().unwrap()
}

/// Who copies.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// An access key, and the account's key.
    Keys,
    /// Nobody, and this SAS.
    AnonymousWithSas(String),
}

/// The environment of whoever has the account's key, which is the same in every cloud.
static ACCOUNT_KEY: OnceLock<String> = OnceLock::new();

fn environment(name: &str) -> Option<String> {
    match name {
        "AZURE_STORAGE_ACCOUNT" => Some(ACCOUNT.to_owned()),
        "AZURE_STORAGE_KEY" => ACCOUNT_KEY.get().cloned(),
        _ => None,
    }
}

/// The clouds for somebody whose clock is so many seconds ahead of this machine's.
fn clients(world: &World, identity: &Identity, ahead: i64) -> (Clients, Clock) {
    let system = Clock::system();
    let clock = Clock::new(move || {
        let shift = Duration::from_secs(ahead.unsigned_abs());
        match ahead < 0 {
            true => system.now() - shift,
            false => system.now() + shift,
        }
    });
    let http = Transport::new(&Roots::Only(Vec::new()), Duration::from_secs(60)).unwrap();
    let (credentials, given) = match identity {
        Identity::Keys => {
            ACCOUNT_KEY.get_or_init(|| world.cloud.account_key(ACCOUNT));
            let keys = Keys::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
            (Credentials::from_provider(keys, clock.clone()), None)
        }
        Identity::AnonymousWithSas(sas) => {
            let url = format!("{}/target?{sas}", world.cloud.blob_url(ACCOUNT));
            let given = DestinationUrl::parse(&url).unwrap();
            (Credentials::anonymous(), Some(given))
        }
    };
    let env = environment;
    let login = Login { given, env };
    let clients = Clients::new(http, credentials, login, clock.clone());
    (clients, clock)
}

/// Waits until the log tells that the job has ended.
async fn end_of(mut board: Board, job: &JobId) -> JobEnd {
    loop {
        let known = board.jobs().get(job).and_then(|job| job.end.clone());
        if let Some(end) = known {
            return end;
        }
        assert!(board.changed().await, "nobody follows the log any more");
    }
}

/// Works on the submitted job to its end, by a clock that is so many seconds ahead of this
/// machine's.
pub(super) async fn work(
    (world, folder): (&World, &Path),
    identity: &Identity,
    ahead: i64,
) -> JobEnd {
    let broker: Arc<dyn Broker> = EmbeddedBroker::open(folder).unwrap();
    let stop = CancellationToken::new();
    let followed = Board::follow(broker.clone(), stop.clone()).await;
    let (board, following) = followed.unwrap();
    let metrics = Metrics::new(Program::Copy).unwrap();
    let (clients, clock) = clients(world, identity, ahead);
    let reporter = Reporter {
        broker: broker.clone(),
        board: board.clone(),
        ledger: LedgerHandle::open(folder).unwrap(),
        metrics: metrics.clone(),
        clock,
        adopt: false,
    };
    let lister = Lister {
        broker: broker.clone(),
        board: board.clone(),
        clients: clients.clone(),
        metrics: metrics.clone(),
        concurrency: 8,
        retry: RetryPolicy::default(),
    };
    let copier = Copier {
        broker: broker.clone(),
        board: board.clone(),
        clients,
        metrics,
        speed: Speed {
            concurrency: 16,
            hold: Duration::ZERO,
            pace: None,
        },
        retry: RetryPolicy {
            base: Duration::from_millis(50),
            ..RetryPolicy::default()
        },
        prompter: Prompter::nobody(),
        many_jobs: false,
    };
    let roles = [
        tokio::spawn(reporter.run(stop.clone())),
        tokio::spawn(lister.run(stop.clone())),
        tokio::spawn(copier.run(stop.clone())),
        following,
    ];
    let job = job_of(folder);
    let end = tokio::time::timeout(LONGEST, end_of(board, &job)).await;
    let end = end.unwrap();
    stop.cancel();
    for role in roles {
        role.await.unwrap().unwrap();
    }
    // Only now: whoever reads the log is told of it.
    broker.close().await.unwrap();
    end
}
