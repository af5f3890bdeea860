//! Requests written by hand, so that they can be wrong in any way, and signers of their own.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(inner.to_owned())
    }

    /// The error's code: in a header on the Blob side, in the body on both.
    pub(crate) fn code(&self) -> String {
        let code = self.header("x-ms-error-code").map(str::to_owned);
        code.or_else(|| self.element("Code")).unwrap_or_default()
    }
}

/// One request; headers are sent as they are, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Path and query as they are sent.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a header, in place of one of that name if there is one.
    pub(crate) fn replace(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn body(self, body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut call = self.replace("content-length", &length);
        call.body = body.to_vec();
        call
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Sends it to an address and reads the answer to its end.
    pub(crate) async fn send(&self, address: &str) -> Answer {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| name == "host") {
            head.push_str(&format!("host: {address}\r\n"));
        }
        head.push_str("connection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.unwrap();
        parse(&raw, self.method == "HEAD")
    }
}

fn parse(raw: &[u8], head: bool) -> Answer {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(raw)));
    let text = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = raw[end + 4..].to_vec();
    let chunked = headers.get("transfer-encoding").map(String::as_str) == Some("chunked");
    Answer {
        status: status.parse().unwrap(),
        body: match (head, chunked) {
            (true, _) => Vec::new(),
            (false, true) => unchunk(&body),
            (false, false) => body,
        },
        headers,
    }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&raw[..end]).unwrap();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = &raw[end + 2 + size + 2..];
    }
    body
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

pub(crate) fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Signature Version 4 is made with.
#[derive(Clone, Debug)]
pub(crate) struct AwsSigner {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) when: SystemTime,
    /// Headers that are sent and not signed.
    pub(crate) leave_out: Vec<String>,
}

impl AwsSigner {
    fn date(&self) -> String {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        OffsetDateTime::from(self.when).format(format).unwrap()
    }

    fn day(&self) -> String {
        self.date().chars().take(8).collect()
    }

    fn scope(&self) -> String {
        format!(
            "{}/{}/{}/aws4_request",
            self.day(),
            self.region,
            self.service
        )
    }

    fn signature(&self, call: &Call, names: &[String], payload: &str) -> String {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.contains('=') {
                true => pair.to_owned(),
                false => format!("{pair}="),
            })
            .collect();
        pairs.sort();
        let headers: String = names
            .iter()
            .map(|name| format!("{name}:{}\n", call.get(name).trim()))
            .collect();
        let canonical = format!(
            "{}\n{path}\n{}\n{headers}\n{}\n{payload}",
            call.method,
            pairs.join("&"),
            names.join(";")
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date(),
            self.scope(),
            hex(&Sha256::digest(canonical))
        );
        let mut key = hmac(format!("AWS4{}", self.secret).as_bytes(), &self.day());
        for part in [&self.region, &self.service, "aws4_request"] {
            key = hmac(&key, part);
        }
        hex(&hmac(&key, &text))
    }

    fn signed_names(&self, call: &Call) -> Vec<String> {
        let mut names: Vec<String> = call.headers.iter().map(|(name, _)| name.clone()).collect();
        names.retain(|name| name == "host" || name.starts_with("x-amz-"));
        names.retain(|name| !self.leave_out.contains(name));
        names.sort();
        names
    }

    /// Adds what is missing of `x-amz-*` headers, and the Authorization header.
    pub(crate) fn sign(&self, mut call: Call) -> Call {
        call = call.header("x-amz-date", &self.date());
        if call.get("x-amz-content-sha256").is_empty() {
            call = call.header("x-amz-content-sha256", EMPTY);
        }
        if let Some(token) = &self.token {
            call = call.header("x-amz-security-token", token);
        }
        let names = self.signed_names(&call);
        let payload = call.get("x-amz-content-sha256").to_owned();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.access_key,
            self.scope(),
            names.join(";"),
            self.signature(&call, &names, &payload)
        );
        call.header("authorization", &value)
    }

    /// Puts the signature into the query.
    pub(crate) fn presign(&self, mut call: Call, expires: &str) -> Call {
        let names = self.signed_names(&call);
        let mut pairs = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            (
                "X-Amz-Credential",
                format!("{}/{}", self.access_key, self.scope()),
            ),
            ("X-Amz-Date", self.date()),
            ("X-Amz-Expires", expires.to_owned()),
            ("X-Amz-SignedHeaders", names.join(";")),
        ];
        if let Some(token) = &self.token {
            pairs.push(("X-Amz-Security-Token", token.clone()));
        }
        for (name, value) in pairs {
            let mark = if call.target.contains('?') { '&' } else { '?' };
            call.target
                .push_str(&format!("{mark}{name}={}", encode(&value)));
        }
        let signature = self.signature(&call, &names, "UNSIGNED-PAYLOAD");
        call.target
            .push_str(&format!("&X-Amz-Signature={signature}"));
        call
    }
}

/// Adds `x-ms-date` and a Shared Key signature.
pub(crate) fn shared_key(call: Call, account: &str, key: &str, when: SystemTime) -> Call {
    let call = call.header("x-ms-date", &httpdate::fmt_http_date(when));
    let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
    let length = match call.get("content-length") {
        "0" => "",
        other => other,
    };
    let mut text = format!("{}\n\n\n{length}\n", call.method);
    text.push_str(&format!(
        "{}\n{}\n\n{}\n{}\n{}\n{}\n{}\n",
        call.get("content-md5"),
        call.get("content-type"),
        call.get("if-modified-since"),
        call.get("if-match"),
        call.get("if-none-match"),
        call.get("if-unmodified-since"),
        call.get("range")
    ));
    let names = call.headers.iter();
    let mut headers: Vec<(String, &str)> = names
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .collect();
    headers.retain(|(name, _)| name.starts_with("x-ms-"));
    headers.sort_by_key(|(name, _)| name.replace('-', "").replace('_', "\u{1}"));
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{account}{path}"));
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value);
        text.push_str(&format!("\n{name}:{}", value.decode_utf8().unwrap()));
    }
    let signature = STANDARD.encode(hmac(&STANDARD.decode(key).unwrap(), &text));
    call.header("authorization", &format!("SharedKey {account}:{signature}"))
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
