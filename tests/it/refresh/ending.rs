//! Credentials that nothing renews: their end is told before it comes, the job stops there, and
//! goes on under others with nothing lost.

use std::net::TcpListener;
use std::time::{Duration, UNIX_EPOCH};

use blobfleet::http::{Roots, client};
use simcloud::{ACCOUNT, Config, OpKind};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{COPY, NO_KEYS, OBJECTS, world};
use crate::bad_input::run::{Ended, World};

/// How long the first credentials live; the job takes longer.
const LIFE: Duration = Duration::from_secs(4);

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The end of one side's credentials as a process shows it; none before it serves.
async fn shown(address: &str, side: &str) -> Option<u64> {
    let http = client(&Roots::Only(Vec::new()), Duration::from_secs(5)).unwrap();
    let answer = http.get(format!("http://{address}/metrics")).send().await;
    let text = answer.ok()?.text().await.ok()?;
    let name = format!("blobfleet_credentials_expiry_timestamp_seconds{{side=\"{side}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&name))
        .map(|value| value.parse().unwrap())
}

/// Runs the copy to the end of its credentials.
async fn stopped(
    world: &World,
    (line, env): (&str, &[(&str, &str)]),
    (side, end): (&str, u64),
    home: &TempDir,
) -> Ended {
    let address = free_address();
    let line = format!("{line} --listen {address}");
    let running = world.start_in(&line, env, home.path());
    let told = async {
        while shown(&address, side).await != Some(end) {
            assert!(!running.has_ended(), "it never told {end}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    told.await;
    let other = if side == "source" {
        "destination"
    } else {
        "source"
    };
    assert_eq!(shown(&address, other).await, Some(0));
    let ended = world.ended(&line, running).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.summary()["status"], "Interrupted", "{ended:?}");
    assert!(ended.error().contains("expired"), "{ended:?}");
    let warning = format!("the {side}'s credentials end in");
    let warnings = ended.stderr.lines().filter(|line| line.contains(&warning));
    assert_eq!(warnings.count(), 1, "{ended:?}");
    let [_, copied, skipped, failed] = ended.totals();
    assert!(0 < copied && copied < OBJECTS as u64, "{ended:?}");
    assert_eq!((skipped, failed), (0, 0), "{ended:?}");
    ended
}

/// Goes on with others and compares everything.
async fn resumed(world: &World, line: &str, env: &[(&str, &str)], home: &TempDir, first: &Ended) {
    let ended = world.run_in(line, env, home.path()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let all = OBJECTS as u64;
    assert_eq!(ended.totals(), [all, all, 0, 0], "{ended:?}");
    assert_eq!(ended.summary()["job_id"], first.summary()["job_id"]);
    let (objects, blobs) = (world.cloud.objects("many"), world.cloud.blobs(ACCOUNT));
    assert_eq!(objects.len(), blobs.len());
    for ((key, content), (_, blob)) in objects.iter().zip(blobs) {
        assert!(*key == blob.name && blob.equals(content), "{key}");
    }
    assert!(world.cloud.requests(OpKind::PutBlobFromUrl) >= all);
}

#[tokio::test]
async fn a_sas_that_ends_in_mid_job() {
    let world = world(Config::default()).await;
    let home = TempDir::new().unwrap();
    let end = world.cloud.now() + LIFE;
    let sas = world.cloud.sas(ACCOUNT, "rcwl", end);
    let line = COPY.replace("/cont", &format!("/cont?{sas}"));
    let env = [("AZURE_STORAGE_KEY", "-")];
    let seconds = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = stopped(&world, (&line, &env), ("destination", seconds), &home).await;

    let line = COPY.replace("/cont", "/cont?{sas}");
    resumed(&world, &line, &env, &home, &first).await;
}

/// Keys of the environment, with the end that `aws configure export-credentials` puts beside them.
#[tokio::test]
async fn a_session_of_the_environment_that_ends_in_mid_job() {
    let world = world(Config::default()).await;
    let home = TempDir::new().unwrap();
    let end = world.cloud.now() + LIFE;
    world.cloud.add_session_key("ASIA1", "S3CR3T", "T0KEN", end);
    let told = OffsetDateTime::from(end).format(&Rfc3339).unwrap();
    let [id, secret] = NO_KEYS.map(|(name, _)| name);
    let env = [
        (id, "ASIA1"),
        (secret, "S3CR3T"),
        ("AWS_SESSION_TOKEN", "T0KEN"),
        ("AWS_CREDENTIAL_EXPIRATION", told.as_str()),
    ];
    let seconds = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = stopped(&world, (COPY, &env), ("source", seconds), &home).await;

    resumed(&world, COPY, &[], &home, &first).await;
}
