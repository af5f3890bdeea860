//! Makes a missing container once, however many objects wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use crate::destination::client::{ContainerState, Destination};
use crate::failure::{Failure, Reason, Result};

/// Containers this process has made or found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Containers {
    made: Arc<Mutex<HashMap<String, Arc<OnceCell<ContainerState>>>>>,
}

impl Containers {
    /// Makes the container unless it has been made before; concurrent callers wait for one.
    pub(super) async fn ensure(
        &self,
        destination: &Destination,
        name: &str,
    ) -> Result<ContainerState> {
        let cell = self
            .made
            .lock()
            .await
            .entry(name.to_owned())
            .or_default()
            .clone();
        cell.get_or_try_init(|| async {
            let state = destination.create_container(name).await?;
            tracing::info!(container = name, ?state, "container");
            Ok(state)
        })
        .await
        .copied()
    }

    /// Forgets a container that turned out to be missing after all.
    pub(super) async fn forget(&self, name: &str) {
        self.made.lock().await.remove(name);
    }
}

/// A container that is not there, and that could not be made.
pub(super) fn missing(name: &str) -> Failure {
    Failure::give_up(
        Reason::ContainerRejected,
        format!(
            "container {name} does not exist and the SAS may not create it; create it, or give a \
             SAS that may"
        ),
    )
}
