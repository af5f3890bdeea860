//! Objects in archives, and their restoration.

use simcloud::{Object, SimCloud};

use super::{Row, call, check_s3, cloud, signed, signer};
use crate::simcloud_wire::Answer;

/// The part of a listing that is about one key.
fn entry(page: &Answer, key: &str) -> String {
    let text = page.text();
    let (_, entry) = text.split_once(&format!("<Key>{key}</Key>")).unwrap();
    entry.split_once("</Contents>").unwrap().0.to_owned()
}

/// What is told of an object: class and RestoreStatus of the listing, archive status and
/// restoration by HEAD, and status and body or code of GET, with the tier the refusal names.
async fn told(cloud: &SimCloud, page: &Answer, key: &str) -> Vec<String> {
    let part = |name: &str| {
        let entry = entry(page, key);
        let (_, rest) = entry.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    let target = format!("/ice/{key}");
    let head = signed(cloud, call(cloud, "HEAD", &target)).await;
    let get = signed(cloud, call(cloud, "GET", &target)).await;
    assert_eq!(
        head.header("x-amz-storage-class"),
        part("StorageClass").as_deref()
    );
    let gist = match get.status {
        200 => get.text(),
        _ => [
            Some(get.code()),
            get.element("StorageClass"),
            get.element("AccessTier"),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" "),
    };
    vec![
        part("StorageClass").unwrap(),
        part("RestoreStatus").unwrap_or_default(),
        head.header("x-amz-archive-status")
            .unwrap_or_default()
            .into(),
        head.header("x-amz-restore").unwrap_or_default().into(),
        gist,
    ]
}

const ONGOING: &str = "ongoing-request=\"true\"";
const DONE: &str = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2040 00:00:00 GMT\"";
const IN_PROGRESS: &str = "<IsRestoreInProgress>true</IsRestoreInProgress>";
const FINISHED: &str = "<IsRestoreInProgress>false</IsRestoreInProgress>\
                        <RestoreExpiryDate>2040-12-21T00:00:00.000Z</RestoreExpiryDate>";

#[tokio::test]
async fn archived_objects() {
    let cloud = cloud().await;
    cloud.add_bucket("ice", "us-east-1");
    let of = |class: &str| Object::bytes("ice").storage_class(class);
    let tier = |status: &str| of("INTELLIGENT_TIERING").archive_status(status);
    let refusal = |of: &str| format!("InvalidObjectState {of}");
    let (deep, tiering) = ("DEEP_ARCHIVE", "INTELLIGENT_TIERING");
    let (access, deepest) = ("ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS");
    let (in_access, in_deepest) = (
        format!("{tiering} {access}"),
        format!("{tiering} {deepest}"),
    );
    let rows = [
        (of("GLACIER"), ["GLACIER", "", "", "", &refusal("GLACIER")]),
        (of(deep), [deep, "", "", "", &refusal(deep)]),
        (
            of(deep).restoring(),
            [deep, IN_PROGRESS, "", ONGOING, &refusal(deep)],
        ),
        (of(deep).restored(), [deep, FINISHED, "", DONE, "ice"]),
        (
            tier(access),
            [tiering, "", access, "", &refusal(&in_access)],
        ),
        (
            tier(deepest),
            [tiering, "", deepest, "", &refusal(&in_deepest)],
        ),
        (
            tier(access).restoring(),
            [tiering, IN_PROGRESS, access, ONGOING, &refusal(&in_access)],
        ),
        (of(tiering), [tiering, "", "", "", "ice"]),
        (of("GLACIER_IR"), ["GLACIER_IR", "", "", "", "ice"]),
    ];
    for (index, (object, _)) in rows.iter().enumerate() {
        cloud.put_object("ice", &index.to_string(), object.clone());
    }
    let list = || call(&cloud, "GET", "/ice?list-type=2");
    let asked = |what: &str| list().header("x-amz-optional-object-attributes", what);
    let page = signed(&cloud, asked("RestoreStatus")).await;
    for (index, (object, expected)) in rows.iter().enumerate() {
        let got = told(&cloud, &page, &index.to_string()).await;
        assert_eq!(got, expected, "{object:?}");
    }
    let plain = signed(&cloud, list()).await.text();
    assert!(!plain.contains("RestoreStatus"), "only when asked for");
    let rows: Vec<Row<'_>> = vec![(
        "an attribute there is not",
        signer(&cloud).sign(asked("RestoreStatus,Size")),
        400,
        "InvalidArgument",
    )];
    check_s3(&cloud, rows).await;
}
