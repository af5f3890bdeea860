//! A fleet's reporter, asked over its API.

use std::time::Duration;

use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::command::state::pick;
use crate::failure::{Failure, Reason, Result};
use crate::http::{Roots, client, root_cause};
use crate::reporter::book::Repaired;
use crate::reporter::ledger::{EndingKind, EndingLine, PutBack, RangeLine};
use crate::reporter::serve::Answer;
use crate::reporter::summary::Summary;

/// How long the reporter may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where else a job may be that the fleet does not have.
const ELSEWHERE: &str = "blobfleet jobs list --reporter URL shows the fleet's; without --reporter \
                         those of this machine are asked for";

/// The reporter.
#[derive(Debug)]
pub(super) struct Remote {
    base: Url,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Summary>,
}

#[derive(Deserialize)]
struct Objects {
    objects: Vec<EndingLine>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Ranges {
    ranges: Vec<RangeLine>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Remote {
    /// The reporter at an address; nothing is asked yet.
    pub(super) fn new(url: &str) -> Result<Self> {
        let wrong = || {
            Failure::stop(
                Reason::Usage,
                "--reporter is given no URL: give the reporter's --listen address, e.g. \
                 http://127.0.0.1:8080",
            )
        };
        let base = Url::parse(url).map_err(|_| wrong())?;
        let roots = match base.scheme() {
            "http" => Roots::Only(Vec::new()),
            "https" => Roots::System,
            _ => return Err(wrong()),
        };
        if base.host_str().is_none() {
            return Err(wrong());
        }
        Ok(Self {
            base,
            http: client(&roots, PATIENCE)?,
        })
    }

    /// Its address, as `--reporter` takes it; a password is left out.
    pub(super) fn address(&self) -> String {
        let origin = self.base.origin().ascii_serialization();
        format!("{origin}{}", self.base.path().trim_end_matches('/'))
    }

    /// All jobs, newest first.
    pub(super) async fn jobs(&self) -> Result<Vec<Summary>> {
        let answer: Jobs = self.ask(Method::GET, "api/jobs", &[]).await?;
        Ok(answer.jobs)
    }

    /// The one job whose id is or begins with `text`.
    pub(super) async fn find(&self, text: &str) -> Result<Summary> {
        let mut jobs = self.jobs().await?;
        let at = pick(jobs.iter().map(|job| &job.job_id), text, ELSEWHERE)?;
        Ok(jobs.swap_remove(at))
    }

    /// Ends a job.
    pub(super) async fn cancel(&self, job: &str) -> Result<Summary> {
        self.ask(Method::POST, &format!("api/jobs/{job}/cancel"), &[])
            .await
    }

    /// Puts back what failed of a job.
    pub(super) async fn retry(&self, job: &str) -> Result<Answer<PutBack>> {
        self.ask(Method::POST, &format!("api/jobs/{job}/retry"), &[])
            .await
    }

    /// Lists anew what is open of a job.
    pub(super) async fn repair(&self, job: &str, force: bool) -> Result<Answer<Repaired>> {
        let query: &[_] = if force { &[("force", "true")] } else { &[] };
        self.ask(Method::POST, &format!("api/jobs/{job}/repair"), query)
            .await
    }

    /// A page of objects that ended so, and where the next begins.
    pub(super) async fn objects(
        &self,
        job: &str,
        kind: EndingKind,
        after: Option<&str>,
    ) -> Result<(Vec<EndingLine>, Option<String>)> {
        let path = format!("api/jobs/{job}/objects");
        let mut query = vec![("status", kind.as_str())];
        query.extend(after.map(|after| ("after", after)));
        let page: Objects = self.ask(Method::GET, &path, &query).await?;
        Ok((page.objects, page.next))
    }

    /// A page of ranges that could not be listed, and where the next begins.
    pub(super) async fn ranges(
        &self,
        job: &str,
        after: Option<&str>,
    ) -> Result<(Vec<RangeLine>, Option<String>)> {
        let path = format!("api/jobs/{job}/ranges");
        let query: Vec<_> = after.map(|after| ("after", after)).into_iter().collect();
        let page: Ranges = self.ask(Method::GET, &path, &query).await?;
        Ok((page.ranges, page.next))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        let mut url = self.base.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().clear().extend_pairs(query);
        }
        let failed = |error: reqwest::Error| self.trouble(&root_cause(&error.without_url()));
        let answer = self
            .http
            .request(method, url)
            .send()
            .await
            .map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        if status.is_success() {
            let read = serde_json::from_slice(&body);
            return read.map_err(|_| self.trouble("it does not answer as a reporter"));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(Failure::stop(Reason::LocalState, refusal.error)),
            Err(_) => Err(self.trouble(&format!("it answers {status}"))),
        }
    }

    fn trouble(&self, why: &str) -> Failure {
        let address = self.base.origin().ascii_serialization();
        Failure::stop(
            Reason::LocalState,
            format!("the reporter at {address}: {why}: check --reporter and that it runs there"),
        )
    }
}
