//! The same job as separate processes over RabbitMQ.

use super::process::{Places, Program};

/// Runs the fleet; gives the seconds from the submit to the job's end.
pub(crate) async fn run(places: &Places, broker: &str, copiers: usize) -> f64 {
    let broker = Some(broker);
    let reporter = Program::start("reporter", &[], places, broker);
    let copiers: Vec<_> = (0..copiers)
        .map(|_| Program::start("copier", &[], places, broker))
        .collect();
    let lister = Program::start("lister", &["--wait"], places, broker);
    let seconds = lister.ended().await;
    for copier in copiers {
        copier.stop().await;
    }
    reporter.stop().await;
    seconds
}
