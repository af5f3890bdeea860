//! Files of lines: what is wrong with one is named by flag, file and line, before anything is asked.

use simcloud::OpKind;
use tempfile::TempDir;

use super::run::{Ended, World};

async fn with_file(world: &World, line: &str, content: &[u8]) -> Ended {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("FILE"), content).unwrap();
    world.run_in(line, &[], home.path()).await
}

#[tokio::test]
async fn a_file_that_makes_no_sense_is_named_with_its_line() {
    let world = World::start().await;
    let files = "blobfleet copy s3://photos {blob}/cont --recursive --list-of-files FILE";
    let versions = "blobfleet copy s3://photos/a.jpg {blob}/cont --list-of-versions FILE";
    let map = "blobfleet copy s3://p* {blob} --recursive --container-map FILE";
    for (line, content, parts) in [
        (
            files,
            &b"a\nb\xff\n"[..],
            &["--list-of-files: line 2 is not UTF-8"][..],
        ),
        (files, b"\n\r\n", &["--list-of-files", "without a line"]),
        (
            versions,
            b"v1\n\xff",
            &["--list-of-versions: line 2 is not UTF-8"],
        ),
        (versions, b"", &["--list-of-versions", "without a line"]),
        (
            versions,
            b"a:b\na-b\n",
            &["--list-of-versions: a:b and a-b", "one name"],
        ),
        (
            map,
            b"photos,pics\npapers\n",
            &["--container-map: line 2 is no BUCKET,CONTAINER"],
        ),
        (
            map,
            b"photos,a-a\nphotos,b-b",
            &["line 2 names the bucket photos again"],
        ),
        (map, b"\xff", &["--container-map: line 1 is not UTF-8"]),
        (
            map,
            b"photos,My_Pics",
            &["--container-map", "bucket photos", "lower-case", "choose"],
        ),
        (
            map,
            b"photos,same\npapers,same",
            &["--container-map", "bucket papers", "photos", "same"],
        ),
    ] {
        let ended = with_file(&world, line, content).await;
        assert_eq!(ended.code, Some(2), "{parts:?}: {ended:?}");
        for part in parts {
            assert!(ended.error().contains(part), "{part}: {ended:?}");
        }
    }
    for kind in [
        OpKind::ListBuckets,
        OpKind::HeadBucket,
        OpKind::CreateContainer,
    ] {
        assert_eq!(world.cloud.requests(kind), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_list_of_versions_needs_one_object() {
    let world = World::start().await;
    for (rest, part) in [
        ("s3://photos {blob}/cont --recursive", "one object"),
        ("s3://photos/dir/ {blob}/cont --recursive", "one object"),
        ("s3://photos/dir/* {blob}/cont", "one object"),
        ("s3:// {blob} --recursive", "one object"),
        (
            "https://s3.amazonaws.com/photos/a.jpg?versionId=1 {blob}/cont",
            "versionId",
        ),
        (
            "s3://photos/a.jpg {blob}/cont --include-path a",
            "--include-path",
        ),
        ("s3://photos/a.jpg {blob}", "name a container"),
    ] {
        let line = format!("blobfleet copy {rest} --list-of-versions FILE");
        let ended = with_file(&world, &line, b"v1").await;
        assert_eq!(ended.code, Some(2), "{rest}: {ended:?}");
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
}

/// A bucket that is mapped to another's own container would hide that one's blobs.
#[tokio::test]
async fn a_map_into_another_buckets_container_is_refused() {
    let world = World::start().await;
    let line = "blobfleet copy s3://p* {blob} --recursive --container-map FILE";
    let ended = with_file(&world, line, b"photos,papers").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for part in [
        "--container-map",
        "bucket photos",
        "the bucket papers goes to",
    ] {
        assert!(ended.error().contains(part), "{part}: {ended:?}");
    }
    assert!(world.cloud.containers(simcloud::ACCOUNT).is_empty());
}
