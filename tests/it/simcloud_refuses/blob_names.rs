//! Names of containers and blobs, and metadata.

use simcloud::ACCOUNT;

use super::{blob, check_blob, put, send, with_box};
use crate::simcloud_wire::{encode, minutes};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn names_and_metadata() {
    let cloud = with_box().await;
    let container = |name: &str| put(&format!("/{name}?restype=container"));
    let metadata = |name: &str, value: &str| blob("b").header(&format!("x-ms-meta-{name}"), value);
    let long = encode(&"ä".repeat(1024));
    let longer = encode(&"ä".repeat(1025));
    let (deep, deeper) = ("a/".repeat(253) + "b", "a/".repeat(254) + "b");
    let (half, less) = ("v".repeat(4096), "v".repeat(4095));
    let rows = vec![
        ("a new container", container("crate"), 201, ""),
        (
            "a container that is there",
            container("box"),
            409,
            "ContainerAlreadyExists",
        ),
        ("upper case", container("Crate"), 400, "InvalidResourceName"),
        (
            "two hyphens",
            container("cra--te"),
            400,
            "InvalidResourceName",
        ),
        ("a dot", container("cra.te"), 400, "InvalidResourceName"),
        ("two letters", container("cr"), 400, "OutOfRangeInput"),
        (
            "blob in no container",
            put("/nobox/b")
                .header("x-ms-blob-type", "BlockBlob")
                .body(b""),
            404,
            "ContainerNotFound",
        ),
        ("1,024 characters", blob(&long), 201, ""),
        ("1,025 characters", blob(&longer), 400, "OutOfRangeInput"),
        ("254 segments", blob(&deep), 201, ""),
        ("255 segments", blob(&deeper), 400, "InvalidResourceName"),
        (
            "a control character",
            blob("a%07b"),
            400,
            "InvalidResourceName",
        ),
        ("good metadata", metadata("_Key1", "v"), 201, ""),
        (
            "metadata with a hyphen",
            metadata("a-b", "v"),
            400,
            "InvalidMetadata",
        ),
        (
            "metadata that starts with a digit",
            metadata("1a", "v"),
            400,
            "InvalidMetadata",
        ),
        (
            "metadata without a name",
            metadata("", "v"),
            400,
            "EmptyMetadataKey",
        ),
        (
            "metadata twice",
            metadata("a", "v").header("x-ms-meta-A", "w"),
            400,
            "InvalidMetadata",
        ),
        (
            "8 KiB of metadata",
            metadata("a", &less).header("x-ms-meta-b", &less),
            201,
            "",
        ),
        (
            "more than that",
            metadata("a", &half).header("x-ms-meta-b", &less),
            400,
            "MetadataTooLarge",
        ),
        (
            "eleven tags",
            blob("b").header("x-ms-tags", &["a=1"; 11].join("&")),
            400,
            "TagsTooLarge",
        ),
        (
            "unknown tier",
            blob("b").header("x-ms-access-tier", "Lukewarm"),
            400,
            "InvalidHeaderValue",
        ),
    ];
    // Metadata twice cannot be signed with the plain signer's one value per name.
    let (twice, rows): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.0 == "metadata twice");
    check_blob(&cloud, rows).await;
    let sas = cloud.sas(ACCOUNT, "rwdlc", cloud.now() + minutes(5));
    let mut call = twice.into_iter().next().unwrap().1;
    call.target.push_str(&format!("?{sas}"));
    assert_eq!(send(&cloud, call).await.code(), "InvalidMetadata");
}
