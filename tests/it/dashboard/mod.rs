//! The dashboard of `deploy/grafana`: its queries as Grafana would send them.

mod fleet;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::prometheus::{Prometheus, promtool};
use fleet::Fleet;

/// What Grafana puts for `$__rate_interval`: four scrapes and one, at a scrape a second.
const RATE_INTERVAL: &str = "5s";

/// One query of one panel, with nothing left to substitute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Query {
    /// The panel's title.
    panel: String,
    /// PromQL.
    expression: String,
}

/// Every query of every panel, for the jobs that the regular expression names.
fn queries(board: &Value, jobs: &str) -> Vec<Query> {
    panels(board)
        .into_iter()
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(|target| Query {
                panel: text(&panel["title"]),
                expression: substitute(&text(&target["expr"]), jobs),
            })
        })
        .collect()
}

/// The dashboard file.
fn board() -> Value {
    let path = deployed("grafana/dashboards/blobfleet.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Queries that have had no answer so far.
#[derive(Debug)]
struct Unanswered(Vec<Query>);

impl Unanswered {
    /// Asks each of them once more and forgets those that give a number.
    async fn ask(&mut self, prometheus: &Prometheus) {
        let mut left = Vec::new();
        for query in std::mem::take(&mut self.0) {
            let samples = prometheus.query(&query.expression).await;
            if !samples.iter().any(|sample| sample.value.is_finite()) {
                left.push(query);
            }
        }
        self.0 = left;
    }
}

/// All panels with queries, those folded into rows too.
fn panels(board: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for panel in board["panels"].as_array().into_iter().flatten() {
        if panel["type"] == "row" {
            found.extend(panels(panel));
        } else {
            found.push(panel);
        }
    }
    found
}

fn substitute(expression: &str, jobs: &str) -> String {
    let done = expression
        .replace("$__rate_interval", RATE_INTERVAL)
        .replace("$job", jobs);
    assert!(!done.contains('$'), "unknown variable: {done}");
    done
}

/// Selector and label of a variable that reads `label_values(selector, label)`.
fn label_values(variable: &Value) -> (String, String) {
    let query = text(&variable["query"]["query"]);
    let inner = query
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or_else(|| panic!("not a label_values query: {query}"));
    let (selector, label) = inner.rsplit_once(',').unwrap();
    (selector.trim().to_owned(), label.trim().to_owned())
}

fn variables(board: &Value) -> Vec<&Value> {
    let list = board["templating"]["list"].as_array().unwrap();
    list.iter().filter(|one| one["type"] == "query").collect()
}

fn deployed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The names an expression could take series from.
fn metrics(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .filter(|word| word.starts_with("blobfleet_"))
        .collect()
}

#[test]
fn promtool_accepts_the_configuration() {
    let config = deployed("prometheus/prometheus.yml");
    let output = promtool(&["check", "config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("SUCCESS"),
        "{said}"
    );
}

#[test]
fn the_board_is_the_one_that_is_provisioned_and_shown_first() {
    let compose = std::fs::read_to_string(deployed("../docker-compose.yml")).unwrap();
    let provider =
        std::fs::read_to_string(deployed("grafana/provisioning/dashboards/blobfleet.yml")).unwrap();
    assert!(compose.contains("./deploy/grafana/dashboards:/etc/grafana/dashboards:ro"));
    assert!(provider.contains("path: /etc/grafana/dashboards\n"));
    assert!(compose.contains("DASHBOARD_PATH: /etc/grafana/dashboards/blobfleet.json"));
    assert_eq!(board()["uid"], "blobfleet");
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let board = board();
    let mut ids = BTreeSet::new();
    for panel in panels(&board) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: id");
        assert!(text(&panel["description"]).len() > 20, "{title}: help");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}: unit"
        );
        assert!(
            !panel["targets"].as_array().unwrap().is_empty(),
            "{title}: query"
        );
        assert_eq!(
            panel["datasource"]["uid"], "${datasource}",
            "{title}: data source"
        );
    }
    assert!(ids.len() > 20, "{ids:?}");
}

#[test]
fn it_says_at_the_top_what_needs_an_operator() {
    let board = board();
    let first_row = panels(&board).into_iter().filter(|panel| {
        let top = panel["gridPos"]["y"].as_u64().unwrap();
        top < 12
    });
    let titles: BTreeSet<_> = first_row.map(|panel| text(&panel["title"])).collect();
    for title in [
        "Alerts",
        "Jobs standing still",
        "Buckets and containers held",
        "Credentials end in",
        "Not accounted for",
        "Parked",
    ] {
        assert!(titles.contains(title), "{title}: {titles:?}");
    }
}

#[test]
fn nothing_is_left_to_substitute() {
    let board = board();
    let queries = queries(&board, "one|two");
    let progress = queries
        .iter()
        .find(|query| query.panel == "Progress")
        .unwrap();
    let settled = r#"sum(blobfleet_job_objects{job_id=~"one|two",state=~"copied|skipped|failed"})"#;
    assert!(progress.expression.starts_with(settled), "{progress:?}");
    for query in &queries {
        let whose = ["up{", "ALERTS{"];
        let others = whose.iter().any(|one| query.expression.contains(one));
        assert!(
            others || !metrics(&query.expression).is_empty(),
            "{query:?}"
        );
    }
    let named: Vec<_> = variables(&board).into_iter().map(label_values).collect();
    assert_eq!(
        named,
        [("blobfleet_job_objects".to_owned(), "job_id".to_owned())]
    );
}

/// Objects of the fleet run that can be copied: enough for a dozen scrapes and more.
const OBJECTS: u64 = 4000;
/// How long the fleet run may take, on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_answers_during_a_fleet_run_and_the_totals_are_the_reporters() {
    let board = board();
    let fleet = Fleet::start(OBJECTS).await;
    let prometheus = Prometheus::start(&fleet.scrapes()).await;
    let mut submitting = fleet.submit();

    let mut unanswered = Unanswered(queries(&board, ".*"));
    let run = run_to_its_end(&fleet, &prometheus, &mut unanswered);
    let ended = tokio::time::timeout(PATIENCE, run).await;
    let job = ended.unwrap_or_else(|_| panic!("the job does not end:\n{}", fleet.said()));
    assert_eq!(unanswered.0, [], "without an answer while {job} ran");
    assert!(submitting.wait().unwrap().success(), "{}", fleet.said());

    assert_eq!(job["status"], "CompletedWithErrorsAndSkipped", "{job}");
    let counts = ["listed", "copied", "skipped", "failed"];
    let counts = counts.map(|state| job[format!("objects_{state}")].as_u64().unwrap());
    assert_eq!(counts, [OBJECTS + 2, OBJECTS, 1, 1], "{job}");
    assert_eq!(fleet.blobs(), OBJECTS);
    let id = text(&job["job_id"]);
    for variable in variables(&board) {
        let (selector, label) = label_values(variable);
        assert_eq!(
            prometheus.label_values(&selector, &label).await,
            [id.as_str()]
        );
    }
    every_metric_is_shown(&prometheus, &board).await;
    let agreed = tokio::time::timeout(PATIENCE, agreement(&prometheus, &board, &job)).await;
    assert!(
        agreed.is_ok(),
        "{job} is not {:?}",
        shown(&prometheus, &board, &id).await
    );
    for (running, expected) in [
        ("max_over_time(blobfleet_job_running[10m])", 1.0),
        ("blobfleet_job_running", 0.0),
    ] {
        let samples = prometheus.query(running).await;
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [expected], "{running}: {samples:?}");
    }
    fleet.stop();
}

/// What the roles expose is on some panel, and what the alerts watch is exposed.
async fn every_metric_is_shown(prometheus: &Prometheus, board: &Value) {
    let names = prometheus
        .label_values(r#"{__name__=~"blobfleet_.+"}"#, "__name__")
        .await;
    let exposed: BTreeSet<&str> = names.iter().map(|name| family(name)).collect();
    let queries = queries(board, ".*");
    let shown = queries.iter().flat_map(|query| metrics(&query.expression));
    let shown: BTreeSet<&str> = shown.map(family).collect();
    assert_eq!(shown, exposed);
    let alerts = std::fs::read_to_string(deployed("prometheus/alerts.yml")).unwrap();
    let watched: BTreeSet<&str> = metrics(&alerts).into_iter().map(family).collect();
    assert!(watched.is_subset(&exposed), "{watched:?} of {exposed:?}");
}

/// The histogram that a series belongs to, or the series' own name.
fn family(name: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let cut = parts.iter().find_map(|part| name.strip_suffix(part));
    cut.unwrap_or(name)
}

async fn run_to_its_end(
    fleet: &Fleet,
    prometheus: &Prometheus,
    unanswered: &mut Unanswered,
) -> Value {
    loop {
        if let Some(job) = fleet.job().await
            && job["status"] != "Running"
        {
            return job;
        }
        unanswered.ask(prometheus).await;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits for the scrape after the job's end.
async fn agreement(prometheus: &Prometheus, board: &Value, job: &Value) {
    let id = text(&job["job_id"]);
    let mut expected: Vec<f64> = ["listed", "copied", "skipped", "failed"]
        .iter()
        .map(|state| job[format!("objects_{state}")].as_f64().unwrap())
        .collect();
    expected.extend([0.0, job["bytes_copied"].as_f64().unwrap()]);
    while shown(prometheus, board, &id).await != expected {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What the dashboard's totals show.
async fn shown(prometheus: &Prometheus, board: &Value, jobs: &str) -> Vec<f64> {
    let queries = queries(board, jobs);
    let mut values = Vec::new();
    for panel in [
        "Listed",
        "Copied",
        "Skipped",
        "Failed",
        "Open",
        "Copied data",
    ] {
        let query = queries.iter().find(|query| query.panel == panel).unwrap();
        let samples = prometheus.query(&query.expression).await;
        values.extend(samples.iter().map(|sample| sample.value));
    }
    values
}
