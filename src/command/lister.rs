//! The `lister` program: submits a job or joins it, and lists.

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::absence;
use super::again;
use super::azcopy_json::Ending;
use super::fleet::Fleet;
use super::output::Output;
use super::progress::Progress;
use super::wiring::{self, AWS_HOME, Wiring};
use crate::board::{self, Board, KnownJob};
use crate::broker::Broker;
use crate::config::{Env, ListerCli};
use crate::copier::probe::{self, Writers};
use crate::destination::url::DestinationUrl;
use crate::failure::{Failure, Reason, Result};
use crate::job::{JobId, JobSpec};
use crate::lister::Lister;
use crate::message::JobEvent;
use crate::metrics::Role;
use crate::reporter::summary::Summary;
use crate::retry::RetryPolicy;
use crate::submit::Request;

/// List tasks worked on at a time.
const LIST_CONCURRENCY: u16 = 8;

/// Runs until the job's listing or the job is done, or until `shutdown`; gives the exit code.
///
/// # Errors
/// What keeps the job from being submitted or listed.
pub async fn run(mut cli: ListerCli, env: Env, shutdown: CancellationToken) -> Result<u8> {
    let destination = cli.destination.as_deref();
    let destination = destination.map(DestinationUrl::parse).transpose()?;
    cli.s3.settings = wiring::read_settings(env).await?;
    let request = asked(&cli, env)?;
    let home = request
        .as_ref()
        .map_or(AWS_HOME, |request| request.source.home_region());
    let wiring = Wiring::new(&cli.s3.access, home, destination.as_ref(), false, env)?;
    if let Some(destination) = &destination {
        wiring.check_destination(destination).await?;
    }
    let mut fleet = Fleet::join(&cli.broker, Role::Lister).await?;
    fleet.serve(&cli.broker, Router::new(), &shutdown).await?;
    let joined = match request {
        Some(request) => {
            let request = wiring.find_addressing(request, &cli.s3).await?;
            Some(submit(&fleet, &request, &wiring, cli.copy.new).await?)
        }
        None => None,
    };
    let clients = wiring.clients();
    let _watching = fleet.watch_credentials(&clients);
    let lister = Lister {
        broker: fleet.broker.clone(),
        board: fleet.board.clone(),
        clients,
        metrics: fleet.metrics.clone(),
        concurrency: LIST_CONCURRENCY,
        retry: RetryPolicy::default(),
    };
    let stop = shutdown.child_token();
    let broker = fleet.broker.clone();
    let watching = watch(
        &*broker,
        fleet.board.clone(),
        joined,
        cli.wait,
        stop.clone(),
    );
    tracing::info!("lister ready");
    let mut result = None;
    let work = async {
        let listing = async {
            let listed = lister.run(stop.clone()).await;
            // Whatever ended it: nobody lists any more, so there is nothing to wait for.
            stop.cancel();
            listed
        };
        let (watched, listed) = tokio::join!(watching, listing);
        result = watched;
        listed
    };
    fleet.run(work, &shutdown).await?;
    fleet.leave().await?;
    match result {
        Some(known) if cli.wait => tell(&known, Output::new(&cli.output, wiring.clock)),
        _ => Ok(0),
    }
}

/// The job that the command line asks for, if it asks for one.
fn asked(cli: &ListerCli, env: Env) -> Result<Option<Request>> {
    match (cli.source.as_deref(), cli.destination.as_deref()) {
        (Some(from), Some(to)) => cli.copy.request(&cli.s3, (from, to), env).map(Some),
        (Some(_), None) => Err(Failure::stop(Reason::Usage, "a SOURCE needs a DESTINATION")),
        (None, _) => Ok(None),
    }
}

/// The job that is waited for.
#[derive(Debug)]
struct Joined {
    job: JobId,
    /// Its round as it was joined. The board may not have heard of it yet and show an end before it.
    round: u32,
}

impl Joined {
    fn of(known: &KnownJob) -> Self {
        Self {
            job: known.spec.id.clone(),
            round: known.round,
        }
    }
}

/// What a job came to, if it has ended.
fn ended(known: &KnownJob) -> Option<Summary> {
    let end = known.end.as_ref()?;
    Some(Summary::of_end(&known.spec, end, known.listed))
}

/// Prints what a job came to, if it has ended; gives the exit code.
fn tell(known: &KnownJob, output: Output) -> Result<u8> {
    let Some(summary) = ended(known) else {
        return Ok(0);
    };
    Progress::of_fleet(output).finish(&summary, Ending::default(), None)?;
    Ok(summary.exit_code())
}

/// Appends the job to the log, or finds it there.
async fn submit(fleet: &Fleet, request: &Request, wiring: &Wiring, new: bool) -> Result<Joined> {
    let broker = &*fleet.broker;
    let jobs = board::read(broker).await?;
    let prefix = format!("{}-", request.identity());
    let last = jobs
        .iter()
        .filter(|job| job.spec.id.as_str().starts_with(&prefix))
        .last();
    let runs = jobs
        .iter()
        .filter(|job| job.spec.id.as_str().starts_with(&prefix))
        .count();
    match last {
        Some(job) if job.end.is_none() => {
            tracing::info!(job.id = %job.spec.id, "joining the job");
            return Ok(Joined::of(job));
        }
        _ => {}
    }
    let job = request.job_id(u32::try_from(runs).unwrap_or(u32::MAX).saturating_add(1));
    if let Some(known) = last
        && let Some(ended) = ended(known)
    {
        if !new {
            tracing::warn!(job.id = %ended.job_id, "{}", again::no_run(&ended));
            return Ok(Joined::of(known));
        }
        let begins = again::new_run(&ended, &job, request.options.overwrite);
        tracing::warn!(job.id = %job, "{begins}");
    }
    let source = wiring
        .source(&request.source)
        .with_requester_pays(request.requester_pays);
    let now_ms = wiring.clock.unix_ms();
    let destination_clock = wiring.read_destination_clock(&request.destination).await;
    let spec = JobSpec {
        destination_clock,
        ..request.plan(&source, job.clone(), now_ms).await?
    };
    let clients = wiring.clients().of(&spec)?;
    probe::check(&clients, &spec, &fleet.metrics, Writers::Others).await?;
    tracing::info!(job.id = %job, roots = spec.roots.len(), "job submitted");
    board::append(broker, Some(&job), &JobEvent::Submitted(Box::new(spec))).await?;
    Ok(Joined { job, round: 0 })
}

/// Waits for the job's listing, or its end, then cancels `stop`; without a job, for `stop`.
async fn watch(
    broker: &dyn Broker,
    board: Board,
    joined: Option<Joined>,
    to_the_end: bool,
    stop: CancellationToken,
) -> Option<KnownJob> {
    let Some(joined) = joined else {
        stop.cancelled().await;
        return None;
    };
    let known = tokio::select! {
        () = stop.cancelled() => None,
        known = done(board, &joined, to_the_end) => known,
        never = absence::tell(broker, &joined.job) => never,
    };
    if known.is_some() {
        stop.cancel();
    }
    known
}

/// The job once it is listed, or has ended; none where nobody follows the log any more.
async fn done(mut board: Board, joined: &Joined, to_the_end: bool) -> Option<KnownJob> {
    loop {
        let known = board.jobs().get(&joined.job).cloned();
        if let Some(known) = known
            && known.round >= joined.round
            && (known.end.is_some() || (known.listed && !to_the_end))
        {
            return Some(known);
        }
        if !board.changed().await {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Jobs;
    use crate::job::{JobEnd, JobStatus, Totals};

    /// A board that stands at a job's first end.
    fn board(job: &JobId) -> Board {
        let spec = JobSpec::sample(0);
        let end = JobEnd {
            job: job.clone(),
            status: JobStatus::CompletedWithErrors,
            ended_at_ms: 1,
            totals: Totals::default(),
            round: 0,
        };
        let mut jobs = Jobs::default();
        jobs.apply(JobEvent::Submitted(Box::new(spec)));
        jobs.apply(JobEvent::Ended(end));
        Board::standing(jobs)
    }

    #[tokio::test]
    async fn an_end_before_the_round_that_was_joined_is_not_the_jobs() {
        for (round, ended) in [(0, true), (1, false)] {
            let job = JobId::new("j-1");
            let board = board(&job);
            for to_the_end in [true, false] {
                let joined = Joined {
                    job: job.clone(),
                    round,
                };
                let done = done(board.clone(), &joined, to_the_end).await;
                assert_eq!(done.is_some(), ended, "round {round}");
            }
        }
    }
}
