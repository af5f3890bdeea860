//! `--relay=always` needs nothing of the destination but what Azurite has: straight into it, with
//! no bridge between. A call that has the service fetch would be answered with 501.

use crate::azurite::{self, ACCOUNT, KEY};
use crate::end_to_end_cases::{CASES, Case, Shape};
use crate::end_to_end_check::{LIMITS, expect_all, run, verdict};
use crate::{bridge, end_to_end_blobs, moto};

const BLOBFLEET: &str = env!("CARGO_BIN_EXE_blobfleet");

/// Everything in blocks of a quarter of a MiB.
const SMALL_BLOCKS: [&str; 2] = ["--put-blob-size-mb=0", "--block-size-mb=0.25"];

/// As whom the destination is asked: by a SAS, or by the account's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Sas,
    Key,
}

/// Relays a case into an Azurite of its own and compares; `check` then looks at the account too.
fn relayed(case: &Case, limits: [&str; 2], login: Login, check: impl Fn(&str)) {
    let (moto, azurite) = (moto::seeded(), azurite::start());
    let account = format!("{}/{ACCOUNT}", azurite.url);
    let state = tempfile::tempdir().unwrap();
    let (query, env) = match login {
        Login::Sas => (format!("?{}", bridge::sas()), &[][..]),
        Login::Key => (
            String::new(),
            &[
                ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
                ("AZURE_STORAGE_KEY", KEY),
            ][..],
        ),
    };
    let destination = format!("{account}/{}{query}", case.destination);
    let mut arguments = vec!["copy", case.source, &destination, "--relay=always"];
    arguments.extend(["--s3-endpoint", moto.url(), "--output-type=json"]);
    arguments.extend(["--state", state.path().to_str().unwrap()]);
    arguments.extend(limits.iter().chain(case.flags));
    let ended = run(BLOBFLEET, &arguments, env);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.summary, ended.stderr);
    let verdict = verdict(moto, &account, case.rules, true);
    expect_all(case.source, &ended.summary, &verdict);
    let (copied, relayed) = (
        &ended.summary["objects_copied"],
        &ended.summary["objects_relayed"],
    );
    assert_eq!(relayed, copied, "{limits:?} {login:?}");
    check(&account);
}

/// Of how many blocks the blob of so many bytes consists.
fn blocks(account: &str, container: &str, size: u64) -> u64 {
    let blobs = end_to_end_blobs::read(account, container, &["--blocks"]);
    let blob = blobs.iter().find(|blob| blob.size == size).unwrap();
    blob.blocks.unwrap()
}

#[test]
fn a_relayed_bucket_arrives_without_any_bridge() {
    let mut cases = CASES.iter().filter(|case| case.shape == Shape::Bucket);
    let (whole, below) = (cases.next().unwrap(), cases.next().unwrap());
    relayed(whole, LIMITS, Login::Key, |_| {});
    for (limits, login, least, most) in [
        (LIMITS, Login::Sas, 0, 4),
        (SMALL_BLOCKS, Login::Key, 4, 13),
    ] {
        relayed(below, limits, login, |account| {
            assert_eq!(blocks(account, "bucket-below", 1 << 20), least);
            assert_eq!(blocks(account, "bucket-below", (3 << 20) + 17), most);
        });
    }
}
