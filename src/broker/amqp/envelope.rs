//! How an envelope travels: headers as AMQP headers, readable at the broker; the body as it is.
//!
//! AMQP has no unsigned 64-bit integer that RabbitMQ knows, so numbers travel as decimal text.
//! Headers that are missing or foreign read as 0 or empty: the body is handed on all the same.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::message::{Envelope, Headers};
use crate::text::cut;

const PERSISTENT: u8 = 2;
const MARKER: &str = "log-marker";
const PARKED_FROM: &str = "parked-from";
const PARKED_REASON: &str = "parked-reason";

/// The longest key that goes into a header, in bytes: RabbitMQ closes a connection whose frame of
/// headers has more than 128 KiB (`frame_max`).
const LONGEST_KEY: usize = 64 * 1024;
/// Where the key of a parked message is cut, in bytes: it only names the object.
const PARKED_KEY: usize = 4 * 1024;

/// A body with its properties, ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The length of the key in its headers, in bytes.
    key_bytes: usize,
    pub(super) properties: BasicProperties,
    pub(super) body: bytes::Bytes,
}

impl Outgoing {
    pub(super) fn new(message: Envelope) -> Self {
        Self::with(message, &[])
    }

    /// Must it not be sent, as the broker would close the connection?
    pub(super) fn is_too_large(&self) -> bool {
        self.key_bytes > LONGEST_KEY
    }

    pub(super) fn parked(mut message: Envelope, queue: &str, reason: &str) -> Self {
        message.headers.key = cut(message.headers.key, PARKED_KEY);
        Self::with(message, &[(PARKED_FROM, queue), (PARKED_REASON, reason)])
    }

    /// A record of the log that only marks a place in it.
    pub(super) fn marker(token: &str) -> Self {
        let message = Envelope {
            headers: Headers::default(),
            body: bytes::Bytes::new(),
        };
        Self::with(message, &[(MARKER, token)])
    }

    fn with(message: Envelope, more: &[(&str, &str)]) -> Self {
        let Envelope { headers, body } = message;
        let key_bytes = headers.key.len();
        let mut table = FieldTable::default();
        let mut put = |name: &str, value: String| {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        put("job", headers.job);
        put("list-task", headers.list_task.to_string());
        put("nonce", headers.nonce.to_string());
        put("index", headers.index.to_string());
        put("round", headers.round.to_string());
        put("attempt", headers.attempt.to_string());
        put("since", headers.since_ms.to_string());
        if !headers.key.is_empty() {
            put("key", headers.key);
            put("size", headers.size.to_string());
        }
        for (name, value) in more {
            put(name, (*value).to_owned());
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_headers(table);
        Self {
            key_bytes,
            properties,
            body,
        }
    }
}

/// What arrived, as an envelope.
pub(super) fn envelope(properties: &BasicProperties, body: Vec<u8>) -> Envelope {
    let text = |name| text(properties, name).unwrap_or_default();
    Envelope {
        headers: Headers {
            job: text("job"),
            list_task: text("list-task").parse().unwrap_or(0),
            nonce: text("nonce").parse().unwrap_or(0),
            index: text("index").parse().unwrap_or(0),
            round: text("round").parse().unwrap_or(0),
            attempt: text("attempt").parse().unwrap_or(0),
            since_ms: text("since").parse().unwrap_or(0),
            key: text("key"),
            size: text("size").parse().unwrap_or(0),
        },
        body: body.into(),
    }
}

/// From where and why a message was parked: by one of us, or by the broker's delivery limit.
pub(super) fn parked(properties: &BasicProperties) -> (String, String) {
    if let (Some(queue), Some(reason)) = (
        text(properties, PARKED_FROM),
        text(properties, PARKED_REASON),
    ) {
        return (queue, reason);
    }
    let death = |name| {
        let Some(AMQPValue::FieldArray(deaths)) = header(properties, "x-death") else {
            return None;
        };
        match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => shown(death.inner().get(name)?),
            _ => None,
        }
    };
    let reason = death("reason").map(|why| format!("RabbitMQ set it aside: {why}"));
    (
        death("queue").unwrap_or_default(),
        reason.unwrap_or_default(),
    )
}

/// The token of a marker; `None` for a record.
pub(super) fn marker(properties: &BasicProperties) -> Option<String> {
    text(properties, MARKER)
}

/// The record's place in the stream.
pub(super) fn offset(properties: &BasicProperties) -> Option<i64> {
    match header(properties, "x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => Some(*offset),
        _ => None,
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text(properties: &BasicProperties, name: &str) -> Option<String> {
    shown(header(properties, name)?)
}

fn shown(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_body_arrive_as_they_were_sent() {
        let sent = Envelope {
            headers: Headers {
                job: "jöb".into(),
                list_task: u64::MAX,
                nonce: u64::MAX - 1,
                index: u32::MAX,
                round: 3,
                attempt: 4,
                since_ms: 5,
                key: "ä/ \u{1}".into(),
                size: u64::MAX,
            },
            body: vec![0, 255, 1].into(),
        };
        let Outgoing {
            properties, body, ..
        } = Outgoing::new(sent.clone());
        assert_eq!(envelope(&properties, body.to_vec()), sent);
        assert_eq!(*properties.delivery_mode(), Some(2));
    }

    #[test]
    fn a_foreign_message_has_empty_headers_and_its_own_body() {
        let found = envelope(&BasicProperties::default(), b"hello".to_vec());
        assert_eq!(found.headers, Headers::default());
        assert_eq!(&found.body[..], b"hello");
        assert_eq!(
            parked(&BasicProperties::default()),
            (String::new(), String::new())
        );
    }
}
