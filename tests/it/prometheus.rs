//! Debian's Prometheus on a loopback port of its own, scraping what a test names every second.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long Prometheus may take to start, or a target to be scraped.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at something that another process changes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One scrape job, named like those of `deploy/prometheus/prometheus.yml`.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// The service, e.g. `copier`.
    pub(crate) job: &'static str,
    /// Its processes, as `host:port`.
    pub(crate) targets: Vec<String>,
}

/// One series of an instant query's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    labels: Value,
    /// Its value; may be NaN or infinite.
    pub(crate) value: f64,
}

impl Sample {
    /// A label's value, empty where the series has none of that name, as in PromQL.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

/// A running Prometheus; ends with its owner.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    client: reqwest::Client,
    url: String,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one and waits until it has scraped every target.
    ///
    /// # Panics
    /// It is not installed, refuses the configuration, or a target never answers.
    pub(crate) async fn start(scrapes: &[Scrape]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, configuration(scrapes)).unwrap();
        let log = folder.path().join("log");
        let address = free_address();
        let child = spawn(folder.path(), &config, &log, &address);
        let mut this = Self {
            child,
            client: reqwest::Client::new(),
            url: format!("http://{address}"),
            _folder: folder,
        };
        this.until_ready(&log).await;
        this.until_scraped(scrapes).await;
        this
    }

    /// Evaluates an expression at this moment; a scalar becomes one sample without labels.
    ///
    /// # Panics
    /// Prometheus refuses the expression.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Sample> {
        let answer = self.ask("query", &[("query", expression)]).await;
        let result = &answer["result"];
        if answer["resultType"] == "scalar" {
            return vec![sample(&Value::Null, result)];
        }
        let series = result.as_array().unwrap();
        series
            .iter()
            .map(|one| sample(&one["metric"], &one["value"]))
            .collect()
    }

    /// The values a label has among the series that match.
    ///
    /// # Panics
    /// Prometheus refuses the selector.
    pub(crate) async fn label_values(&self, selector: &str, label: &str) -> Vec<String> {
        let path = format!("label/{label}/values");
        let answer = self.ask(&path, &[("match[]", selector)]).await;
        let values = answer.as_array().unwrap();
        values
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect()
    }

    async fn ask(&self, path: &str, pairs: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        let text = self.client.get(url).send().await.unwrap();
        let text = text.text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{pairs:?}: {text}");
        answer["data"].take()
    }

    async fn until_ready(&mut self, log: &Path) {
        let url = format!("{}/-/ready", self.url);
        let wait = async {
            loop {
                let answer = self.client.get(&url).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "prometheus ended: {}", said(log));
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, wait).await;
        assert!(in_time.is_ok(), "prometheus is not ready: {}", said(log));
    }

    async fn until_scraped(&self, scrapes: &[Scrape]) {
        let wanted: usize = scrapes.iter().map(|scrape| scrape.targets.len()).sum();
        let wait = async {
            while self.query("up == 1").await.len() < wanted {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("not every target answers: {:?}", self.query("up").await);
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs promtool, which comes with Prometheus.
///
/// # Panics
/// It is not installed.
pub(crate) fn promtool(arguments: &[&str]) -> Output {
    Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run promtool (package prometheus): {error}"))
}

fn spawn(folder: &Path, config: &Path, log: &Path, address: &str) -> Child {
    let log = std::fs::File::create(log).unwrap();
    // A test program that is killed must not leave it behind.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "prometheus"])
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run prometheus (package prometheus): {error}"))
}

/// The configuration as the deployment has it, with fixed targets and a second's pace.
fn configuration(scrapes: &[Scrape]) -> String {
    let mut text = String::from("global: {scrape_interval: 1s, scrape_timeout: 1s}\n");
    text.push_str("scrape_configs:\n");
    for Scrape { job, targets } in scrapes {
        writeln!(
            text,
            "- job_name: {job}\n  static_configs:\n  - targets: {targets:?}"
        )
        .unwrap();
    }
    text
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn sample(labels: &Value, pair: &Value) -> Sample {
    let value = pair[1].as_str().unwrap();
    Sample {
        labels: labels.clone(),
        value: value.parse().unwrap(),
    }
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

#[tokio::test]
async fn it_tells_a_value_from_nothing_and_keeps_a_jobs_id_apart_from_its_own_job() {
    let text = "# TYPE things gauge\nthings{job_id=\"copy-1\"} 7\nthings{job_id=\"copy-2\"} NaN\n";
    let metrics = axum::routing::get(move || async move { text });
    let app = axum::Router::new().route("/metrics", metrics);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let prometheus = Prometheus::start(&[Scrape {
        job: "reporter",
        targets: vec![address],
    }])
    .await;

    let found = prometheus
        .query(r#"things{job_id="copy-1",job="reporter"}"#)
        .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].label("job_id"), found[0].value), ("copy-1", 7.0));
    assert!(prometheus.query("things == NaN").await.is_empty());
    assert!(
        prometheus.query(r#"things{job_id="copy-2"}"#).await[0]
            .value
            .is_nan()
    );
    assert_eq!(prometheus.query("things_nobody_has").await, []);
    assert_eq!(
        prometheus.query("2 + 2").await,
        prometheus.query("scalar(vector(4))").await
    );
    assert_eq!(
        prometheus.label_values("things", "job_id").await,
        ["copy-1", "copy-2"]
    );
    serving.abort();
}
