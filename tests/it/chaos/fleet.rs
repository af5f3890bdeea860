//! The fleet under attack: what runs, what is killed, and what each kill may cost.

use std::time::Duration;

use blobfleet::job::Totals;
use blobfleet::reporter::ledger::{Ledger, Parcel};
use rand::RngExt;
use rand::rngs::StdRng;
use simcloud::ACCOUNT;

use super::broker::Rabbit;
use super::clouds::{Clouds, ROOTS, SIZES};
use super::plan::Victim;
use super::scale::Scale;
use crate::roles::{Role, Site};

/// List tasks a lister holds at most.
const LIST_WINDOW: u16 = 8;

/// What a blow may cause to be copied again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Copy tasks that were unacknowledged.
    pub(super) tasks: u64,
    /// List tasks that were unacknowledged: a page each.
    pub(super) pages: u64,
}

/// All processes of the fleet.
#[derive(Debug)]
pub(super) struct Fleet<'a> {
    scale: &'a Scale,
    pub(super) site: Site,
    pub(super) rabbit: Rabbit,
    submit: Vec<String>,
    copiers: Vec<Role>,
    listers: Vec<Role>,
    submitter: Option<Role>,
    reporter: Option<Role>,
}

impl<'a> Fleet<'a> {
    /// Starts every role and submits the job.
    pub(super) fn start(scale: &'a Scale, clouds: &Clouds) -> Self {
        let rabbit = Rabbit::start(scale.broker.as_ref());
        let broker = rabbit.url();
        let destination = format!("{}/", clouds.cloud.blob_url(ACCOUNT));
        let mut submit: Vec<String> = ["s3://chaos-*", &destination, "--recursive", "--wait"]
            .map(str::to_owned)
            .into();
        // One that is killed as the job ends is started again.
        submit.push("--new=false".to_owned());
        submit.extend(SIZES.map(str::to_owned));
        submit.extend(["--output-type", "json", "--broker", &broker].map(str::to_owned));
        let mut fleet = Self {
            scale,
            site: Site::new(&clouds.cloud),
            rabbit,
            submit,
            copiers: Vec::new(),
            listers: Vec::new(),
            submitter: None,
            reporter: None,
        };
        fleet.reporter = Some(fleet.site.reporter(&broker));
        fleet.copiers = (0..scale.copiers).map(|_| fleet.copier()).collect();
        fleet.listers = (0..2).map(|_| fleet.lister()).collect();
        fleet.submitter = Some(fleet.submitter());
        fleet
    }

    fn copier(&self) -> Role {
        let concurrency = format!("--concurrency={}", self.scale.concurrency);
        let args = [concurrency.as_str(), "--broker-wait=120"];
        self.site.worker("copier", &self.rabbit.url(), &args)
    }

    fn lister(&self) -> Role {
        let args = ["--broker-wait=120"];
        self.site.worker("lister", &self.rabbit.url(), &args)
    }

    fn submitter(&self) -> Role {
        let args: Vec<&str> = self.submit.iter().map(String::as_str).collect();
        self.site.start("lister", &args)
    }

    /// Nobody ends but by our hand.
    pub(super) fn must_be_alive(&mut self) {
        let several = self.copiers.iter_mut().chain(&mut self.listers);
        several
            .chain(&mut self.reporter)
            .for_each(Role::must_be_alive);
        if let Some(submitter) = &mut self.submitter
            && submitter.ended().is_some_and(|status| !status.success())
        {
            submitter.must_be_alive();
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        let submitter = self.submitter.as_mut();
        submitter.is_some_and(|submitter| submitter.ended().is_some())
    }

    /// Waits for the job's end; gives what the submitter says about it.
    pub(super) async fn finish(&mut self) -> (Option<i32>, serde_json::Value) {
        let submitter = self.submitter.take().unwrap();
        submitter.finish(self.scale.longest).await
    }

    /// Kills somebody and starts another in its place.
    pub(super) fn strike(&mut self, victim: Victim, random: &mut StdRng) -> Cost {
        match victim {
            Victim::Copier => self.kill_copier(random),
            Victim::Lister => {
                let lister = self
                    .listers
                    .remove(random.random_range(0..self.listers.len()));
                let cost = self.kill_lister(lister);
                self.listers.push(self.lister());
                cost
            }
            Victim::Submitter => {
                let lister = self.submitter.take().unwrap();
                let cost = self.kill_lister(lister);
                self.submitter = Some(self.submitter());
                cost
            }
            Victim::Reporter => self.kill_reporter(),
            Victim::Broker => self.kill_broker(),
        }
    }

    /// What it held comes back, written or not. Half of them are killed at full speed: then they
    /// held two windows at most. The others are stopped first, and the broker is asked.
    fn kill_copier(&mut self, random: &mut StdRng) -> Cost {
        let copier = self
            .copiers
            .remove(random.random_range(0..self.copiers.len()));
        let window = self.scale.concurrency;
        let mut held = None;
        if random.random() {
            copier.freeze();
            held = self.rabbit.unacknowledged(copier.pid(), window);
        }
        copier.kill();
        self.copiers.push(self.copier());
        Cost {
            tasks: held.unwrap_or(2 * u64::from(window)),
            pages: 0,
        }
    }

    /// A page of each list task it held may be published already, and is listed again.
    fn kill_lister(&self, lister: Role) -> Cost {
        lister.freeze();
        let held = self.rabbit.unacknowledged(lister.pid(), LIST_WINDOW);
        lister.kill();
        Cost {
            tasks: 0,
            pages: held.unwrap_or(u64::from(LIST_WINDOW)),
        }
    }

    /// What it held is folded once, however often it comes. A list task that it was about to send,
    /// or whose confirm it had not noted yet, is sent again: the queue then has it twice.
    fn kill_reporter(&mut self) -> Cost {
        if let Some(reporter) = self.reporter.take() {
            reporter.kill();
        }
        let unsent = Ledger::open_read_only(&self.site.ledger())
            .and_then(|ledger| ledger.outgoing())
            .unwrap_or_default();
        let lists = unsent
            .iter()
            .filter(|it| matches!(it.parcel, Parcel::List(_)));
        let pages = lists.count() as u64;
        self.reporter = Some(self.site.reporter(&self.rabbit.url()));
        Cost { tasks: 0, pages }
    }

    /// Everything in anybody's hands comes back: two windows of each copier; and one list task of
    /// each bucket, or two where an earlier blow had it delivered twice.
    fn kill_broker(&mut self) -> Cost {
        self.rabbit.restart();
        Cost {
            tasks: 2 * u64::from(self.scale.concurrency) * self.copiers.len() as u64,
            pages: 2 * ROOTS,
        }
    }

    /// The job's totals as the ledger holds them.
    pub(super) fn totals(&self) -> Totals {
        let ledger = Ledger::open_read_only(&self.site.ledger()).ok();
        let account = ledger.and_then(|ledger| ledger.book().jobs.values().next().cloned());
        account.map(|account| account.totals).unwrap_or_default()
    }
}

/// A pause of at most so long.
pub(super) async fn pause(random: &mut StdRng, most: Duration) {
    let part: f64 = random.random();
    tokio::time::sleep(most.mul_f64(part)).await;
}
