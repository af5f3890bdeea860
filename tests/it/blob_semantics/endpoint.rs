//! The two services the suite runs on, and its requests.

use std::any::Any;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use simcloud::{Config, SimCloud};

use crate::azurite;
use crate::simcloud_wire::{Answer, Call, encode, shared_key};

const VERSION: &str = "2021-12-02";

/// A Blob service under test.
pub(super) struct Endpoint {
    /// Host and port.
    address: String,
    account: String,
    key: String,
    now: SystemTime,
    /// Azurite 3.35 departs from the reference pages: it knows no CRC64 (3.37 does, and answers
    /// as the stand-in), gives committed blobs an MD5 nobody asked for, names none
    /// of a block and calls a wrong one InvalidOperation, keeps uncommitted blocks over Put Blob,
    /// has no code of its own for tags of wrong characters, and tells of the account's hierarchy
    /// only where the account itself is asked.
    pub(super) exact: bool,
    /// What ends with it.
    _server: Box<dyn Any>,
}

pub(super) async fn sim() -> Endpoint {
    let cloud = SimCloud::start(Config::default()).await.unwrap();
    let url = cloud.blob_url(simcloud::ACCOUNT);
    Endpoint {
        address: host(&url),
        account: simcloud::ACCOUNT.into(),
        key: cloud.account_key(simcloud::ACCOUNT),
        now: cloud.now(),
        exact: true,
        _server: Box::new(cloud),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Azurite's clock is the machine's, and signatures need its time"
)]
pub(super) fn azurite() -> Endpoint {
    let server = azurite::start();
    Endpoint {
        address: host(&server.url),
        account: azurite::ACCOUNT.into(),
        key: azurite::KEY.into(),
        now: SystemTime::now(),
        exact: false,
        _server: Box::new(server),
    }
}

fn host(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or_default().to_owned()
}

impl Endpoint {
    pub(super) fn call(&self, method: &str, target: &str) -> Call {
        let call = Call::new(method, &format!("/{}{target}", self.account));
        let call = call.header("x-ms-version", VERSION);
        match method {
            "PUT" => call.header("content-length", "0"),
            _ => call,
        }
    }

    pub(super) fn put(&self, target: &str) -> Call {
        self.call("PUT", target)
    }

    pub(super) fn blob(&self, name: &str, bytes: &[u8]) -> Call {
        let call = self.put(&format!("/box/{name}"));
        call.header("x-ms-blob-type", "BlockBlob").body(bytes)
    }

    pub(super) fn block(&self, name: &str, id: &str, bytes: &[u8]) -> Call {
        let id = encode(&STANDARD.encode(id));
        self.put(&format!("/box/{name}?blockid={id}&comp=block"))
            .body(bytes)
    }

    /// A block list of (element, id) lines.
    pub(super) fn list(&self, name: &str, lines: &[(&str, &str)]) -> Call {
        let lines: Vec<String> = lines
            .iter()
            .map(|(element, id)| format!("<{element}>{}</{element}>", STANDARD.encode(id)))
            .collect();
        let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        let xml = xml + &lines.join("") + "</BlockList>";
        self.put(&format!("/box/{name}?comp=blocklist"))
            .body(xml.as_bytes())
    }

    async fn send(&self, call: Call) -> Answer {
        let call = shared_key(call, &self.account, &self.key, self.now);
        call.send(&self.address).await
    }

    /// Sends and checks status and code.
    pub(super) async fn expect(&self, what: &str, call: Call, status: u16, code: &str) -> Answer {
        let answer = self.send(call).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (status, code.to_owned()), "{what}: {}", answer.text());
        answer
    }

    pub(super) async fn get(&self, name: &str) -> Answer {
        self.expect(name, self.call("GET", &format!("/box/{name}")), 200, "")
            .await
    }

    /// Names (decoded ids) and sizes of the blocks below an element of the block list.
    pub(super) async fn blocks(&self, name: &str, below: &str) -> Vec<(String, u64)> {
        let target = format!("/box/{name}?blocklisttype=all&comp=blocklist");
        let answer = self
            .expect("blocks", self.call("GET", &target), 200, "")
            .await;
        let text = answer.element(below).unwrap_or_default();
        text.split("<Block>")
            .skip(1)
            .map(|block| {
                let part = |name: &str| {
                    let (_, rest) = block.split_once(&format!("<{name}>")).unwrap();
                    rest.split('<').next().unwrap().to_owned()
                };
                let id = STANDARD.decode(part("Name")).unwrap();
                (
                    String::from_utf8(id).unwrap(),
                    part("Size").parse().unwrap(),
                )
            })
            .collect()
    }
}
