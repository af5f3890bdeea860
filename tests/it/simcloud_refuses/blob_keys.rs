//! Account keys, SAS and tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use simcloud::{ACCOUNT, OpKind};

use super::{Row, VERSION, blob, block, put, send, with_box};
use crate::simcloud_wire::{Call, minutes, shared_key};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn keys_tokens_and_signatures() {
    let cloud = with_box().await;
    let soon = cloud.now() + minutes(5);
    cloud.add_token(ACCOUNT, "good-token", soon);
    cloud.add_token(ACCOUNT, "old-token", cloud.now() - minutes(1));
    let key = cloud.account_key(ACCOUNT);
    let with = |call: Call, sas: &str| {
        let mark = if call.target.contains('?') { '&' } else { '?' };
        Call {
            target: format!("{}{mark}{sas}", call.target),
            ..call
        }
    };
    let all = cloud.sas(ACCOUNT, "rwdlc", soon);
    let listing = || {
        Call::new(
            "GET",
            &format!("/{ACCOUNT}/box?restype=container&comp=list"),
        )
        .header("x-ms-version", VERSION)
    };
    let container = put("/crate?restype=container");
    let bearer = |token: &str| blob("b").header("authorization", &format!("Bearer {token}"));
    let of_box = |permissions: &str| cloud.container_sas(ACCOUNT, "box", permissions, soon);
    let rows: Vec<Row<'_>> = vec![
        ("account SAS", with(blob("b"), &all), 201, ""),
        ("container SAS", with(blob("b"), &of_box("cw")), 201, ""),
        (
            "no authorisation",
            blob("b"),
            401,
            "NoAuthenticationInformation",
        ),
        (
            "unknown scheme",
            blob("b").header("authorization", "Basic YTpi"),
            400,
            "InvalidAuthenticationInfo",
        ),
        (
            "SAS without the permission",
            with(blob("b"), &cloud.sas(ACCOUNT, "rl", soon)),
            403,
            "AuthorizationPermissionMismatch",
        ),
        (
            "SAS that may create, not replace",
            with(blob("b"), &cloud.sas(ACCOUNT, "c", soon)),
            403,
            "UnauthorizedBlobOverwrite",
        ),
        (
            "the same for a new blob",
            with(blob("c"), &cloud.sas(ACCOUNT, "c", soon)),
            201,
            "",
        ),
        (
            "a block with create only",
            with(block("one", 1), &cloud.sas(ACCOUNT, "c", soon)),
            403,
            "AuthorizationPermissionMismatch",
        ),
        (
            "the same from 2026-04-06 on",
            with(
                block("one", 1).replace("x-ms-version", "2026-04-06"),
                &cloud.sas(ACCOUNT, "c", soon),
            ),
            201,
            "",
        ),
        (
            "tags without their permission",
            with(blob("b").header("x-ms-tags", "a=1"), &all),
            403,
            "AuthorizationPermissionMismatch",
        ),
        (
            "expired SAS",
            with(
                blob("b"),
                &cloud.sas(ACCOUNT, "rwdlc", cloud.now() - minutes(1)),
            ),
            403,
            "AuthenticationFailed",
        ),
        (
            "tampered SAS",
            with(blob("b"), &all.replace("sp=rwdlc", "sp=rwdlca")),
            403,
            "AuthenticationFailed",
        ),
        (
            "SAS of another container",
            with(
                blob("b"),
                &cloud.container_sas(ACCOUNT, "other", "cw", soon),
            ),
            403,
            "AuthenticationFailed",
        ),
        (
            "listing by container SAS",
            with(listing(), &of_box("l")),
            200,
            "",
        ),
        (
            "listing without its permission",
            with(listing(), &of_box("r")),
            403,
            "AuthorizationPermissionMismatch",
        ),
        (
            "a container by container SAS",
            with(
                container,
                &cloud.container_sas(ACCOUNT, "crate", "cw", soon),
            ),
            403,
            "AuthorizationFailure",
        ),
        (
            "reading may leave the version to the SAS",
            with(listing().without("x-ms-version"), &all),
            200,
            "",
        ),
        (
            "writing may not",
            with(blob("b").without("x-ms-version"), &all),
            400,
            "MissingRequiredHeader",
        ),
        ("a token", bearer("good-token"), 201, ""),
        (
            "an old token",
            bearer("old-token"),
            401,
            "InvalidAuthenticationInfo",
        ),
        (
            "a foreign token",
            bearer("any"),
            401,
            "InvalidAuthenticationInfo",
        ),
        (
            "another key",
            shared_key(blob("b"), ACCOUNT, &STANDARD.encode([1; 64]), cloud.now()),
            403,
            "AuthenticationFailed",
        ),
        (
            "a key of another account",
            shared_key(blob("b"), "other", &key, cloud.now()),
            403,
            "AuthenticationFailed",
        ),
        (
            "a late date",
            shared_key(blob("b"), ACCOUNT, &key, cloud.now() - minutes(16)),
            403,
            "AuthenticationFailed",
        ),
        (
            "a header added",
            shared_key(blob("b"), ACCOUNT, &key, cloud.now()).header("x-ms-meta-a", "b"),
            403,
            "AuthenticationFailed",
        ),
        (
            "the right key",
            shared_key(blob("b"), ACCOUNT, &key, cloud.now()),
            201,
            "",
        ),
    ];
    for (what, call, status, code) in rows {
        let answer = send(&cloud, call).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{what}: {}", answer.text());
    }
    assert_eq!(cloud.requests(OpKind::ListBlobs), 3);
}
