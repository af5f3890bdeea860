//! State files that are damaged or of a newer version: one line says so, and they stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use simcloud::{ACCOUNT, Action, OpKind};
use tempfile::TempDir;

use super::run::World;

const COPY: &str = "blobfleet copy s3://photos {blob}/cont --recursive --output-type json";

/// A job that was interrupted after it was listed; gives its folder.
async fn interrupted(world: &World, home: &TempDir) -> PathBuf {
    world.cloud.on_request(|op| match op.kind {
        OpKind::PutBlobFromUrl => Action::Fail {
            status: 403,
            code: "AuthenticationFailed",
        },
        _ => Action::Pass,
    });
    let ended = world.run_in(COPY, &[], home.path()).await;
    assert_eq!(ended.summary()["status"], "Interrupted", "{ended:?}");
    world.cloud.clear_hook();
    let id = ended.summary()["job_id"].as_str().unwrap().to_owned();
    home.path().join(".local/state/blobfleet/jobs").join(id)
}

/// The files of the state, but for the log and what SQLite keeps beside them in memory's stead.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    named
        .filter(|(name, _)| !name.ends_with(".log") && !name.ends_with("-shm"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .filter(|(name, content)| !name.ends_with("-wal") || !content.is_empty())
        .collect()
}

fn newer(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
}

fn torn(path: &Path) {
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() / 2 / 4096 * 4096 + 100]).unwrap();
}

fn garbage(path: &Path) {
    fs::write(path, "not a database, ".repeat(4096)).unwrap();
}

fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

fn missing(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn header(path: &Path) {
    let mut content = fs::read(path).unwrap();
    for byte in &mut content[100..4096] {
        *byte ^= 0x5a;
    }
    fs::write(path, content).unwrap();
}

type Spoil = fn(&Path);

#[tokio::test]
async fn is_named_and_left_alone() {
    let world = World::start().await;
    let home = TempDir::new().unwrap();
    let folder = interrupted(&world, &home).await;
    let good = files(&folder);
    let spoils: [(&str, Spoil, &[&str]); 6] = [
        ("newer", newer, &["has version 99", "upgrade"]),
        ("torn", torn, &["damaged"]),
        ("garbage", garbage, &["damaged"]),
        ("header", header, &["damaged"]),
        ("empty", empty, &["was lost", "restore it"]),
        ("missing", missing, &["was lost", "restore it"]),
    ];
    for name in ["queue.db", "ledger.sqlite"] {
        for (how, spoil, says) in spoils {
            let path = folder.join(name);
            spoil(&path);
            let before = files(&folder);
            let ended = world.run_in(COPY, &[], home.path()).await;
            assert_eq!(ended.code, Some(1), "{name} {how}: {ended:?}");
            let error = ended.error();
            let place = folder.join(name);
            for part in says.iter().copied().chain(place.to_str()) {
                assert!(error.contains(part), "{name} {how}: {part}: {error}");
            }
            assert!(world.cloud.blobs(ACCOUNT).is_empty(), "{name} {how}");
            if how != "empty" && how != "missing" {
                let after = files(&folder);
                let same: Vec<_> = after
                    .keys()
                    .filter(|key| before[*key] != after[*key])
                    .collect();
                assert!(
                    same.is_empty() && before.len() == after.len(),
                    "{name} {how}: {same:?}"
                );
            }
            for old in files(&folder).keys() {
                fs::remove_file(folder.join(old)).unwrap();
            }
            for (name, content) in &good {
                fs::write(folder.join(name), content).unwrap();
            }
        }
    }
    let done = world.run_in(COPY, &[], home.path()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.totals(), [3, 3, 0, 0], "{done:?}");
}
