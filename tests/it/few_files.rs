//! A process that may open few files: it says so, does with what there is, and never panics.

use std::net::SocketAddr;
use std::time::Duration;

use simcloud::{ACCOUNT, Action, Config, Content, Object, OpKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gate::Gate;
use crate::harness::World;

const OBJECTS: u64 = 400;

async fn world() -> World {
    let world = World::start(Config::default()).await;
    world.cloud.add_bucket("photos", "eu-west-1");
    let objects = (0..OBJECTS).map(|n| (format!("k{n:03}"), Object::generated(n, 100 + n)));
    world.cloud.put_objects("photos", objects);
    world
}

fn assert_arrived(world: &World) {
    let blobs = world.cloud.blobs(ACCOUNT);
    assert_eq!(blobs.len() as u64, OBJECTS);
    for (seed, (_, blob)) in (0..).zip(blobs) {
        assert_eq!(blob.name, format!("k{seed:03}"));
        let length = 100 + seed;
        assert!(blob.equals(&Content::Generated { seed, length }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_does_with_few_files_and_says_so_once() {
    for most in [40, 64, 128] {
        let world = world().await;
        let copy = world.copy("s3://photos", "cont").with_files(most);
        let ended = copy.args(["--concurrency", "64"]).run().await;
        ended.assert_all_copied(OBJECTS);
        assert_arrived(&world);
        let lines: Vec<_> = ended.stderr.lines().collect();
        let [line] = &lines[..] else {
            panic!("{most}: one line is enough: {}", ended.stderr);
        };
        let parts = [&format!("limit of open files is {most}"), "instead of 64"];
        for part in parts.into_iter().chain(["ulimit -n", "LimitNOFILE"]) {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_few_files_nothing_is_begun() {
    let world = world().await;
    for most in [5, 6, 8, 12, 16, 20, 23] {
        let ended = world
            .copy("s3://photos", "cont")
            .with_files(most)
            .run()
            .await;
        assert_eq!(ended.code(), Some(1), "{most}: {}", ended.stderr);
        let parts = [&format!("is {most},"), "24 are needed", "ulimit -n"];
        for part in parts {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    assert!(world.job_folders().is_empty());
}

async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Connections that nobody uses take no file from the copying, and those that are served give
/// their places back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_many_connections_to_a_role_does_not_stop_its_work() {
    let world = world().await;
    let gate = Gate::default();
    let held = gate.clone();
    world.cloud.on_request(move |op| match op.kind {
        OpKind::PutBlobFromUrl => held.action(),
        _ => Action::Pass,
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let listen = address.to_string();
    let copy = world.copy("s3://photos", "cont").with_files(64);
    let mut running = copy.args(["--listen", &listen]).start();
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(connect(address).await);
    }
    running.says("more than 8 connections to --listen").await;
    gate.open();
    let ended = running.finish().await;
    ended.assert_all_copied(OBJECTS);
    assert_arrived(&world);
    assert!(!ended.stderr.contains("Too many open"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_free_again_is_given_to_the_next() {
    let metrics = blobfleet::metrics::Metrics::new(blobfleet::metrics::Role::Copy).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let address = blobfleet::serve::start(any, metrics, axum::Router::new(), stop.clone())
        .await
        .unwrap();
    for _ in 0..600 {
        let mut stream = connect(address).await;
        let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    stop.cancel();
}
