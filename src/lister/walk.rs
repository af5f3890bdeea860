//! Lists one page of one range and publishes what it found.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fetch::Fetch;
use super::page::{self, Rules};
use super::{Lister, Unfinished, publish};
use crate::broker::Queue;
use crate::failure::Result;
use crate::job::JobSpec;
use crate::message::{Headers, ListTask, Report};

/// How long a list task is held while the copy queue is above its mark.
const HOLD: Duration = Duration::from_secs(120);
/// How often the queue is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);

impl Lister {
    pub(super) async fn list(
        &self,
        spec: &JobSpec,
        task: &ListTask,
        shutdown: &CancellationToken,
    ) -> Result<(), Unfinished> {
        self.wait_for_room(task, shutdown).await?;
        let root = spec.root(task.root).map_err(Unfinished::Failed)?;
        let source = self.clients.source(spec);
        let rules = Rules::new(&spec.options).map_err(Unfinished::Failed)?;
        let fetch = Fetch::new(&source, &self.metrics, root, &rules);
        let listing = match &task.only[..] {
            [] => fetch.page(&task.range).await,
            keys => fetch.objects(keys).await,
        }
        .map_err(Unfinished::Failed)?;
        let draft = page::draft(task, root, &rules, rand::random(), listing);
        let found = u64::from(draft.objects());
        let page = publish::tasks(&*self.broker, draft)
            .await
            .map_err(Unfinished::Failed)?
            .ok_or(Unfinished::NoRoom)?;
        let headers = Headers {
            job: page.job.to_string(),
            list_task: page.list_task,
            nonce: page.nonce,
            ..Headers::default()
        };
        publish::report(&*self.broker, headers, &Report::Page(page))
            .await
            .map_err(Unfinished::Failed)?;
        self.metrics.listed_objects.inc_by(found);
        Ok(())
    }

    /// Holds the task while the job has enough to copy; gives it back after a while.
    async fn wait_for_room(
        &self,
        task: &ListTask,
        shutdown: &CancellationToken,
    ) -> Result<(), Unfinished> {
        let queue = Queue::Copy(task.job.clone());
        let until = Instant::now() + HOLD;
        loop {
            let depth = self
                .broker
                .depth(&queue)
                .await
                .map_err(Unfinished::Failed)?;
            if depth.ready < self.low_mark {
                return Ok(());
            }
            if Instant::now() >= until || shutdown.is_cancelled() {
                return Err(Unfinished::NoRoom);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
