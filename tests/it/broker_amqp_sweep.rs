//! No queue of a job stays behind after its end.

use std::time::Duration;

use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::broker_amqp::options;
use crate::broker_fixture::{SOON, drain, job, messages};
use crate::rabbitmq;

/// The delay queues, by their seconds.
const WAITS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 900, 3600];

/// Names of the queues of a job that are there.
async fn queues_of(options: &AmqpOptions) -> Vec<String> {
    let mut names = vec![Queue::Copy(job()).name(), Queue::Again(job()).name()];
    names.extend(WAITS.map(|seconds| format!("wait.{}.{seconds}", job())));
    let url = rabbitmq::url();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let mut found = Vec::new();
    for name in names {
        // A channel each: one is closed by asking for a queue that is not there.
        let channel = connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions::default().passive();
        let full = format!("{}{name}", options.prefix);
        let asked = channel.queue_declare(full.as_str().into(), passive, FieldTable::default());
        found.extend(asked.await.is_ok().then_some(name));
    }
    found
}

/// A copier that joins a job just as it ends makes its queues anew; they go all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_made_again_after_the_end_of_a_job_are_swept() {
    let options = AmqpOptions {
        sweep: Duration::from_secs(1),
        ..options()
    };
    let url = rabbitmq::url();
    let reporter = AmqpBroker::connect(&url, options.clone()).await.unwrap();
    let copier = AmqpBroker::connect(&url, options.clone()).await.unwrap();
    reporter.declare_job(&job()).await.unwrap();
    reporter.delete_job(&job()).await.unwrap();
    copier.declare_job(&job()).await.unwrap();
    assert_eq!(queues_of(&options).await.len(), 2 + WAITS.len());
    let gone = async {
        while !queues_of(&options).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();

    // One that begins again at the reporter itself is kept.
    reporter.declare_job(&job()).await.unwrap();
    reporter.delete_job(&job()).await.unwrap();
    reporter.declare_job(&job()).await.unwrap();
    reporter
        .publish(&Queue::Copy(job()), messages(0..1))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let kept = drain(&*reporter, &Queue::Copy(job()), 1).await;
    assert_eq!(kept, messages(0..1));

    // Whoever leaves within the minute looks once more before.
    reporter.delete_job(&job()).await.unwrap();
    copier.declare_job(&job()).await.unwrap();
    reporter.close().await.unwrap();
    assert_eq!(queues_of(&options).await, [""; 0]);
}
