//! `blobfleet copy --dry-run`: lists as a job does and tells what it would do. Nothing is written,
//! neither at the destination nor on this machine.

mod report;

use tokio_util::sync::CancellationToken;

use self::report::{Object, Report};
use super::output::Output;
use super::wiring::Wiring;
use crate::clients::JobClients;
use crate::copier::target::{self, Target};
use crate::failure::{Failure, Remedy, Result};
use crate::job::{JobId, JobSpec, Relay, Root};
use crate::lister::fetch::Fetch;
use crate::lister::page::{self, Listing, Rules};
use crate::message::{Decided, Ending, KeyRange, ListTask, ListedObject};
use crate::metrics::{Metrics, Role};
use crate::patience::patiently;
use crate::process::is_read;
use crate::source::client::BucketRef;
use crate::submit::Request;

/// Prints what a copy would do; gives the exit code.
///
/// What is at the destination already is not looked at: every `--overwrite` is as if nothing were.
///
/// # Errors
/// What would keep the job from being submitted, or from being listed at all.
pub(super) async fn run(
    request: &Request,
    wiring: &Wiring,
    output: &Output,
    shutdown: &CancellationToken,
) -> Result<u8> {
    let source = wiring
        .source(&request.source)
        .with_requester_pays(request.requester_pays);
    let id = JobId::new("dry-run");
    let spec = request.plan(&source, id, wiring.clock.unix_ms()).await?;
    let clients = wiring.clients().of(&spec)?;
    let mut run = DryRun {
        rules: Rules::new(&spec.options)?,
        metrics: Metrics::new(Role::Copy)?,
        report: Report::new(&spec, output),
        clients: &clients,
        spec: &spec,
    };
    for (number, root) in (0..).zip(&spec.roots) {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(1),
            listed = run.root(number, root) => listed?,
        }
    }
    run.report.finish()
}

/// One dry run.
struct DryRun<'a> {
    spec: &'a JobSpec,
    clients: &'a JobClients,
    rules: Rules,
    metrics: Metrics,
    report: Report<'a>,
}

impl DryRun<'_> {
    async fn root(&mut self, number: u32, root: &Root) -> Result<()> {
        let mut next = Some(KeyRange::default());
        while let Some(range) = next.take_if(|_| is_read()) {
            let task = ListTask {
                job: self.spec.id.clone(),
                id: 0,
                root: number,
                range,
                round: 0,
                only: Vec::new(),
                without: Vec::new(),
            };
            let fetch = Fetch::new(&self.clients.source, &self.metrics, root, &self.rules);
            match patiently(|| fetch.page(&task.range)).await {
                Ok(listing) => next = self.page(&task, root, listing).await?,
                Err(failure) if failure.remedy == Remedy::Stop => return Err(failure),
                Err(failure) => self.report.range_failed(root, &failure)?,
            }
        }
        Ok(())
    }

    /// Tells a page in the order of its keys; gives the range behind it.
    async fn page(
        &mut self,
        task: &ListTask,
        root: &Root,
        listing: Listing,
    ) -> Result<Option<KeyRange>> {
        let mut draft = page::draft(task, root, &self.rules, 0, listing)?;
        let tasks = std::mem::take(&mut draft.tasks);
        let page = draft.whole();
        self.report.listed(&page);
        let mut decided = page.decided.iter().peekable();
        for task in &tasks {
            while let Some(before) = decided.next_if(|one| one.index < task.id.index) {
                self.decided(root, before)?;
            }
            self.object(root, &task.object).await?;
        }
        for after in decided {
            self.decided(root, after)?;
        }
        Ok(page.next.into_iter().next())
    }

    /// An object that a copier would get: what that decides before it asks either cloud.
    async fn object(&mut self, root: &Root, listed: &ListedObject) -> Result<()> {
        let object = Object {
            key: &listed.key,
            version: listed.version.as_deref(),
            size: listed.size,
        };
        let blob = match target::of(self.clients, self.spec, root, object.key).await {
            Ok(Target::Blob { name, .. }) => self.fetchable(root, &object).await.map(|()| name),
            Ok(Target::Skipped(skip, why)) => {
                return self.report.skip(root, &object, skip.as_str(), &why);
            }
            Err(failure) => Err(failure),
        };
        match blob {
            Ok(blob) => self.report.copy(root, &object, &blob),
            Err(failure) => self.failed(root, &object, &failure),
        }
    }

    /// Where nothing may be relayed, only what Azure can fetch is copied.
    async fn fetchable(&self, root: &Root, object: &Object<'_>) -> Result<()> {
        if self.spec.options.relay != Relay::Never {
            return Ok(());
        }
        let bucket = BucketRef {
            name: root.bucket.clone(),
            region: root.region.clone(),
        };
        let source = &self.clients.source;
        source.fetchable(&bucket, object.key, object.version).await
    }

    fn decided(&mut self, root: &Root, decided: &Decided) -> Result<()> {
        let object = Object {
            key: &decided.key,
            version: None,
            size: decided.size,
        };
        match &decided.ending {
            Ending::Copied { .. } => Ok(()),
            Ending::Skipped { reason, message } => self.report.skip(root, &object, reason, message),
            Ending::Failed { reason, message } => self.report.fail(root, &object, *reason, message),
        }
    }

    fn failed(&mut self, root: &Root, object: &Object<'_>, failure: &Failure) -> Result<()> {
        self.report
            .fail(root, object, failure.reason, &failure.message)
    }
}
