//! What is particular to RabbitMQ: finding it, losing it, being refused by it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blobfleet::broker::amqp::{AmqpBroker, AmqpOptions};
use blobfleet::broker::{Broker, Queue};
use blobfleet::failure::{Reason, Remedy};
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::broker_fixture::{SOON, drain, job, message, messages, next};
use crate::rabbitmq::{self, Node};

pub(crate) fn options() -> AmqpOptions {
    AmqpOptions {
        prefix: rabbitmq::prefix(),
        settle: Duration::ZERO,
        ..AmqpOptions::default()
    }
}

pub(crate) async fn raw() -> lapin::Channel {
    let url = rabbitmq::url();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    connection.await.unwrap().create_channel().await.unwrap()
}

#[tokio::test]
async fn wrong_credentials_and_vhosts_are_refused_at_once_with_a_remedy() {
    let right = rabbitmq::url();
    for (url, hint) in [
        (right.replace("guest:guest", "guest:s3cret"), "password"),
        (right.replace("guest:guest", "s3nobody:s3cret"), "password"),
        (right.replace("%2f", "s3nowhere"), "s3nowhere"),
        (right.replace("%2f", ""), "%2f"),
    ] {
        let start = Instant::now();
        let failure = AmqpBroker::connect(&url, options()).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(10), "{url}");
        assert_eq!(failure.reason, Reason::BrokerRejected, "{url}: {failure:?}");
        assert_eq!(failure.remedy, Remedy::Stop, "{url}");
        assert!(failure.message.contains(hint), "{url}: {failure}");
        assert!(!failure.message.contains("s3cret"), "{failure}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_come_up_is_named_after_the_wait() {
    let port = Node::prepare().port();
    let options = AmqpOptions {
        wait: Duration::from_millis(1500),
        ..options()
    };
    for host in [&format!("127.0.0.1:{port}"), "no-such-host.invalid"] {
        let url = format!("amqp://u:s3cret@{host}/%2f");
        let start = Instant::now();
        let failure = AmqpBroker::connect(&url, options.clone())
            .await
            .unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(700), "{failure}");
        assert_eq!(failure.reason, Reason::BrokerUnavailable, "{failure}");
        assert_eq!(failure.remedy, Remedy::Stop);
        assert!(failure.message.contains(host), "{failure}");
        assert!(!failure.message.contains("s3cret"), "{failure}");
    }
}

/// Something that accepts connections and never says a word.
#[tokio::test]
async fn a_silent_listener_does_not_hang_us() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://u:p@{}/%2f", listener.local_addr().unwrap());
    let options = AmqpOptions {
        wait: Duration::ZERO,
        ..options()
    };
    let failure = timeout(SOON, AmqpBroker::connect(&url, options))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(failure.reason, Reason::BrokerUnavailable, "{failure}");
}

#[tokio::test]
async fn a_queue_declared_with_other_arguments_is_named_with_the_remedy() {
    let first = options();
    let broker = AmqpBroker::connect(&rabbitmq::url(), first.clone())
        .await
        .unwrap();
    broker.declare_job(&job()).await.unwrap();
    let second = AmqpOptions {
        copy_bound: first.copy_bound + 1,
        ..first.clone()
    };
    let other = AmqpBroker::connect(&rabbitmq::url(), second).await.unwrap();
    let failure = other.declare_job(&job()).await.unwrap_err();
    assert_eq!(failure.remedy, Remedy::Stop);
    let name = format!("{}{}", first.prefix, Queue::Copy(job()).name());
    assert!(failure.message.contains(&name), "{failure}");
    assert!(failure.message.contains("x-max-length"), "{failure}");
    assert!(failure.message.contains("delete it"), "{failure}");
}

/// Headers are read at the broker, by any client, whatever the body.
#[tokio::test]
async fn messages_are_persistent_and_named_by_their_headers() {
    let options = options();
    let broker = AmqpBroker::connect(&rabbitmq::url(), options.clone())
        .await
        .unwrap();
    broker.publish(&Queue::List, messages(5..6)).await.unwrap();
    let queue = format!("{}list", options.prefix);
    let found = raw()
        .await
        .basic_get(queue.into(), BasicGetOptions::default())
        .await;
    let found = found.unwrap().unwrap();
    assert_eq!(*found.properties.delivery_mode(), Some(2));
    let table = found.properties.headers().clone().unwrap();
    let text = |name: &str| match table.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    let expected = message(5).headers;
    assert_eq!(text("job"), expected.job);
    assert_eq!(text("list-task"), expected.list_task.to_string());
    assert_eq!(text("nonce"), expected.nonce.to_string());
    assert_eq!(text("index"), "5");
    assert_eq!(text("round"), "2");
    assert_eq!(text("attempt"), "5");
    assert_eq!(found.delivery.data, message(5).body);
}

/// RabbitMQ closes the connection for a frame of headers over 128 KiB, which looked like an outage.
#[tokio::test]
async fn a_key_too_long_for_headers_is_no_outage() {
    let broker = AmqpBroker::connect(&rabbitmq::url(), options())
        .await
        .unwrap();
    let mut sent = messages(0..3);
    sent[1].headers.key = "k".repeat(130_000);
    let partial = broker.publish(&Queue::List, sent).await.unwrap_err();
    assert_eq!(partial.confirmed, 1);
    assert_eq!(partial.failure.reason, Reason::BrokerRejected);
    assert_eq!(partial.failure.remedy, Remedy::GiveUp);
    broker.publish(&Queue::List, messages(2..3)).await.unwrap();
    let found = drain(&*broker, &Queue::List, 2).await;
    let numbers: Vec<_> = found.iter().map(|message| message.headers.index).collect();
    assert_eq!(numbers, [0, 2]);
}

#[tokio::test]
async fn a_message_of_somebody_else_is_delivered_with_empty_headers() {
    let options = options();
    let broker = AmqpBroker::connect(&rabbitmq::url(), options.clone())
        .await
        .unwrap();
    let (channel, queue) = (raw().await, format!("{}outcome", options.prefix));
    let plain = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    channel
        .basic_publish("".into(), queue.into(), plain, b"hello", properties)
        .await
        .unwrap();
    let found = drain(&*broker, &Queue::Outcome, 1).await;
    assert_eq!(&found[0].body[..], b"hello");
    assert_eq!(found[0].headers, blobfleet::message::Headers::default());
}

/// RabbitMQ parks what exceeds the delivery limit by dead-lettering it; here by a queue of the
/// test's own with a limit of 0 towards our `parked`.
#[tokio::test]
async fn what_rabbitmq_sets_aside_is_listed_with_its_reason() {
    let options = options();
    let broker = AmqpBroker::connect(&rabbitmq::url(), options.clone())
        .await
        .unwrap();
    let channel = raw().await;
    let name = format!("{}poison", options.prefix);
    let mut table = FieldTable::default();
    let text = |value: &str| AMQPValue::LongString(value.into());
    table.insert("x-queue-type".into(), text("quorum"));
    table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(0));
    table.insert("x-dead-letter-exchange".into(), text(""));
    let parked = format!("{}parked", options.prefix);
    table.insert("x-dead-letter-routing-key".into(), text(&parked));
    let durable = QueueDeclareOptions::durable();
    channel
        .queue_declare(name.as_str().into(), durable, table)
        .await
        .unwrap();
    let plain = BasicPublishOptions::default();
    let key = name.as_str().into();
    channel
        .basic_publish("".into(), key, plain, b"x", BasicProperties::default())
        .await
        .unwrap();
    let get = BasicGetOptions::default();
    let got = timeout(SOON, async {
        loop {
            if let Some(got) = channel.basic_get(name.as_str().into(), get).await.unwrap() {
                return got;
            }
        }
    });
    let requeue = lapin::options::BasicRejectOptions { requeue: true };
    got.await.unwrap().reject(requeue).await.unwrap();
    let mut consumer = broker.consume(&Queue::Parked, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    let why = "RabbitMQ set it aside: delivery_limit".to_owned();
    assert_eq!(delivery.parked.as_ref(), Some(&(name.clone(), why.clone())));
    drop((delivery, consumer));
    let listed = timeout(SOON, async {
        loop {
            if let [one] = &broker.parked(5).await.unwrap()[..] {
                return one.clone();
            }
        }
    });
    let listed = listed.await.unwrap();
    assert_eq!((listed.queue, listed.reason), (name, why));
}

/// The whole life of a node: not up yet, killed under a publisher and a consumer, up again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_late_or_killed_is_waited_for_and_nothing_is_lost() {
    let (broker, mut node) = connect_early().await;
    broker.declare_job(&job()).await.unwrap();
    let copy = Queue::Copy(job());
    let mut consumer = broker.consume(&copy, 4).await.unwrap();
    let mut log = broker.follow_log().await.unwrap();
    broker.append(message(77)).await.unwrap();
    assert_eq!(log.next().await.unwrap(), message(77));
    broker.publish(&copy, messages(0..10)).await.unwrap();
    let held = next(&mut consumer).await;
    let later = Duration::from_secs(1);
    next(&mut consumer)
        .await
        .again(message(50), later)
        .await
        .unwrap();

    node.kill();
    node.run();
    // A batch waits for the node, or fails so that it can be tried again.
    while let Err(refused) = broker.publish(&copy, messages(10..12)).await {
        assert_eq!(refused.failure.remedy, Remedy::Retry, "{refused:?}");
    }
    // What was put back may come once more: its acknowledgement died with the node.
    let mut missing: BTreeSet<u32> = (0..12).filter(|number| *number != 1).collect();
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await;
        let number = delivery.message.headers.index;
        assert_eq!(delivery.message, message(number));
        if delivery.ack().await.is_ok() {
            missing.remove(&number);
        }
    }
    // The delivery died with its channel.
    let refused = held.ack().await.unwrap_err();
    assert_eq!(refused.remedy, Remedy::Retry, "{refused:?}");
    assert_eq!(
        drain(&*broker, &Queue::Again(job()), 1).await,
        messages(50..51)
    );
    broker.append(message(78)).await.unwrap();
    assert_eq!(
        timeout(SOON, log.next()).await.unwrap().unwrap(),
        message(78)
    );
    assert_eq!(broker.read_log().await.unwrap(), [message(77), message(78)]);
}

/// Connects to a node that is started only then.
async fn connect_early() -> (Arc<AmqpBroker>, Node) {
    let mut node = Node::prepare();
    let options = AmqpOptions {
        wait: Duration::from_secs(90),
        ..AmqpOptions::default()
    };
    let url = node.url();
    let connecting = tokio::spawn(async move { AmqpBroker::connect(&url, options).await });
    node.run();
    (connecting.await.unwrap().unwrap(), node)
}

/// A memory alarm blocks publishers; acknowledgements go on, and after it so does everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_is_named_and_survived() {
    let node = Node::start();
    let options = AmqpOptions {
        deadline: Duration::from_secs(3),
        ..options()
    };
    let broker = AmqpBroker::connect(&node.url(), options).await.unwrap();
    broker.publish(&Queue::List, messages(0..3)).await.unwrap();
    let mut consumer = broker.consume(&Queue::List, 3).await.unwrap();
    node.control(&["set_vm_memory_high_watermark", "absolute", "1000"]);
    // Blocked only when it publishes: so the first fails for want of a confirm, the next at once.
    for _ in 0..2 {
        let refused = broker
            .publish(&Queue::List, messages(3..4))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.confirmed, refused.failure.remedy),
            (0, Remedy::Retry)
        );
        assert!(refused.failure.message.contains("alarm"), "{refused}");
    }
    next(&mut consumer).await.ack().await.unwrap();
    let stuck = next(&mut consumer)
        .await
        .again(message(9), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(stuck.remedy, Remedy::Retry);
    node.control(&["set_vm_memory_high_watermark", "0.6"]);
    let again = async { while broker.publish(&Queue::List, messages(5..6)).await.is_err() {} };
    timeout(SOON, again).await.unwrap();
    // The message that could not be put back comes again; what was not confirmed may come twice.
    let mut missing: BTreeSet<u32> = [1, 2, 5].into();
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await;
        let number = delivery.message.headers.index;
        assert_eq!(delivery.message, message(number));
        assert_ne!(number, 0, "it was acknowledged");
        delivery.ack().await.unwrap();
        missing.remove(&number);
    }
}

/// TLS with a certificate that nobody signed: refused at once, with a remedy.
#[tokio::test]
async fn an_untrusted_certificate_is_refused_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            acceptor.accept(stream).await.unwrap_err();
        }
    });
    let url = format!("amqps://u:s3cret@{address}/%2f");
    let connecting = AmqpBroker::connect(&url, options());
    let failure = timeout(Duration::from_secs(20), connecting)
        .await
        .unwrap()
        .unwrap_err();
    server.abort();
    assert_eq!(failure.reason, Reason::BrokerRejected, "{failure}");
    assert!(failure.message.contains("cannot be trusted"), "{failure}");
    assert!(failure.message.contains("CA certificate"), "{failure}");
}

/// A closed broker says so instead of connecting anew.
#[tokio::test]
async fn nothing_is_connected_after_close() {
    let broker = AmqpBroker::connect(&rabbitmq::url(), options())
        .await
        .unwrap();
    let mut consumer = broker.consume(&Queue::List, 1).await.unwrap();
    broker.close().await.unwrap();
    let refused = broker
        .publish(&Queue::List, messages(0..1))
        .await
        .unwrap_err();
    assert_eq!(refused.failure.remedy, Remedy::Stop);
    let ended = timeout(SOON, consumer.next()).await.unwrap().unwrap_err();
    assert_eq!(ended.remedy, Remedy::Stop);
}
