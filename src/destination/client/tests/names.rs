//! Names as they are sent, or refused.

use super::*;

#[tokio::test]
async fn a_name_is_refused_before_it_could_touch_another_blob() {
    let server = Server::start(vec![]).await;
    let destination = server.with_sas();
    for blob in ["a/../b", ".", "a/.", ""] {
        let name = BlobName::new("c01", blob);
        let error = destination.head_blob(&name).await.unwrap_err();
        assert_eq!(error.failure.reason, Reason::NameRejected, "{blob}");
    }
    let error = destination.container_exists("No").await.unwrap_err();
    assert_eq!(error.failure.reason, Reason::ContainerRejected);
    let long = format!("https://s/{}", "k".repeat(MAX_SOURCE_URL));
    let source = CopySource {
        url: &long,
        ..source(1)
    };
    let (headers, conditions) = (BlobHeaders::default(), Conditions::default());
    let name = BlobName::new("c01", "k");
    let error = destination
        .put_blob_from_url(&name, &source, &headers, &conditions)
        .await
        .unwrap_err();
    assert_eq!(error.failure.reason, Reason::SourceUrlTooLong);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_path_that_is_sent_is_the_path_that_was_meant() {
    let server = Server::start(vec![]).await;
    let destination = server.with_sas();
    for (path, fine) in [
        ("c01/a%20b//c", true),
        ("c01/a%5Cb", true),
        ("c01/.../..a/a..", true),
        ("c01/a/../b", false),
        ("c01/./b", false),
        ("c01/a/.", false),
    ] {
        let call = Call::new("Put", Method::PUT, Target::Blob, path.to_owned(), path);
        let address = destination.address(&call);
        match address {
            Ok(url) => assert_eq!(url.path(), format!("/dev/{path}")),
            Err(failure) => assert_eq!(failure.reason, Reason::NameRejected),
        }
        assert_eq!(destination.address(&call).is_ok(), fine, "{path}");
    }
}
