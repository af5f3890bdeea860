//! What the roles of a fleet share: the broker, the job log, the HTTP server.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::board::Board;
use crate::broker::Broker;
use crate::broker::amqp::{AmqpBroker, AmqpOptions};
use crate::clients::Clients;
use crate::config::BrokerArgs;
use crate::expiry;
use crate::failure::Result;
use crate::metrics::{Metrics, Role};
use crate::process::DRAIN;
use crate::serve;

/// How long a role may take to stop; it bounds its own work by [`DRAIN`].
const STOP: Duration = DRAIN.saturating_add(Duration::from_secs(10));
/// How long the connections to the broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// A role's connection to its fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) board: Board,
    pub(super) metrics: Metrics,
    following: JoinHandle<Result<()>>,
    stop_following: CancellationToken,
}

impl Fleet {
    /// Connects, reads the job log and goes on following it.
    pub(super) async fn join(args: &BrokerArgs, role: Role) -> Result<Self> {
        let metrics = Metrics::new(role)?;
        let options = AmqpOptions {
            wait: Duration::from_secs(args.broker_wait),
            name: format!("blobfleet {}", role.as_str()),
            connected: Some(metrics.broker_connected.clone()),
            ..AmqpOptions::default()
        };
        let broker: Arc<dyn Broker> =
            AmqpBroker::connect(args.broker.expose_secret(), options).await?;
        let stop_following = CancellationToken::new();
        let (board, following) = Board::follow(broker.clone(), stop_following.clone()).await?;
        Ok(Self {
            broker,
            board,
            metrics,
            following,
            stop_following,
        })
    }

    /// Serves metrics, where an address was given.
    pub(super) async fn serve(
        &self,
        args: &BrokerArgs,
        more: Router,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        if let Some(address) = args.listen {
            serve::start(address, self.metrics.clone(), more, shutdown.clone()).await?;
        }
        Ok(())
    }

    /// Shows and says when credentials end, until the handle is dropped.
    pub(super) fn watch_credentials(&self, clients: &Clients) -> AbortOnDropHandle<()> {
        let watching = expiry::watch(clients.clone(), self.metrics.clone());
        AbortOnDropHandle::new(tokio::spawn(watching))
    }

    /// Runs a role's work; the job log ending by a failure ends it too. Work that does not end
    /// within [`STOP`] of `shutdown` is left: what it had in hand comes back to others.
    pub(super) async fn run(
        &mut self,
        work: impl Future<Output = Result<()>>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP).await;
        };
        tokio::select! {
            result = work => result,
            () = overdue => {
                tracing::warn!("work begun was not finished in time; it will be done again");
                Ok(())
            }
            followed = &mut self.following => match followed {
                Ok(result) => result,
                Err(error) => Err(crate::failure::Failure::stop(
                    crate::failure::Reason::Internal,
                    format!("the job log is not followed any more: {error}"),
                )),
            },
        }
    }

    /// Leaves the fleet.
    pub(super) async fn leave(self) -> Result<()> {
        self.stop_following.cancel();
        // A broker that is away does not hold up the end of the program.
        let closed = tokio::time::timeout(CLOSE, self.broker.close()).await;
        closed.unwrap_or(Ok(()))
    }
}
