//! The small HTTP server every role may have: `/metrics`, `/healthz` (it lives), `/readyz` (it
//! reaches its broker), and what the role adds.

mod bounded;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::bounded::Bounded;
use crate::failure::{Failure, Reason, Result};
use crate::files;
use crate::metrics::Metrics;

/// The content type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Binds `address` and serves until `shutdown`; gives the address bound.
///
/// # Errors
/// The address is taken or not of this machine.
pub async fn start(
    address: SocketAddr,
    metrics: Metrics,
    more: Router,
    shutdown: CancellationToken,
) -> Result<SocketAddr> {
    let unusable = |error: std::io::Error| {
        Failure::stop(
            Reason::Usage,
            format!("cannot listen on {address}: {error}: give another --listen address"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let bound = listener.local_addr().map_err(unusable)?;
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(metrics)
        .merge(more);
    tracing::info!(%bound, "serving /metrics, /healthz and /readyz");
    tokio::spawn(async move {
        let stopped = async move { shutdown.cancelled().await };
        let listener = Bounded::new(listener, files::most_served());
        if let Err(error) = axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
        {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(bound)
}

async fn show_readiness(State(metrics): State<Metrics>) -> (StatusCode, &'static str) {
    match metrics.broker_connected.get() {
        1 => (StatusCode::OK, "ready\n"),
        _ => {
            let why = "the broker cannot be reached; nothing is lost, it is tried again\n";
            (StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(failure) => (StatusCode::INTERNAL_SERVER_ERROR, failure.message).into_response(),
    }
}
