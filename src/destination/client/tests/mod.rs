//! The calls as they stand on the wire, at a loopback server.

mod names;
mod server;

use tokio::net::TcpListener;

use self::server::{Server, clock};
use super::*;
use crate::destination::sas::Sas;
use crate::failure::Happened;
use crate::http::{Roots, client};

const SAS: &str = "sv=2022-11-02&ss=b&srt=co&sp=rwlc&se=2030-01-31T12:00:00Z&sig=a%2Bb";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const SOURCE: &str = "https://b.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=c2VjcmV0";

fn source(length: u64) -> CopySource<'static> {
    CopySource {
        url: SOURCE,
        length,
        md5: None,
    }
}

const MADE: [(&str, &str); 4] = [
    ("etag", "\"0x8D1\""),
    ("last-modified", "Fri, 15 Jan 2027 08:00:01 GMT"),
    ("date", "Fri, 15 Jan 2027 08:00:02 GMT"),
    ("x-ms-content-crc64", "iJh5CoYUi64="),
];

fn full_headers() -> BlobHeaders {
    BlobHeaders {
        content_type: Some("text/plain".into()),
        cache_control: Some("no-cache".into()),
        content_encoding: Some("gzip".into()),
        content_language: Some("en".into()),
        content_disposition: Some("inline".into()),
        content_md5: Some([0; 16]),
        metadata: vec![("a_b".into(), "1".into()), ("a1".into(), "2  3".into())],
        tier: Some("Cool".into()),
        tags: vec![("k 1".into(), "v+/".into())],
    }
}

#[tokio::test]
async fn put_blob_from_url_says_everything_about_the_blob() {
    let server = Server::start(vec![(201, MADE.to_vec(), "")]).await;
    let name = BlobName::new("c01", "d//a b+%#?\"é/.x");
    let source = CopySource {
        md5: Some([1; 16]),
        ..source(5)
    };
    let conditions = Conditions::create_only();
    let stored = server
        .with_sas()
        .put_blob_from_url(&name, &source, &full_headers(), &conditions)
        .await
        .unwrap();
    assert_eq!(stored.etag, "\"0x8D1\"");
    assert_eq!(stored.last_modified, Some(1_800_000_001));
    assert_eq!(stored.date, Some(1_800_000_002));
    assert_eq!(stored.crc64, Some(0xAE8B_1486_0A79_9888));

    let seen = server.seen().remove(0);
    assert_eq!(seen.method, "PUT");
    let path = "/dev/c01/d//a%20b%2B%25%23%3F%22%C3%A9/.x";
    assert_eq!(seen.target, format!("{path}?{SAS}"));
    for (name, value) in [
        ("x-ms-version", VERSION),
        ("x-ms-date", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-copy-source", SOURCE),
        ("x-ms-copy-source-blob-properties", "false"),
        ("x-ms-source-content-md5", "AQEBAQEBAQEBAQEBAQEBAQ=="),
        ("x-ms-blob-content-type", "text/plain"),
        ("x-ms-blob-cache-control", "no-cache"),
        ("x-ms-blob-content-encoding", "gzip"),
        ("x-ms-blob-content-language", "en"),
        ("x-ms-blob-content-disposition", "inline"),
        ("x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-ms-meta-a_b", "1"),
        ("x-ms-meta-a1", "2  3"),
        ("x-ms-access-tier", "Cool"),
        ("x-ms-tags", "k%201=v%2B%2F"),
        ("if-none-match", "*"),
        ("content-length", "0"),
        ("authorization", "(none)"),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    assert_eq!(seen.header("x-ms-client-request-id").len(), 32);
}

#[tokio::test]
async fn blocks_are_staged_and_committed() {
    let made = MADE.to_vec();
    let server = Server::start(vec![(201, made.clone(), ""), (201, made, "")]).await;
    let name = BlobName::new("c01", "k");
    let block = BlockRange {
        id: "A+/=",
        bytes: 8..24,
    };
    let destination = server.with_sas();
    let staged = destination
        .put_block_from_url(&name, &block, &source(16))
        .await
        .unwrap();
    assert_eq!(staged.crc64, Some(0xAE8B_1486_0A79_9888));
    let ids = ["A+/=".to_owned(), "BBBB".to_owned()];
    let stored = destination
        .put_block_list(
            &name,
            &ids,
            &full_headers(),
            &Conditions::only_over("\"0x1\""),
        )
        .await
        .unwrap();
    assert_eq!(stored.crc64, None, "that digest is of the list");

    let seen = server.seen();
    let block = &seen[0];
    let target = format!("/dev/c01/k?comp=block&blockid=A%2B%2F%3D&{SAS}");
    assert_eq!(block.target, target);
    assert_eq!(block.header("x-ms-source-range"), "bytes=8-23");
    assert_eq!(block.header("x-ms-copy-source"), SOURCE);
    assert_eq!(block.header("content-length"), "0");
    assert_eq!(block.header("x-ms-blob-type"), "(none)");

    let list = &seen[1];
    assert_eq!(list.target, format!("/dev/c01/k?comp=blocklist&{SAS}"));
    assert_eq!(
        list.body,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>A+/=</Latest>\
         <Latest>BBBB</Latest></BlockList>"
    );
    assert_eq!(list.header("content-length"), list.body.len().to_string());
    assert_eq!(list.header("if-match"), "\"0x1\"");
    assert_eq!(list.header("x-ms-meta-a_b"), "1");
    assert_eq!(list.header("x-ms-blob-cache-control"), "no-cache");
}

/// The signature is recomputed from the request's own parts, by the rule written out here.
#[tokio::test]
async fn the_account_key_signs_what_is_sent() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};

    let server = Server::start(vec![(201, MADE.to_vec(), "")]).await;
    let name = BlobName::new("c01", "a b");
    let headers = BlobHeaders {
        metadata: full_headers().metadata,
        ..BlobHeaders::default()
    };
    let conditions = Conditions::only_over("\"0x1\"");
    let ids = ["AAAA".to_owned()];
    let destination = server.with_key();
    destination
        .put_block_list(&name, &ids, &headers, &conditions)
        .await
        .unwrap();
    let seen = server.seen().remove(0);
    let text = format!(
        "PUT\n\n\n{}\n\napplication/xml\n\n\n\"0x1\"\n\n\n\nx-ms-client-request-id:{}\n\
         x-ms-date:Fri, 15 Jan 2027 08:00:00 GMT\nx-ms-meta-a_b:1\nx-ms-meta-a1:2  3\n\
         x-ms-version:2025-11-05\n/dev/dev/c01/a%20b\ncomp:blocklist",
        seen.body.len(),
        seen.header("x-ms-client-request-id")
    );
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let expected = format!("SharedKey dev:{signature}");
    assert_eq!(seen.header("authorization"), expected);
}

#[tokio::test]
async fn a_blob_is_read_back() {
    let mut head = MADE.to_vec();
    head.extend([
        ("x-ms-blob-type", "BlockBlob"),
        ("content-type", "text/plain"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-ms-meta-a_b", "1"),
        ("x-ms-access-tier", "Hot"),
        ("content-length", "7"),
    ]);
    let blocks = "<BlockList><CommittedBlocks/><UncommittedBlocks><Block><Name>AAAA</Name>\
                  <Size>3</Size></Block></UncommittedBlocks></BlockList>";
    let absent = vec![("x-ms-error-code", "BlobNotFound")];
    let no_container = vec![("x-ms-error-code", "ContainerNotFound")];
    let server = Server::start(vec![
        (200, head, ""),
        (200, vec![], blocks),
        (404, absent.clone(), ""),
        (404, no_container, ""),
        (202, vec![], ""),
        (404, absent, ""),
    ])
    .await;
    let destination = server.with_key();
    let name = BlobName::new("c01", "k");
    let found = destination.head_blob(&name).await.unwrap().unwrap();
    assert_eq!((found.length, found.etag.as_str()), (7, "\"0x8D1\""));
    assert_eq!(found.blob_type, "BlockBlob");
    assert_eq!(found.headers.content_md5, Some([0; 16]));
    assert_eq!(found.headers.metadata, [("a_b".into(), "1".into())]);
    assert_eq!(found.headers.tier.as_deref(), Some("Hot"));

    let list = destination.get_block_list(&name).await.unwrap().unwrap();
    assert_eq!(list.uncommitted, [("AAAA".into(), 3)]);
    assert_eq!(list.etag, None);

    assert!(destination.head_blob(&name).await.unwrap().is_none());
    assert!(destination.get_block_list(&name).await.unwrap().is_none());
    let unconditional = Conditions::default();
    assert!(
        destination
            .delete_blob(&name, &unconditional)
            .await
            .unwrap()
    );
    assert!(
        !destination
            .delete_blob(&name, &unconditional)
            .await
            .unwrap()
    );
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets[1], "/dev/c01/k?comp=blocklist&blocklisttype=all");
}

#[tokio::test]
async fn a_container_is_made_where_it_is_missing() {
    let code = |code| vec![("x-ms-error-code", code)];
    let missing = || (404, code("ContainerNotFound"), "");
    let forbidden = || (403, code("AuthorizationPermissionMismatch"), "");
    let wrong_key = (403, code("AuthenticationFailed"), "");
    use ContainerState::{Created, Existed, Unknown};
    for (script, expected) in [
        (vec![(200, vec![], "")], Ok(Existed)),
        (vec![missing(), (201, vec![], "")], Ok(Created)),
        (
            vec![missing(), (409, code("ContainerAlreadyExists"), "")],
            Ok(Existed),
        ),
        (vec![forbidden(), (201, vec![], "")], Ok(Created)),
        (vec![forbidden(), forbidden()], Ok(Unknown)),
        (
            vec![missing(), forbidden()],
            Err((Reason::ContainerRejected, Remedy::GiveUp)),
        ),
        (
            vec![missing(), (409, code("ContainerBeingDeleted"), "")],
            Err((Reason::DestinationUnavailable, Remedy::Retry)),
        ),
        (
            vec![wrong_key],
            Err((Reason::DestinationDenied, Remedy::Stop)),
        ),
    ] {
        let calls = script.len();
        let server = Server::start(script).await;
        let state = server.with_sas().create_container("c01").await;
        let state = state.map_err(|error| (error.failure.reason, error.failure.remedy));
        assert_eq!(state, expected);
        let seen = server.seen();
        assert_eq!(seen.len(), calls);
        let target = format!("/dev/c01?restype=container&{SAS}");
        assert!(seen.iter().all(|seen| seen.target == target));
    }
    let server = Server::start(vec![(403, code("AuthorizationFailure"), ""), forbidden()]).await;
    let failure = server.with_key().create_container("c01").await.unwrap_err();
    assert_eq!(failure.failure.reason, Reason::DestinationDenied);
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let refusal = "<Error><Message>Bad: https://b/k?X-Amz-Signature=c2VjcmV0</Message></Error>";
    let server = Server::start(vec![(400, vec![], refusal)]).await;
    let destination = server.with_sas();
    let name = BlobName::new("c01", "k");
    let (headers, conditions) = (BlobHeaders::default(), Conditions::default());
    let refused = destination
        .put_blob_from_url(&name, &source(1), &headers, &conditions)
        .await
        .unwrap_err();
    assert_eq!(refused.status, Some(400));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/dev", closed.local_addr().unwrap());
    drop(closed);
    let http = client(&Roots::Only(vec![]), Duration::from_secs(30)).unwrap();
    let auth = Auth::from_sas(Sas::parse(SAS).unwrap(), clock());
    let nowhere = Destination::new(&root, auth, http, clock()).unwrap();
    let lost = nowhere
        .put_blob_from_url(&name, &source(1), &headers, &conditions)
        .await
        .unwrap_err();
    assert_eq!(lost.failure.reason, Reason::DestinationUnavailable);
    assert_eq!(lost.failure.happened, Happened::No, "never connected");
    assert!(
        lost.to_string().contains("cannot reach http://127.0.0.1"),
        "{lost}"
    );
    for shown in [
        format!("{refused:?}"),
        format!("{lost:?}"),
        format!("{nowhere:?}"),
        format!("{:?}", source(1)),
    ] {
        for secret in ["c2VjcmV0", "a%2Bb", "X-Amz"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

/// A connection that ends without an answer may have stored the blob.
#[tokio::test]
async fn a_lost_answer_may_have_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/dev", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 16];
        stream.read_exact(&mut bytes).await.unwrap();
    });
    let http = client(&Roots::Only(vec![]), Duration::from_secs(30)).unwrap();
    let auth = Auth::from_key("dev", KEY, clock()).unwrap();
    let destination = Destination::new(&root, auth, http, clock()).unwrap();
    let name = BlobName::new("c01", "k");
    let ids = ["AAAA".to_owned()];
    let (headers, conditions) = (BlobHeaders::default(), Conditions::default());
    let error = destination
        .put_block_list(&name, &ids, &headers, &conditions)
        .await
        .unwrap_err();
    assert_eq!(error.failure.happened, Happened::Perhaps);
    assert_eq!(error.failure.remedy, Remedy::Retry);
    assert!(
        error.to_string().starts_with("Put Block List c01/k: "),
        "{error}"
    );
}

#[test]
fn a_large_source_may_take_longer() {
    assert_eq!(deadline(0), Duration::from_secs(60));
    assert_eq!(deadline(256 << 20), Duration::from_secs(316));
    assert!(deadline(u64::MAX) > deadline(5000 << 20));
}

#[tokio::test]
async fn of_a_long_error_only_the_beginning_is_read() {
    let long = format!(
        "<Error><Code>ServerBusy</Code><Message>later</Message><More>{}</More></Error>",
        "x".repeat(20 << 20)
    );
    let server = Server::start(vec![(503, vec![], long.leak())]).await;
    let refused = server
        .with_sas()
        .head_blob(&BlobName::new("c01", "k"))
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.failure.reason, Reason::DestinationThrottled);
    assert!(refused.failure.message.len() < 300, "{refused}");
}
