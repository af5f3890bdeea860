//! SSE-C: objects whose key comes with each request.
//!
//! From "Using server-side encryption with customer-provided keys" of the S3 user guide and the
//! pages of HeadObject and GetObject. Amazon refuses these headers over plain http; simcloud takes
//! them there too, as plain http on loopback is what most of its tests speak. All three headers
//! are needed, as the guide has it, though Amazon is said to let reads leave out the MD5.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use md5::{Digest, Md5};

use super::header;
use super::object::set;
use crate::refusal::Refusal;

const ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";
const KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";

/// Refuses a request that does not bring the object's key, or brings one for an object without.
pub(crate) fn check(headers: &HeaderMap, key: Option<&[u8; 32]>) -> Result<(), Refusal> {
    let brought = [ALGORITHM, KEY, KEY_MD5]
        .iter()
        .any(|name| headers.contains_key(*name));
    let given = match brought {
        true => Some(given_key(headers)?),
        false => None,
    };
    let invalid = |message: &'static str| Err(Refusal::new(400, "InvalidRequest", message));
    match (key, given) {
        (None, None) => Ok(()),
        (Some(key), Some(given)) if *given == *key => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::new(403, "AccessDenied", "Access Denied")),
        (Some(_), None) => invalid(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        ),
        (None, Some(_)) => invalid("The encryption parameters are not applicable to this object."),
    }
}

/// The key of a request whose three headers fit each other.
fn given_key(headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let need = |name: &'static str, what: &str| {
        header(headers, name).ok_or_else(|| {
            let message = format!(
                "Requests specifying Server Side Encryption with Customer provided keys must provide {what}."
            );
            Refusal::new(400, "InvalidArgument", message).element("ArgumentName", name)
        })
    };
    let algorithm = need(ALGORITHM, "a valid encryption algorithm")?;
    if algorithm != "AES256" {
        let message = "The Encryption request you specified is not valid. Supported value: AES256.";
        return Err(
            Refusal::new(400, "InvalidEncryptionAlgorithmError", message)
                .element("ArgumentName", ALGORITHM)
                .element("ArgumentValue", algorithm),
        );
    }
    let key = need(KEY, "an appropriate secret key")?;
    let md5 = need(KEY_MD5, "the client calculated MD5 of the secret key")?;
    let key = STANDARD.decode(key).unwrap_or_default();
    if STANDARD.encode(Md5::digest(&key)) != md5 {
        let message =
            "The calculated MD5 hash of the key did not match the hash that was provided.";
        return Err(Refusal::new(400, "InvalidArgument", message).element("ArgumentName", KEY_MD5));
    }
    Ok(key)
}

/// Tells which key was used, without telling the key.
pub(crate) fn echo(headers: &mut HeaderMap, key: &[u8; 32]) {
    set(headers, ALGORITHM, "AES256");
    set(headers, KEY_MD5, &STANDARD.encode(Md5::digest(key)));
}
