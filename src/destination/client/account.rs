//! Calls about the account, and about a blob's tags.

use std::fmt::Write;

use bytes::Bytes;
use http::Method;
use quick_xml::escape::escape;

use super::error::Target;
use super::request::Call;
use super::{BlobName, BlobResult, Destination};
use crate::destination::naming::Namespace;

impl Destination {
    /// How the account keeps its blobs (Get Account Information).
    ///
    /// # Errors
    /// See [`super::BlobError`]; a SAS for a container or blob may not ask this.
    pub async fn namespace(&self) -> BlobResult<Namespace> {
        let path = String::new();
        let mut call = Call::new(
            "Get Account Information",
            Method::GET,
            Target::Container,
            path,
            "the account",
        );
        "restype=account&comp=properties".clone_into(&mut call.query);
        let answer = self.send(call, 200).await?;
        let hierarchical = answer.header("x-ms-is-hns-enabled");
        Ok(match hierarchical {
            Some(yes) if yes.eq_ignore_ascii_case("true") => Namespace::Hierarchical,
            _ => Namespace::Flat,
        })
    }

    /// Set Blob Tags, for those that do not fit into the header of the call that makes the blob.
    ///
    /// # Errors
    /// See [`super::BlobError`]; the credential needs the permission to set tags.
    pub async fn set_tags(&self, name: &BlobName, tags: &[(String, String)]) -> BlobResult<()> {
        let mut call = self.blob_call("Set Blob Tags", Method::PUT, name)?;
        "comp=tags".clone_into(&mut call.query);
        call.set("content-type", "application/xml")?;
        call.body = Bytes::from(written(tags));
        self.send(call, 204).await.map(drop)
    }
}

/// The body of Set Blob Tags.
fn written(tags: &[(String, String)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><Tags><TagSet>");
    for (key, value) in tags {
        let (key, value) = (escape(key.as_str()), escape(value.as_str()));
        // Writing to a String cannot fail.
        if write!(xml, "<Tag><Key>{key}</Key><Value>{value}</Value></Tag>").is_err() {
            break;
        }
    }
    xml.push_str("</TagSet></Tags>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_as_xml() {
        let tags = [("a&b".to_owned(), "<1>".to_owned())];
        assert!(
            written(&tags)
                .contains("<TagSet><Tag><Key>a&amp;b</Key><Value>&lt;1&gt;</Value></Tag></TagSet>")
        );
    }
}
