//! Every metric, in one place: name, help, labels. Known label values start at 0.

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::failure::{Failure, Reason, Result};

/// Which role a process plays; decides which metrics it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All three in one process.
    Copy,
    /// Lists.
    Lister,
    /// Copies.
    Copier,
    /// Counts.
    Reporter,
}

impl Role {
    /// The role's name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Lister => "lister",
            Self::Copier => "copier",
            Self::Reporter => "reporter",
        }
    }
}

const OUTCOMES: [&str; 3] = ["copied", "skipped", "failed"];
/// The S3 and Blob calls that are counted and timed.
pub const OPERATIONS: [(&str, &str); 13] = [
    ("s3", "list_objects"),
    ("s3", "head_object"),
    ("s3", "get_object"),
    ("s3", "get_object_tagging"),
    ("blob", "put_blob"),
    ("blob", "put_block"),
    ("blob", "set_blob_tags"),
    ("blob", "put_blob_from_url"),
    ("blob", "put_block_from_url"),
    ("blob", "put_block_list"),
    ("blob", "get_block_list"),
    ("blob", "head_blob"),
    ("blob", "create_container"),
];

/// The metrics of a process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Objects that ended at this copier, by outcome.
    pub copies: IntCounterVec,
    /// Bytes this copier had copied.
    pub copied_bytes: IntCounter,
    /// Attempts that failed, by reason.
    pub attempt_failures: IntCounterVec,
    /// Answers that asked for a slower pace, by side.
    pub throttled: IntCounterVec,
    /// Bytes of these that came through this process.
    pub relayed_bytes: IntCounter,
    /// Requests by service, operation and result.
    pub requests: IntCounterVec,
    /// When credentials end, by side; 0 where they do not or are renewed.
    pub credentials_expiry: IntGaugeVec,
    /// Duration of requests by service and operation.
    pub request_seconds: HistogramVec,
    /// Objects this copier is working on.
    pub in_flight_objects: IntGauge,
    /// Requests that may be in flight: the sums over destination accounts and source buckets.
    pub in_flight_limit: IntGaugeVec,
    /// Buckets whose objects wait because all of them are denied.
    pub buckets_held: IntGauge,
    /// Containers whose objects wait because all writes are denied.
    pub containers_held: IntGauge,
    /// 1 while the fleet's broker can be reached.
    pub broker_connected: IntGauge,
    /// Pages listed, by result.
    pub pages: IntCounterVec,
    /// Objects this lister found.
    pub listed_objects: IntCounter,
    /// Outcomes folded, by outcome.
    pub outcomes: IntCounterVec,
    /// Objects of a job, by state.
    pub job_objects: IntGaugeVec,
    /// Bytes of a job, by state.
    pub job_bytes: IntGaugeVec,
    /// Failed objects of a job, by reason.
    pub job_failed_objects: IntGaugeVec,
    /// Objects of a job that are listed, but neither ended nor open; 0 unless something is wrong.
    pub job_imbalance_objects: IntGaugeVec,
    /// Whether a job runs: 1, or 0 once it has ended.
    pub job_running: IntGaugeVec,
    /// Jobs, by status.
    pub jobs: IntGaugeVec,
    /// Messages waiting, by queue.
    pub queue_messages: IntGaugeVec,
}

impl Metrics {
    /// Makes and registers what the role shows.
    ///
    /// # Errors
    /// Two metrics of one name, which is a fault of this program.
    pub fn new(role: Role) -> Result<Self> {
        let metrics = Self::unregistered().map_err(|error| broken(&error))?;
        metrics.register(role).map_err(|error| broken(&error))?;
        metrics.initialise();
        // A queue in the same process is always there.
        metrics.broker_connected.set(i64::from(role == Role::Copy));
        Ok(metrics)
    }

    fn unregistered() -> prometheus::Result<Self> {
        let copied_bytes = counter("copied_bytes_total", "bytes this copier had copied")?;
        let in_flight = gauge("in_flight_objects", "objects this copier is working on")?;
        let limit = gauges(
            "in_flight_limit",
            "requests that may be in flight, summed over accounts and buckets",
            &["side"],
        )?;
        let listed = counter("listed_objects_total", "objects this lister found")?;
        let broker_connected = gauge("broker_connected", "1 while the broker can be reached")?;
        let relayed_bytes = counter("relayed_bytes_total", "bytes that came through this copier")?;
        Ok(Self {
            relayed_bytes,
            registry: Registry::new(),
            copies: counters("copies_total", "objects that ended here", &["outcome"])?,
            copied_bytes,
            attempt_failures: counters(
                "attempt_failures_total",
                "attempts that failed",
                &["reason"],
            )?,
            throttled: counters(
                "throttled_total",
                "answers that asked for a slower pace",
                &["side"],
            )?,
            requests: counters(
                "requests_total",
                "requests to S3 and Blob",
                &["service", "operation", "result"],
            )?,
            credentials_expiry: gauges(
                "credentials_expiry_timestamp_seconds",
                "when credentials end that nothing renews, in seconds since 1970; 0 for never",
                &["side"],
            )?,
            request_seconds: request_seconds()?,
            in_flight_objects: in_flight,
            broker_connected,
            buckets_held: held("buckets")?,
            containers_held: held("containers")?,
            in_flight_limit: limit,
            pages: counters("pages_total", "pages listed", &["result"])?,
            listed_objects: listed,
            outcomes: counters("outcomes_total", "outcomes folded", &["outcome"])?,
            job_objects: gauges("job_objects", "objects of a job", &["job_id", "state"])?,
            job_bytes: gauges("job_bytes", "bytes of a job", &["job_id", "state"])?,
            job_failed_objects: gauges(
                "job_failed_objects",
                "failed objects of a job",
                &["job_id", "reason"],
            )?,
            job_imbalance_objects: gauges(
                "job_imbalance_objects",
                "objects of a job that are not accounted for",
                &["job_id"],
            )?,
            job_running: gauges("job_running", "1 for a job that has not ended", &["job_id"])?,
            jobs: gauges("jobs", "jobs", &["status"])?,
            queue_messages: gauges("queue_messages", "messages waiting", &["queue"])?,
        })
    }

    fn register(&self, role: Role) -> prometheus::Result<()> {
        let info = gauges(
            "build_info",
            "version and role of this process",
            &["version", "role"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), role.as_str()])
            .set(1);
        self.registry.register(Box::new(info))?;
        let mut shown: Vec<Box<dyn Collector>> = Vec::new();
        if matches!(role, Role::Copier | Role::Copy) {
            shown.push(Box::new(self.copies.clone()));
            shown.push(Box::new(self.copied_bytes.clone()));
            shown.push(Box::new(self.relayed_bytes.clone()));
            shown.push(Box::new(self.in_flight_objects.clone()));
            shown.push(Box::new(self.in_flight_limit.clone()));
            shown.push(Box::new(self.buckets_held.clone()));
            shown.push(Box::new(self.containers_held.clone()));
        }
        if role != Role::Copy {
            shown.push(Box::new(self.broker_connected.clone()));
        }
        if matches!(role, Role::Lister | Role::Copy) {
            shown.push(Box::new(self.pages.clone()));
            shown.push(Box::new(self.listed_objects.clone()));
        }
        if role == Role::Reporter {
            shown.push(Box::new(self.outcomes.clone()));
            shown.push(Box::new(self.job_objects.clone()));
            shown.push(Box::new(self.job_bytes.clone()));
            shown.push(Box::new(self.job_failed_objects.clone()));
            shown.push(Box::new(self.job_imbalance_objects.clone()));
            shown.push(Box::new(self.job_running.clone()));
            shown.push(Box::new(self.jobs.clone()));
            shown.push(Box::new(self.queue_messages.clone()));
        } else {
            shown.push(Box::new(self.attempt_failures.clone()));
            shown.push(Box::new(self.throttled.clone()));
            shown.push(Box::new(self.requests.clone()));
            shown.push(Box::new(self.request_seconds.clone()));
            shown.push(Box::new(self.credentials_expiry.clone()));
        }
        shown
            .into_iter()
            .try_for_each(|collector| self.registry.register(collector))
    }

    fn initialise(&self) {
        for outcome in OUTCOMES {
            self.copies.with_label_values(&[outcome]);
            self.outcomes.with_label_values(&[outcome]);
        }
        for reason in Reason::ALL {
            self.attempt_failures.with_label_values(&[reason.as_str()]);
        }
        for side in ["source", "destination"] {
            self.throttled.with_label_values(&[side]);
            self.in_flight_limit.with_label_values(&[side]);
            self.credentials_expiry.with_label_values(&[side]);
        }
        for (service, operation) in OPERATIONS {
            self.request_seconds
                .with_label_values(&[service, operation]);
            for result in ["ok", "error"] {
                self.requests
                    .with_label_values(&[service, operation, result]);
            }
        }
        for result in ["ok", "failed"] {
            self.pages.with_label_values(&[result]);
        }
        for queue in ["list", "copy", "again", "outcome", "parked"] {
            self.queue_messages.with_label_values(&[queue]);
        }
    }

    /// The text Prometheus scrapes.
    ///
    /// # Errors
    /// A metric that cannot be written as text, which is a fault of this program.
    pub fn encode(&self) -> Result<String> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|error| broken(&error))
    }

    /// Counts and times one request.
    pub fn request(&self, call: (&str, &str), seconds: f64, failure: Option<&Failure>) {
        let (service, operation) = call;
        let result = if failure.is_some() { "error" } else { "ok" };
        self.requests
            .with_label_values(&[service, operation, result])
            .inc();
        self.request_seconds
            .with_label_values(&[service, operation])
            .observe(seconds);
        match failure.map(|failure| failure.reason) {
            Some(Reason::SourceThrottled) => self.throttled.with_label_values(&["source"]).inc(),
            Some(Reason::DestinationThrottled) => {
                self.throttled.with_label_values(&["destination"]).inc();
            }
            _ => {}
        }
    }
}

fn request_seconds() -> prometheus::Result<HistogramVec> {
    let seconds = HistogramOpts::new("blobfleet_request_seconds", "duration of requests");
    let seconds = seconds.buckets(vec![
        0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 60.0, 300.0,
    ]);
    HistogramVec::new(seconds, &["service", "operation"])
}

fn counter(name: &str, help: &str) -> prometheus::Result<IntCounter> {
    IntCounter::new(format!("blobfleet_{name}"), help)
}

/// `buckets_held`, `containers_held`.
fn held(what: &str) -> prometheus::Result<IntGauge> {
    let help = format!("{what} whose objects wait because all of them are denied");
    gauge(&format!("{what}_held"), &help)
}

fn gauge(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    IntGauge::new(format!("blobfleet_{name}"), help)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(format!("blobfleet_{name}"), help), labels)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(format!("blobfleet_{name}"), help), labels)
}

fn broken(error: &prometheus::Error) -> Failure {
    Failure::stop(Reason::Internal, format!("metrics: {error}"))
}
