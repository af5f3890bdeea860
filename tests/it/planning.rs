//! A source in trouble while a copy is planned: the command waits a little instead of ending.

use simcloud::{ACCOUNT, Action, OpKind};

use crate::bad_input::run::{Ended, World};

/// Fails the first `times` requests of a kind, by 503 and by breaking the connection in turn.
fn trouble(world: &World, kind: OpKind, times: u64) {
    world.cloud.on_request(move |op| {
        if op.kind != kind || op.number > times {
            return Action::Pass;
        }
        match op.number % 2 {
            1 => Action::Fail {
                status: 503,
                code: "SlowDown",
            },
            _ => Action::ResetBefore,
        }
    });
}

async fn copy(world: &World, places: &str) -> Ended {
    let line = format!("blobfleet copy {places} --recursive --output-type json");
    world.run(&line, &[]).await
}

#[tokio::test]
async fn each_of_its_questions_is_asked_again() {
    for (kind, places, blobs) in [
        (
            OpKind::ListBuckets,
            "s3://ph* {blob}",
            &["a.jpg", "b.jpg", "dir/c.jpg"][..],
        ),
        (OpKind::HeadBucket, "s3://papers {blob}/cont", &["p1", "p2"]),
        (
            OpKind::ListObjects,
            "s3://papers {blob}/cont",
            &["p1", "p2"],
        ),
        (
            OpKind::HeadObject,
            "s3://photos/b.jpg {blob}/cont",
            &["b.jpg"],
        ),
        (
            OpKind::ListObjects,
            "s3://photos/dir {blob}/cont",
            &["dir/c.jpg"],
        ),
    ] {
        let world = World::start().await;
        trouble(&world, kind, 2);
        let ended = copy(&world, places).await;
        assert_eq!(ended.code, Some(0), "{kind:?}: {ended:?}");
        for part in ["slower pace", "no answer from"] {
            assert!(ended.stderr.contains(part), "{kind:?}: {part}: {ended:?}");
        }
        let count = u64::try_from(blobs.len()).unwrap();
        assert_eq!(ended.totals(), [count, count, 0, 0], "{kind:?}: {ended:?}");
        let arrived = world.cloud.blobs(ACCOUNT).into_iter();
        let names: Vec<_> = arrived.map(|(_, blob)| blob.name).collect();
        assert_eq!(names, blobs, "{kind:?}");
    }
}

/// Where S3 stays away, it is said within seconds, and after as many requests as were announced.
#[tokio::test]
async fn it_does_not_go_on_asking() {
    let world = World::start().await;
    world.cloud.on_request(|op| match op.kind {
        OpKind::ListBuckets => Action::ResetBefore,
        _ => Action::Pass,
    });
    let ended = copy(&world, "s3:// {blob}").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["no answer from", "check --s3-endpoint and the network"] {
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
    assert_eq!(ended.stderr.matches("asking again").count(), 3, "{ended:?}");
    assert_eq!(world.cloud.requests(OpKind::ListBuckets), 4);

    let refused = World::start().await;
    let ended = copy(&refused, "s3://nothere {blob}/cont").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("asking again"), "{ended:?}");
}
