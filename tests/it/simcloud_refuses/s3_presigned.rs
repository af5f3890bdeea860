//! Signatures in the query.

use std::time::SystemTime;

use super::{Row, call, check_s3, cloud, signer};
use crate::simcloud_wire::{AwsSigner, minutes};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn presigned_requests_to_s3() {
    let cloud = cloud().await;
    let right = |method: &str| call(&cloud, method, "/photos/a%20b%2Bc");
    let sign = signer(&cloud);
    let at = |when: SystemTime| AwsSigner {
        when,
        ..sign.clone()
    };
    let with = |from: &str, to: &str| {
        let mut call = sign.presign(right("GET"), "60");
        assert!(call.target.contains(from), "{} lacks {from}", call.target);
        call.target = call.target.replace(from, to);
        call
    };
    let query = "AuthorizationQueryParametersError";
    let rows: Vec<Row<'_>> = vec![
        (
            "the right request",
            sign.presign(right("GET"), "60"),
            200,
            "",
        ),
        (
            "an unsigned range",
            sign.presign(right("GET"), "60")
                .header("range", "bytes=0-0"),
            206,
            "",
        ),
        (
            "HEAD with a signature for GET",
            {
                let mut call = sign.presign(right("GET"), "60");
                call.method = "HEAD".into();
                call
            },
            403,
            "",
        ),
        (
            "HEAD with its own",
            sign.presign(right("HEAD"), "60"),
            200,
            "",
        ),
        (
            "expired",
            at(cloud.now() - minutes(2)).presign(right("GET"), "60"),
            403,
            "AccessDenied",
        ),
        (
            "not valid yet",
            at(cloud.now() + minutes(20)).presign(right("GET"), "60"),
            403,
            "AccessDenied",
        ),
        (
            "life of a week",
            sign.presign(right("GET"), "604800"),
            200,
            "",
        ),
        (
            "life over a week",
            sign.presign(right("GET"), "604801"),
            400,
            query,
        ),
        ("no life", sign.presign(right("GET"), "0"), 400, query),
        (
            "life lengthened",
            with("Expires=60", "Expires=600"),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "another key",
            with("/photos/a", "/photos/A"),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "signature cut off",
            {
                let mut call = sign.presign(right("GET"), "60");
                let end = call.target.find("&X-Amz-Signature").unwrap();
                call.target.truncate(end);
                call
            },
            400,
            query,
        ),
        (
            "a parameter added",
            with("X-Amz-Algorithm", "response-expires=0&X-Amz-Algorithm"),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "wrong region",
            AwsSigner {
                region: "eu-west-1".into(),
                ..sign.clone()
            }
            .presign(right("GET"), "60"),
            400,
            query,
        ),
        (
            "both ways at once",
            sign.sign(sign.presign(right("GET"), "60")),
            400,
            "InvalidArgument",
        ),
        (
            "archived object",
            sign.presign(call(&cloud, "GET", "/photos/cold"), "60"),
            403,
            "InvalidObjectState",
        ),
    ];
    check_s3(&cloud, rows).await;
}
