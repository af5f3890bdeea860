//! How tokens are asked for: our own HTTP client, and `az` where it is on our PATH.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use azure_identity::Executor;
use reqwest::Url;

use crate::http::for_url;

/// Where a virtual machine finds its identity (IMDS).
const METADATA_HOST: &str = "169.254.169.254";

/// Sends the identity library's requests with our client.
#[derive(Debug)]
pub(super) struct IdentityTransport {
    http: reqwest::Client,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`, as Azure's other SDKs know it: stands in for the
    /// metadata host.
    metadata: Option<Url>,
}

impl IdentityTransport {
    pub(super) fn new(http: reqwest::Client, metadata: Option<Url>) -> Self {
        Self { http, metadata }
    }

    async fn send(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let http = for_url(&self.http, request.url().as_str());
        http.execute_request(request).await
    }
}

#[async_trait]
impl HttpClient for IdentityTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        match &self.metadata {
            Some(metadata) if request.url().host_str() == Some(METADATA_HOST) => {
                let mut elsewhere = request.clone();
                let mut url = metadata.clone();
                url.set_path(request.url().path());
                url.set_query(request.url().query());
                *elsewhere.url_mut() = url;
                self.send(&elsewhere).await
            }
            _ => self.send(request).await,
        }
    }
}

/// Runs `az`; ends it when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct CommandExecutor {
    pub(super) path: Option<String>,
}

#[async_trait]
impl Executor for CommandExecutor {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut command = tokio::process::Command::new(program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command.output().await
    }
}
