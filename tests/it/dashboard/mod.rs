//! The dashboard of `deploy/grafana`: its queries as Grafana would send them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::prometheus::{Prometheus, Scrape, promtool};

/// What Grafana puts for `$__rate_interval`: four scrapes and one, at a scrape a second.
const RATE_INTERVAL: &str = "5s";

/// One query of one panel, with nothing left to substitute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Query {
    /// The panel's title.
    pub(crate) panel: String,
    /// PromQL.
    pub(crate) expression: String,
}

/// Every query of every panel, for the jobs that the regular expression names.
pub(crate) fn queries(board: &Value, jobs: &str) -> Vec<Query> {
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
pub(crate) fn board() -> Value {
    let path = deployed("grafana/dashboards/blobfleet.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Queries that have had no answer so far.
#[derive(Debug)]
pub(crate) struct Unanswered(Vec<Query>);

impl Unanswered {
    /// Asks each of them once more and forgets those that give a number.
    pub(crate) async fn ask(&mut self, prometheus: &Prometheus) {
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
fn nothing_is_left_to_substitute() {
    let board = board();
    let queries = queries(&board, "one|two");
    let progress = queries
        .iter()
        .find(|query| query.panel == "Progress")
        .unwrap();
    let settled = r#"sum(blobfleet_job_objects{job=~"one|two",state=~"copied|skipped|failed"})"#;
    assert!(progress.expression.starts_with(settled), "{progress:?}");
    for query in &queries {
        assert!(!metrics(&query.expression).is_empty() || query.expression.contains("up{"));
    }
    let named: Vec<_> = variables(&board).into_iter().map(label_values).collect();
    assert_eq!(
        named,
        [("blobfleet_job_objects".to_owned(), "job".to_owned())]
    );
}
