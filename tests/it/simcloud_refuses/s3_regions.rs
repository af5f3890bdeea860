//! Endpoints, regions, operations.

use super::{Row, address, call, check_s3, cloud, signer};
use crate::simcloud_wire::{AwsSigner, Call};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn regions_and_operations_of_s3() {
    let cloud = cloud().await;
    let sign = signer(&cloud);
    let at = |host: &str, method: &str, target: &str, region: &str| {
        let signer = AwsSigner {
            region: region.into(),
            ..sign.clone()
        };
        signer.sign(Call::new(method, target).header("host", host))
    };
    let service = "s3.us-east-1.amazonaws.com";
    let hosted = "oldtown.s3.eu-west-1.amazonaws.com";
    let plain = |method: &str, target: &str| sign.sign(call(&cloud, method, target));
    let rows: Vec<Row<'_>> = vec![
        (
            "virtual host",
            at(hosted, "GET", "/a%20b%2Bc", "eu-west-1"),
            200,
            "",
        ),
        (
            "older region by another's endpoint",
            at(service, "GET", "/oldtown/a", "us-east-1"),
            301,
            "PermanentRedirect",
        ),
        (
            "younger region by another's endpoint",
            at(service, "GET", "/newtown/a", "us-east-1"),
            400,
            "IllegalLocationConstraintException",
        ),
        (
            "location of any bucket, asked of us-east-1",
            at(service, "GET", "/newtown?location", "us-east-1"),
            200,
            "",
        ),
        (
            "unknown bucket",
            plain("GET", "/nowhere?list-type=2"),
            404,
            "NoSuchBucket",
        ),
        (
            "unknown key",
            plain("GET", "/photos/nothing"),
            404,
            "NoSuchKey",
        ),
        (
            "listing of version 1",
            plain("GET", "/photos?prefix=a"),
            501,
            "NotImplemented",
        ),
        (
            "parameter nobody knows",
            plain("GET", "/photos?list-type=2&colour=red"),
            501,
            "NotImplemented",
        ),
        ("upload", plain("PUT", "/photos/new"), 501, "NotImplemented"),
        (
            "foreign continuation token",
            plain("GET", "/photos?continuation-token=abc&list-type=2"),
            400,
            "InvalidArgument",
        ),
        (
            "max-keys that is no number",
            plain("GET", "/photos?list-type=2&max-keys=many"),
            400,
            "InvalidArgument",
        ),
    ];
    check_s3(&cloud, rows).await;
    let s3 = address(&cloud.s3_url());
    let head = at(service, "HEAD", "/newtown", "us-east-1").send(&s3).await;
    let region = head.header("x-amz-bucket-region");
    assert_eq!((head.status, region), (400, Some("eu-south-1")));
    let wrong = plain("GET", "/oldtown?list-type=2").send(&s3).await;
    assert_eq!(wrong.element("Region").as_deref(), Some("eu-west-1"));
    let unserved = cloud
        .refusals()
        .iter()
        .filter(|line| line.contains("501"))
        .count();
    assert_eq!(unserved, 3);
}
