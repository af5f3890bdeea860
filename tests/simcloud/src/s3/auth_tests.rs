//! The worked examples of the S3 API reference.

use std::time::{Duration, UNIX_EPOCH};

use hyper::Request;

use super::*;

const NOON: u64 = 1_369_353_600;

fn secrets() -> Secrets {
    let secret = Secret {
        key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session: None,
    };
    HashMap::from([("AKIAIOSFODNN7EXAMPLE".into(), secret)])
}

fn check(request: Request<()>, after: u64) -> Result<(), Refusal> {
    let (parts, ()) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default()).unwrap();
    let claim = Claim::read(&parts, &query)?.expect("a signed request");
    let now = UNIX_EPOCH + Duration::from_secs(NOON + after);
    claim.verify(&parts, &query, &secrets(), now)
}

fn get(path: &str, signed: &str, signature: &str, range: Option<&str>) -> Request<()> {
    let mut request = Request::get(path)
        .header("host", "examplebucket.s3.amazonaws.com")
        .header("x-amz-content-sha256", EMPTY_HASH)
        .header("x-amz-date", "20130524T000000Z")
        .header(
            "authorization",
            format!(
                "{ALGORITHM} Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders={signed},Signature={signature}"
            ),
        );
    if let Some(range) = range {
        request = request.header("range", range);
    }
    request.body(()).unwrap()
}

const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";

/// "Example: GET Object", "GET Bucket Lifecycle", "Get Bucket (List Objects)".
#[test]
fn header_examples_of_the_vendor() {
    let object = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let signed = "host;range;x-amz-content-sha256;x-amz-date";
    check(get("/test.txt", signed, object, Some("bytes=0-9")), 0).unwrap();
    let lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
    check(get("/?lifecycle", SIGNED, lifecycle, None), 0).unwrap();
    let list = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    check(get("/?max-keys=2&prefix=J", SIGNED, list, None), 0).unwrap();

    let wrong = check(get("/?max-keys=3&prefix=J", SIGNED, list, None), 0);
    assert_eq!(wrong.unwrap_err().code, "SignatureDoesNotMatch");
    let late = check(get("/?max-keys=2&prefix=J", SIGNED, list, None), 901);
    assert_eq!(late.unwrap_err().code, "RequestTimeTooSkewed");
}

/// "Authenticating Requests: Using Query Parameters", with the example's 86,400 seconds.
#[test]
fn presigned_example_of_the_vendor() {
    let url = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F\
               20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&\
               X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
               aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let request = |method: &str| {
        Request::builder()
            .method(method)
            .uri(url)
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-0")
            .body(())
            .unwrap()
    };
    check(request("GET"), 86_399).unwrap();
    let expired = check(request("GET"), 86_400).unwrap_err();
    assert_eq!(expired.message, "Request has expired");
    let head = check(request("HEAD"), 0).unwrap_err();
    assert_eq!(head.code, "SignatureDoesNotMatch");
}
