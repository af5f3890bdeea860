//! The `reporter` program.

use std::fs::{File, TryLockError};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use crate::clock::Clock;
use crate::config::ReporterCli;
use crate::failure::{Failure, Reason, Result};
use crate::metrics::Role;
use crate::private;
use crate::reporter::serve::router;
use crate::reporter::{LedgerHandle, Reporter};

/// Runs until `shutdown`.
///
/// # Errors
/// Its state folder cannot be used, another ledger is in charge, or the broker refuses.
pub async fn run(cli: ReporterCli, shutdown: CancellationToken) -> Result<u8> {
    let clock = Clock::system();
    let folder = cli.state.folder()?.join("reporter");
    let _lock = lock(&folder)?;
    let ledger = LedgerHandle::open(&folder)?;
    let mut fleet = Fleet::join(&cli.broker, Role::Reporter).await?;
    let api = router(ledger.clone(), clock.clone());
    fleet.serve(&cli.broker, api, &shutdown).await?;
    let reporter = Reporter {
        broker: fleet.broker.clone(),
        board: fleet.board.clone(),
        ledger,
        metrics: fleet.metrics.clone(),
        clock,
        adopt: cli.adopt,
    };
    tracing::info!("reporter ready");
    let work = reporter.run(shutdown.clone());
    fleet.run(work, &shutdown).await?;
    fleet.leave().await?;
    Ok(0)
}

fn lock(folder: &Path) -> Result<File> {
    let unusable = |error: &std::io::Error| {
        Failure::stop(
            Reason::LocalState,
            format!(
                "{}: {error}: choose a folder that can be written with --state",
                folder.display()
            ),
        )
    };
    private::create_folder(folder).map_err(|error| unusable(&error))?;
    let file = private::file_options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("reporter.lock"))
        .map_err(|error| unusable(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::stop(
            Reason::LocalState,
            format!(
                "{}: another reporter works with this folder: stop it or give another --state",
                folder.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(unusable(&error)),
    }
}
