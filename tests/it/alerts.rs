//! The alert rules of `deploy/prometheus`, tried by promtool on made-up series.

use std::path::{Path, PathBuf};

use crate::prometheus::promtool;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

/// What a promtool command that has to succeed says.
fn succeeds(command: &[&str], path: &str) {
    let path = file(path).display().to_string();
    let output = promtool(&[command, &[&path]].concat());
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Names of the alerts, each with its rule's text.
fn alerts(rules: &str) -> Vec<(&str, &str)> {
    let rules = rules.split("- alert: ").skip(1);
    rules.map(|rule| rule.split_once('\n').unwrap()).collect()
}

#[test]
fn each_fires_on_a_bad_series_and_is_silent_on_a_good_one() {
    succeeds(&["check", "rules"], "deploy/prometheus/alerts.yml");
    succeeds(&["test", "rules"], "tests/alerts.yml");
}

#[test]
fn each_is_tried_says_how_bad_it_is_and_names_the_remedy() {
    let (rules, tried) = (
        read("deploy/prometheus/alerts.yml"),
        read("tests/alerts.yml"),
    );
    let alerts = alerts(&rules);
    assert!(alerts.len() >= 10, "{alerts:?}");
    for (name, rule) in alerts {
        assert!(name.starts_with("Blobfleet"), "{name}: the dashboard's");
        assert!(tried.contains(&format!("alertname=\"{name}\"")), "{name}");
        for field in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(field), "{name}: {field}");
        }
    }
}

#[test]
fn prometheus_loads_them() {
    let config = read("deploy/prometheus/prometheus.yml");
    assert!(config.contains("rule_files:\n  - alerts.yml\n"));
    let compose = read("docker-compose.yml");
    assert!(compose.contains("./deploy/prometheus:/etc/prometheus:ro"));
}
