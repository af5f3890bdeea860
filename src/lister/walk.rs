//! Lists one page of one range and publishes what it found.

use super::fetch::Fetch;
use super::page::{self, Rules};
use super::{Lister, Unfinished, publish};
use crate::failure::Result;
use crate::job::JobSpec;
use crate::message::{Headers, ListTask, Report};

impl Lister {
    pub(super) async fn list(&self, spec: &JobSpec, task: &ListTask) -> Result<(), Unfinished> {
        let root = spec.root(task.root).map_err(Unfinished::Failed)?;
        let source = self.clients.source(spec);
        let rules = Rules::new(&spec.options).map_err(Unfinished::Failed)?;
        let fetch = Fetch::new(&source, &self.metrics, root, &rules);
        let listing = match &task.only[..] {
            [] => fetch.page(&task.range).await,
            keys => fetch.objects(keys).await,
        }
        .map_err(Unfinished::Failed)?;
        let draft =
            page::draft(task, root, &rules, rand::random(), listing).map_err(Unfinished::Failed)?;
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
}
