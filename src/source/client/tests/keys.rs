//! Keys that some client on the way would change.

use super::*;

#[tokio::test]
async fn keys_no_url_library_can_carry_are_asked_for_as_they_are_but_never_by_azure() {
    let server = Server::start(|_| answer(200, &[("content-length", "3")], "abc")).await;
    let source = source(&server.url);
    for key in ["a/../b", ".", "..", "./a", "a/.", "a/./b"] {
        let head = source.head(&bucket(), key, None).await.unwrap();
        let limit = Duration::from_secs(9);
        let read = source.read(&bucket(), key, &head, 0..3, limit).await;
        let body = read.unwrap().chunk().await.unwrap().unwrap();
        assert_eq!(&body[..], b"abc");
        for asked in server.asked() {
            assert_eq!(asked.path(), format!("/bkt/{key}"));
            assert!(
                asked
                    .header("authorization")
                    .starts_with("AWS4-HMAC-SHA256 ")
            );
        }
        let get = source
            .presign_get(&bucket(), key, None, Duration::from_secs(9))
            .await;
        let fetchable = source.fetchable(&bucket(), key, None).await;
        for failure in [get.unwrap_err(), fetchable.unwrap_err()] {
            assert_eq!(failure.reason, Reason::SourceUnaddressable, "{key}");
            assert_eq!(failure.remedy, Remedy::GiveUp);
        }
    }
    let long = "ü".repeat(512);
    source.head(&bucket(), &long, None).await.unwrap();
    let get = source
        .presign_get(&bucket(), &long, None, Duration::from_secs(9))
        .await;
    assert_eq!(get.unwrap_err().reason, Reason::SourceUrlTooLong);
    let fetchable = source.fetchable(&bucket(), &long, None).await;
    assert_eq!(fetchable.unwrap_err().reason, Reason::SourceUrlTooLong);
    source.fetchable(&bucket(), "short", None).await.unwrap();
}
