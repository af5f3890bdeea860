//! Signatures in headers, and session tokens.

use std::time::SystemTime;

use super::{Row, TOKEN, ask, call, check_s3, cloud, session, signer};
use crate::simcloud_wire::{AwsSigner, minutes};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn signed_requests_to_s3() {
    let cloud = cloud().await;
    let right = || call(&cloud, "GET", "/photos/a%20b%2Bc");
    let sign = signer(&cloud);
    let change = |edit: &dyn Fn(&mut AwsSigner)| {
        let mut signer = sign.clone();
        edit(&mut signer);
        signer
    };
    let tampered = |from: &str, to: &str| {
        let call = sign.sign(right());
        let value = call.get("authorization").replace(from, to);
        call.replace("authorization", &value)
    };
    let when = |time: SystemTime| change(&|signer| signer.when = time);
    let rows: Vec<Row<'_>> = vec![
        ("the right request", sign.sign(right()), 200, ""),
        ("no signature", right(), 403, "AccessDenied"),
        (
            "no signature, public bucket",
            call(&cloud, "GET", "/open/a%20b%2Bc"),
            200,
            "",
        ),
        (
            "wrong secret",
            change(&|s| s.secret.push('x')).sign(right()),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "unknown key",
            change(&|s| s.access_key.push('X')).sign(right()),
            403,
            "InvalidAccessKeyId",
        ),
        (
            "signed for another key",
            {
                let mut call = sign.sign(right());
                call.target = "/photos/cold".into();
                call
            },
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "signed for another method",
            {
                let mut call = sign.sign(right());
                call.method = "HEAD".into();
                call
            },
            403,
            "",
        ),
        (
            "wrong region",
            change(&|s| s.region = "eu-west-1".into()).sign(right()),
            400,
            "AuthorizationHeaderMalformed",
        ),
        (
            "wrong service",
            change(&|s| s.service = "sqs".into()).sign(right()),
            400,
            "AuthorizationHeaderMalformed",
        ),
        (
            "14 minutes late",
            when(cloud.now() - minutes(14)).sign(right()),
            200,
            "",
        ),
        (
            "16 minutes late",
            when(cloud.now() - minutes(16)).sign(right()),
            403,
            "RequestTimeTooSkewed",
        ),
        (
            "16 minutes early",
            when(cloud.now() + minutes(16)).sign(right()),
            403,
            "RequestTimeTooSkewed",
        ),
        (
            "unsigned x-amz header",
            sign.sign(right()).header("x-amz-checksum-mode", "ENABLED"),
            403,
            "AccessDenied",
        ),
        (
            "host not signed",
            change(&|s| s.leave_out = vec!["host".into()]).sign(right()),
            403,
            "AccessDenied",
        ),
        (
            "no payload hash",
            sign.sign(right()).without("x-amz-content-sha256"),
            400,
            "InvalidRequest",
        ),
        (
            "hash of another payload",
            sign.sign(right().header("x-amz-content-sha256", &"a".repeat(64))),
            400,
            "XAmzContentSHA256Mismatch",
        ),
        (
            "no date",
            sign.sign(right()).without("x-amz-date"),
            403,
            "AccessDenied",
        ),
        (
            "credential cut",
            tampered("/s3/", "/"),
            400,
            "AuthorizationHeaderMalformed",
        ),
        (
            "other algorithm",
            tampered("AWS4-", "AWS5-"),
            400,
            "InvalidRequest",
        ),
    ];
    check_s3(&cloud, rows).await;
}

#[tokio::test]
async fn session_tokens_at_s3() {
    let cloud = cloud().await;
    let right = || call(&cloud, "GET", "/photos/a%20b%2Bc");
    let good = session(&cloud);
    let token = |token: Option<&str>| AwsSigner {
        token: token.map(Into::into),
        ..good.clone()
    };
    let stray = AwsSigner {
        token: Some(TOKEN.into()),
        ..signer(&cloud)
    };
    let rows: Vec<Row<'_>> = vec![
        ("header", good.sign(right()), 200, ""),
        ("query", good.presign(right(), "60"), 200, ""),
        (
            "other token",
            token(Some("other")).sign(right()),
            400,
            "InvalidToken",
        ),
        (
            "no token",
            token(None).sign(right()),
            403,
            "InvalidAccessKeyId",
        ),
        (
            "token with a plain key",
            stray.sign(right()),
            400,
            "InvalidToken",
        ),
    ];
    check_s3(&cloud, rows).await;
    let long = good.presign(right(), "3600");
    cloud.set_clock_ahead(11 * 60);
    let ended = ask(&cloud, long).await;
    assert_eq!(
        ended,
        (400, "ExpiredToken".into()),
        "a URL dies with its credentials"
    );
}
