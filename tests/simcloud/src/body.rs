//! Response bodies: computed as they are read.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::content::Content;

/// Bytes handed to the socket at a time.
const FRAME: usize = 256 * 1024;

/// The body of an answer.
#[derive(Debug, Default)]
pub(crate) struct Body {
    parts: VecDeque<Part>,
    left: u64,
    /// Break the connection when so many bytes are still to be sent.
    cut_at: Option<u64>,
}

#[derive(Debug)]
struct Part {
    content: Content,
    at: u64,
    end: u64,
}

impl Body {
    pub(crate) fn text(text: String) -> Self {
        let content = Content::Bytes(text.into());
        let end = content.length();
        Self::range(content, 0, end)
    }

    /// The bytes `start..end` of `content`.
    pub(crate) fn range(content: Content, start: u64, end: u64) -> Self {
        let left = end.saturating_sub(start);
        let part = Part {
            content,
            at: start,
            end,
        };
        Self {
            parts: VecDeque::from([part]),
            left,
            cut_at: None,
        }
    }

    /// The bytes `start..end` of the concatenated `pieces`.
    pub(crate) fn rope(pieces: &[Bytes], start: u64, end: u64) -> Self {
        let (mut parts, mut before) = (VecDeque::new(), 0);
        for piece in pieces {
            let after = before + piece.len() as u64;
            if after > start && before < end {
                parts.push_back(Part {
                    content: Content::Bytes(piece.clone()),
                    at: start.max(before) - before,
                    end: end.min(after) - before,
                });
            }
            before = after;
        }
        let left = parts.iter().map(|part| part.end - part.at).sum();
        Self {
            parts,
            left,
            cut_at: None,
        }
    }

    /// Length in bytes of what is still to be sent.
    pub(crate) fn length(&self) -> u64 {
        self.left
    }

    /// The one content and range this body reads, if it is that simple.
    pub(crate) fn source(&self) -> Option<(&Content, u64, u64)> {
        match (self.parts.len(), self.parts.front()) {
            (1, Some(part)) => Some((&part.content, part.at, part.end)),
            _ => None,
        }
    }

    /// Sends half of the bytes, then breaks the connection.
    pub(crate) fn cut_in_half(&mut self) {
        self.cut_at = Some(self.left.div_ceil(2));
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.cut_at.is_some_and(|cut| self.left <= cut) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        let room = self.cut_at.map_or(self.left, |cut| self.left - cut);
        while let Some(part) = self.parts.front_mut() {
            let most = (part.end - part.at).min(room).min(FRAME as u64);
            if most == 0 {
                self.parts.pop_front();
                continue;
            }
            let bytes = part.content.read(part.at, most as usize);
            part.at += bytes.len() as u64;
            self.left -= bytes.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.cut_at.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
