//! The `copier` program.

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use super::wiring::{AWS_HOME, Wiring};
use crate::config::{CopierCli, Env};
use crate::copier::Copier;
use crate::destination::url::DestinationUrl;
use crate::failure::Result;
use crate::metrics::Role;
use crate::prompt::Prompter;
use crate::retry::RetryPolicy;

/// Runs until `shutdown`.
///
/// # Errors
/// What keeps it from copying anything at all.
pub async fn run(cli: CopierCli, env: Env, shutdown: CancellationToken) -> Result<u8> {
    let destination = cli.destination.as_deref();
    let destination = destination.map(DestinationUrl::parse).transpose()?;
    let speed = cli.speed.speed(env)?;
    let wiring = Wiring::new(&cli.access, AWS_HOME, destination.as_ref(), false, env)?;
    if let Some(destination) = &destination {
        wiring.check_destination(destination).await?;
    }
    let mut fleet = Fleet::join(&cli.broker, Role::Copier).await?;
    fleet.serve(&cli.broker, Router::new(), &shutdown).await?;
    let clients = wiring.clients();
    let _watching = fleet.watch_credentials(&clients);
    let copier = Copier {
        broker: fleet.broker.clone(),
        board: fleet.board.clone(),
        clients,
        metrics: fleet.metrics.clone(),
        speed,
        retry: RetryPolicy::default(),
        prompter: Prompter::nobody(),
        many_jobs: true,
    };
    tracing::info!("copier ready");
    let work = copier.run(shutdown.clone());
    fleet.run(work, &shutdown).await?;
    fleet.leave().await?;
    Ok(0)
}
