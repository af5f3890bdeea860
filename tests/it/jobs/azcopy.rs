//! `--output-type=azcopy-json` beside what AzCopy itself prints of the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use simcloud::{ACCOUNT, Action, Config, Object, OpKind};

use super::{jobs, lines};
use crate::azcopy;
use crate::harness::{Invocation, World};

const OURS: &str = "--output-type=azcopy-json";

/// Kinds of message, and of each the kinds of its values by their paths.
type Shape = BTreeMap<String, BTreeMap<String, BTreeSet<&'static str>>>;

/// Reads messages; their content is JSON in most of them.
fn shape(stdout: &str) -> Shape {
    let mut shape = Shape::new();
    for line in stdout.lines().filter(|line| !line.is_empty()) {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let paths = shape
            .entry(message["MessageType"].as_str().unwrap().to_owned())
            .or_default();
        add(paths, "", &message);
        let content = message["MessageContent"].as_str().unwrap();
        match serde_json::from_str::<Value>(content) {
            Ok(content) => add(paths, "content", &content),
            Err(_) => {
                paths.entry("text".to_owned()).or_default().insert("text");
            }
        }
    }
    shape
}

fn add(paths: &mut BTreeMap<String, BTreeSet<&'static str>>, path: &str, value: &Value) {
    let kind = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                add(paths, &format!("{path}.{name}"), value);
            }
            "object"
        }
        Value::Array(items) => {
            items
                .iter()
                .for_each(|item| add(paths, &format!("{path}[]"), item));
            "list"
        }
        Value::String(text) if text.parse::<f64>().is_ok() => "number in text",
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    paths.entry(path.to_owned()).or_default().insert(kind);
}

/// Fails unless ours has the messages and fields of AzCopy's, of the same kinds. AzCopy's lists
/// are null or empty as it happens; `IsHardlink` is in its later versions.
fn assert_same_shape(ours: &str, azcopys: &str) {
    let (ours_shape, azcopys_shape) = (shape(ours), shape(azcopys));
    let types = |shape: &Shape| shape.keys().cloned().collect::<Vec<_>>();
    assert_eq!(types(&ours_shape), types(&azcopys_shape), "{ours}");
    for (kind, azcopys) in azcopys_shape {
        let ours = &ours_shape[&kind];
        for (path, kinds) in &azcopys {
            let Some(found) = ours.get(path) else {
                // The items of a list that ours shows in another message.
                assert!(path.contains("Transfers[]"), "{kind}: {path} is missing");
                continue;
            };
            let known = |one: &&&str| kinds.contains(**one) || **one == "null" || **one == "list";
            let strange: Vec<_> = found.iter().filter(|one| !known(one)).collect();
            assert!(
                strange.is_empty(),
                "{kind}: {path}: {found:?} for {kinds:?}"
            );
        }
        for path in ours.keys() {
            let known = azcopys.contains_key(path)
                || path.ends_with(".IsHardlink")
                || path.contains("Transfers[]");
            assert!(known, "{kind}: AzCopy has no {path}");
        }
    }
}

async fn world() -> World {
    let config = Config {
        tls: true,
        ..Config::default()
    };
    let world = World::start(config).await;
    world.cloud.add_bucket("holiday", "eu-west-1");
    for (seed, key) in (0..).zip(["a", "b", "c"]) {
        let object = Object::generated(seed, 3000);
        world.cloud.put_object("holiday", key, object);
    }
    world
}

fn copy(world: &World) -> Invocation {
    world.copy("s3://holiday/*", "holiday").args([OURS])
}

/// The content of the one message of a kind.
fn content(messages: &[Value], kind: &str) -> Value {
    let mut of = messages.iter().filter(|it| it["MessageType"] == kind);
    let content = of.next_back().unwrap_or_else(|| panic!("no {kind}"));
    serde_json::from_str(content["MessageContent"].as_str().unwrap()).unwrap()
}

/// AzCopy's own arguments for the copy, its home, and the last message of a run.
struct Theirs {
    home: tempfile::TempDir,
    destination: String,
}

impl Theirs {
    fn new(world: &World) -> Self {
        let end = world.cloud.now() + Duration::from_secs(3600);
        let sas = world.cloud.sas(ACCOUNT, "rwdlac", end);
        Self {
            home: tempfile::tempdir().unwrap(),
            destination: format!("{}/holiday?{sas}", world.cloud.blob_url(ACCOUNT)),
        }
    }

    async fn run(&self, world: &World, arguments: &[&str]) -> String {
        let arguments = [arguments, &["--output-type=json"]].concat();
        let output = azcopy::run(&world.cloud, self.home.path(), &arguments).await;
        String::from_utf8(output.stdout).unwrap()
    }

    async fn copy(&self, world: &World) -> String {
        let source = "https://s3.eu-west-1.amazonaws.com/holiday/*";
        let flags = ["copy", source, &self.destination, "--from-to=S3Blob"];
        self.run(world, &flags).await
    }
}

fn end_of(stdout: &str) -> Value {
    let messages: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    content(&messages, "EndOfJob")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_failures_reads_as_azcopys() {
    let world = world().await;

    let theirs = Theirs::new(&world).copy(&world).await;
    let ours = copy(&world).run().await;

    assert_eq!(ours.code(), Some(0), "{ours:?}");
    assert_same_shape(&ours.stdout, &theirs);
    let (ours, theirs) = (end_of(&ours.stdout), end_of(&theirs));
    let differ = ["JobID", "AverageIOPS", "AverageE2EMilliseconds"];
    for (field, value) in theirs.as_object().unwrap() {
        if !differ.contains(&field.as_str()) {
            assert_eq!(ours[field], *value, "{field}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_failures_and_its_records_read_as_azcopys() {
    let world = world().await;
    world.cloud.on_request(|op| match op.kind {
        OpKind::PutBlobFromUrl if op.name == "b" => Action::Fail {
            status: 409,
            code: "InvalidBlobType",
        },
        _ => Action::Pass,
    });
    let azcopy = Theirs::new(&world);

    let theirs = azcopy.copy(&world).await;
    let ours = copy(&world).run().await;

    assert_eq!(ours.code(), Some(1), "{ours:?}");
    assert_same_shape(&ours.stdout, &theirs);
    let (ours, theirs) = (end_of(&ours.stdout), end_of(&theirs));
    assert_eq!(ours["JobStatus"], "CompletedWithErrors");
    for field in ["JobStatus", "PercentComplete", "TotalBytesTransferred"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    for (field, value) in [("Completed", "2"), ("Failed", "1"), ("Skipped", "0")] {
        assert_eq!(ours[format!("Transfers{field}")], value);
    }
    let failed = &ours["FailedTransfers"][0];
    let blob = format!("{}/holiday/b", world.cloud.blob_url(ACCOUNT));
    assert_eq!(failed["Dst"], blob.as_str());
    assert_eq!(failed["Src"], format!("{}/holiday/b", world.cloud.s3_url()));
    assert_eq!(failed["TransferStatus"], "Failed");
    assert_eq!(failed["TransferSize"], 3000);

    let ids = [&ours, &theirs].map(|end| end["JobID"].as_str().unwrap());
    for command in ["list", "show ID", "show ID --with-status=Failed"] {
        let [ours, theirs] = ids.map(|id| command.replace("ID", id));
        let ours: Vec<_> = ours.split(' ').chain([OURS]).collect();
        let theirs: Vec<_> = ["jobs"].into_iter().chain(theirs.split(' ')).collect();
        let ours = jobs(&world, &ours).await;
        assert_eq!(ours.code(), Some(0), "{ours:?}");
        assert_same_shape(&ours.stdout, &azcopy.run(&world, &theirs).await);
    }
    let listed = end_of(&jobs(&world, &["list", OURS]).await.stdout);
    assert_eq!(listed["JobIDDetails"][0]["JobId"], ids[0]);
    assert_eq!(
        listed["JobIDDetails"][0]["JobStatus"],
        "CompletedWithErrors"
    );
    let removed = lines(&jobs(&world, &["remove", ids[0], OURS]).await);
    let text = format!(
        "Successfully removed log and job plan files for job {}.",
        ids[0]
    );
    assert_eq!(removed[0]["MessageContent"], text);
}

/// Essential output is the begin and the end, quiet output is none, in every format.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_levels_leave_out_what_they_say() {
    let world = world().await;
    let run = async |level: &str, kind: &str| {
        let flags = [
            format!("--output-level={level}"),
            format!("--output-type={kind}"),
        ];
        let copy = world.copy("s3://holiday", "holiday");
        let done = copy.args(flags.iter().map(String::as_str)).run().await;
        assert_eq!(done.code(), Some(0), "{done:?}");
        done
    };
    for kind in ["text", "json", "azcopy-json"] {
        assert_eq!(run("quiet", kind).await.stdout, "", "{kind}");
    }
    let json = run("Essential", "json").await;
    assert_eq!(lines(&json).len(), 1);
    json.assert_all_copied(3);
    let types: Vec<_> = lines(&run("essential", "azcopy-json").await)
        .iter()
        .map(|message| message["MessageType"].clone())
        .collect();
    assert_eq!(types, ["Init", "EndOfJob"]);
    let text = run("essential", "text").await;
    assert!(text.stdout.starts_with("Job "), "{text:?}");
    let quiet = jobs(&world, &["list", "--output-level=quiet"]).await;
    assert_eq!((quiet.code(), &*quiet.stdout), (Some(0), ""));
}

/// What keeps a job from beginning is told in a message too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_a_message() {
    let world = world().await;
    let done = world
        .copy("s3://nowhere", "holiday")
        .args([OURS])
        .run()
        .await;
    assert_eq!(done.code(), Some(1), "{done:?}");
    let messages = lines(&done);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["MessageType"], "Error");
    let text = messages[0]["MessageContent"].as_str().unwrap();
    assert_eq!(done.stderr, format!("blobfleet: {text}\n"));
    let show = jobs(&world, &["show", "xyz", OURS]).await;
    assert_eq!(show.code(), Some(1));
    assert!(
        show.stdout.contains("\"MessageType\":\"Error\""),
        "{show:?}"
    );
    assert!(show.stdout.contains("there is no job xyz"), "{show:?}");
}

/// The lists of the last message stop at a thousand; `jobs show` has them all, a page a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_bounded() {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("many", "eu-west-1");
    let bad = (0..1_500).map(|n| (format!("{n:04}."), Object::bytes("x")));
    world.cloud.put_objects("many", bad);
    world.cloud.put_object("many", "folder/", Object::bytes(""));
    let done = world.copy("s3://many", "many").args([OURS]).run().await;
    let end = content(&lines(&done), "EndOfJob");
    assert_eq!(end["TransfersFailed"], "1500");
    assert_eq!(end["FailedTransfers"].as_array().unwrap().len(), 1_000);
    assert_eq!(end["SkippedTransfers"].as_array().unwrap().len(), 1);
    let id = end["JobID"].as_str().unwrap();
    let all = lines(&jobs(&world, &["show", id, "--with-status=All", OURS]).await);
    let counts: Vec<_> = all
        .iter()
        .map(|message| {
            let text = message["MessageContent"].as_str().unwrap();
            let content: Value = serde_json::from_str(text).unwrap();
            let kind = message["MessageType"].as_str().unwrap().to_owned();
            (kind, content["Details"].as_array().unwrap().len())
        })
        .collect();
    let pages = [1_000, 500, 1].map(|count| ("ListJobTransfers".to_owned(), count));
    assert_eq!(counts[..3], pages);
    assert_eq!(counts[3..], [("EndOfJob".to_owned(), 1_000)]);
}
