//! Runs the product's programs and holds their summaries against what arrived.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use blobfleet::job::JobId;
use blobfleet::reporter::ledger::{EndingKind, EndingLine, Ledger};
use serde_json::{Value, json};

use crate::bridge;
use crate::end_to_end_cases::Rule;
use crate::moto::Moto;
use crate::parts;

/// Small limits, so that the scenario's sizes lie on both sides of them.
pub(crate) const LIMITS: [&str; 2] = ["--put-blob-size-mb=1", "--block-size-mb=1"];

/// How long a copy may take before it is ended, as `timeout` reads it.
const LIMIT: &str = "5m";

/// A program of the product with nothing from this process's environment but PATH, the
/// credentials moto accepts, and a home without files. `before` runs it, see setpriv(1).
pub(crate) fn product(before: &[&str], program: &str, home: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(before)
        .arg(program)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "moto-asks-for-none")
        .stdin(Stdio::null());
    command
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The last line of stdout.
    pub(crate) summary: Value,
    pub(crate) stderr: String,
    /// The logs of the jobs in its state folder, where one is named.
    pub(crate) log: String,
}

/// Runs a program to its end and reads its summary.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A], env: &[(&str, &str)]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let before = [
        "--pdeathsig",
        "TERM",
        "--",
        "timeout",
        "--kill-after=10",
        LIMIT,
    ];
    let output = product(&before, program, home.path())
        .args(arguments)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    for secret in ["sig=", "moto-asks-for-none", "X-Amz-Signature"] {
        assert!(
            !stdout.contains(secret) && !stderr.contains(secret),
            "{stdout}\n{stderr}"
        );
    }
    let last = stdout.lines().last().unwrap_or_default();
    let summary = serde_json::from_str(last).unwrap_or_else(|error| {
        panic!(
            "no summary ({error}), {}\n{stdout}\n{stderr}",
            output.status
        )
    });
    Ended {
        code: output.status.code(),
        summary,
        stderr,
        log: job_logs(arguments),
    }
}

fn job_logs<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let mut after = arguments
        .iter()
        .skip_while(|word| word.as_ref() != "--state");
    let Some(state) = after.nth(1) else {
        return String::new();
    };
    let folders = std::fs::read_dir(Path::new(state).join("jobs")).into_iter();
    folders
        .flatten()
        .filter_map(|folder| std::fs::read_to_string(folder.unwrap().path().join("job.log")).ok())
        .collect()
}

/// Every object of a finished job that ended so, from the ledger in its state folder.
pub(crate) fn endings(state: &Path, summary: &Value, kind: EndingKind) -> Vec<EndingLine> {
    let job = summary["job_id"].as_str().unwrap();
    let ledger = Ledger::open_read_only(&state.join("jobs").join(job)).unwrap();
    ledger.endings(&JobId::new(job), kind, u32::MAX).unwrap()
}

/// What compare.py says of the account at this URL; `only`: no other container is there.
pub(crate) fn verdict(moto: &Moto, azurite: &str, rules: &[Rule<'_>], only: bool) -> Value {
    let rules = parts::json_file(&json!({"only": only, "rules": rules}));
    let sas = bridge::sas();
    let rules = rules.path().to_str().unwrap();
    parts::script(
        "compare.py",
        &[
            "--s3",
            moto.url(),
            "--blob",
            azurite,
            "--sas",
            &sas,
            "--rules",
            rules,
        ],
    )
}

/// Fails unless everything arrived and the summary counts exactly that.
pub(crate) fn expect_all(name: &str, summary: &Value, verdict: &Value) {
    let differences = verdict["differences"].as_array().unwrap();
    let some = &differences[..differences.len().min(5)];
    assert!(
        differences.is_empty(),
        "{name}: {} differences: {some:#?}\n{summary:#}",
        differences.len()
    );
    let skipped = verdict["markers"] != 0;
    let status = if skipped {
        "CompletedWithSkipped"
    } else {
        "Completed"
    };
    let expected = json!({
        "status": status,
        "objects_listed": verdict["objects"],
        "objects_copied": verdict["compared"],
        "objects_skipped": verdict["markers"],
        "objects_failed": 0,
        "bytes_listed": verdict["bytes"],
        "bytes_copied": verdict["bytes_compared"],
    });
    let told: Value = expected
        .as_object()
        .unwrap()
        .keys()
        .map(|key| (key.clone(), summary[key].clone()))
        .collect();
    assert_eq!(told, expected, "{name}");
    assert!(
        summary["job_id"].is_string() && summary["elapsed_seconds"].is_number(),
        "{name}"
    );
}
