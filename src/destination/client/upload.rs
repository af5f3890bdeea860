//! Calls that carry content in their body, for objects that are relayed.

use bytes::Bytes;
use http::Method;

use super::request::Call;
use super::{
    BlobHeaders, BlobName, BlobResult, Conditions, Destination, Staged, Stored, deadline,
    encode_query,
};
use crate::destination::crc::decode_crc64;

impl Destination {
    /// Put Blob: a new block blob of this content, at most 5,000 MiB.
    ///
    /// # Errors
    /// See [`super::BlobError`].
    pub async fn put_blob(
        &self,
        name: &BlobName,
        content: Bytes,
        headers: &BlobHeaders,
        conditions: &Conditions,
    ) -> BlobResult<Stored> {
        let mut call = self.blob_call("Put Blob", Method::PUT, name)?;
        call.set("x-ms-blob-type", "BlockBlob")?;
        call.set_headers(headers)?;
        call.set_conditions(conditions)?;
        set_body(&mut call, content);
        let answer = self.send(call, 201).await?;
        Ok(Stored {
            crc64: answer.header("x-ms-content-crc64").and_then(decode_crc64),
            content_md5: answer.md5(),
            ..answer.stored()?
        })
    }

    /// Put Block: stages an uncommitted block of this content, at most 4,000 MiB.
    ///
    /// # Errors
    /// See [`super::BlobError`].
    pub async fn put_block(&self, name: &BlobName, id: &str, content: Bytes) -> BlobResult<Staged> {
        let mut call = self.blob_call("Put Block", Method::PUT, name)?;
        call.query = format!("comp=block&blockid={}", encode_query(id));
        set_body(&mut call, content);
        let answer = self.send(call, 201).await?;
        Ok(Staged {
            crc64: answer.header("x-ms-content-crc64").and_then(decode_crc64),
        })
    }
}

fn set_body(call: &mut Call, content: Bytes) {
    call.deadline = deadline(u64::try_from(content.len()).unwrap_or(u64::MAX));
    call.body = content;
}
