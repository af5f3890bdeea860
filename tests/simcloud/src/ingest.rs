//! Bytes coming in: measured, checksummed, and kept if they are to be kept.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Body;
use md5::{Digest, Md5};

use crate::config::Keep;

/// What came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ingested {
    pub(crate) length: u64,
    pub(crate) crc64: u64,
    /// Where it was asked for.
    pub(crate) md5: Option<[u8; 16]>,
    /// `None` when only digests are kept.
    pub(crate) data: Option<Bytes>,
    /// Headers of the copy source's answer.
    pub(crate) source: HeaderMap,
}

/// Reads a body to its end; `None` when it breaks off or grows beyond `limit` bytes.
pub(crate) async fn ingest<B>(mut body: B, keep: Keep, md5: bool, limit: u64) -> Option<Ingested>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut crc64 = crc64fast_nvme::Digest::new();
    let mut md5 = md5.then(Md5::new);
    let mut length = 0;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.ok()?.into_data() else {
            continue;
        };
        length += bytes.len() as u64;
        if length > limit {
            return None;
        }
        crc64.write(&bytes);
        if let Some(md5) = &mut md5 {
            md5.update(&bytes);
        }
        if keep == Keep::Bytes {
            if first.is_empty() && rest.is_empty() {
                first = bytes;
            } else {
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&bytes);
            }
        }
    }
    let data = if rest.is_empty() {
        first
    } else {
        rest.freeze()
    };
    Some(Ingested {
        length,
        crc64: crc64.sum64(),
        md5: md5.map(|md5| md5.finalize().into()),
        data: (keep == Keep::Bytes).then_some(data),
        source: HeaderMap::new(),
    })
}
