//! A fleet's programs start together, and none of them is the first.

use blobfleet::broker::Broker;
use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::message::{Envelope, Headers};
use tokio::task::JoinSet;

use crate::rabbitmq;

/// RabbitMQ refuses the first records of a stream that another program is just declaring.
#[tokio::test]
async fn programs_that_start_together_share_a_log_that_was_not_there() {
    for _ in 0..4 {
        let prefix = rabbitmq::prefix();
        let mut starting = JoinSet::new();
        for _ in 0..6 {
            starting.spawn(start(prefix.clone()));
        }
        let most = starting.join_all().await.into_iter().max();
        assert_eq!(most, Some(6));
    }
}

/// Writes one record and says how many the log has then.
async fn start(prefix: String) -> usize {
    let options = AmqpOptions {
        prefix,
        ..AmqpOptions::default()
    };
    let broker = AmqpBroker::connect(&rabbitmq::url(), options)
        .await
        .unwrap();
    let record = Envelope {
        headers: Headers::default(),
        body: b"x".as_slice().into(),
    };
    broker.append(record).await.unwrap();
    let log = broker.read_log().await.unwrap();
    broker.close().await.unwrap();
    log.len()
}
