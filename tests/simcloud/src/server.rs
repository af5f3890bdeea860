//! Connections, and what every request goes through.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::blob;
use crate::body::Body;
use crate::op::{Action, OpKind};
use crate::refusal::Refusal;
use crate::s3::{self, address};
use crate::state::State;

/// Which cloud a listener plays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    S3,
    Blob,
    /// Told by the host's name; `.blob.` is Azure's.
    ByHost,
}

/// Accepts connections until it is aborted; they end with it.
pub(crate) async fn serve(
    state: Arc<State>,
    listener: TcpListener,
    side: Side,
    tls: Option<TlsAcceptor>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if stream.set_nodelay(true).is_err() {
                    continue;
                }
                let (state, tls) = (Arc::clone(&state), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => converse(state, TokioIo::new(stream), side, false).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(state, TokioIo::new(stream), side, true).await;
                            }
                        }
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn converse<S>(state: Arc<State>, stream: TokioIo<S>, side: Side, secure: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&state), request, side, secure));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(stream, service);
    // A broken connection is the client's affair, or one of the faults.
    drop(connection.await);
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    side: Side,
    secure: bool,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let host = address::host(&parts).unwrap_or_default();
    let s3 = match side {
        Side::S3 => true,
        Side::Blob => false,
        Side::ByHost => !host.contains(".blob."),
    };
    let mark = state.next_mark();
    let mut response = if s3 {
        match s3::Request::read(&parts, &state.quirks) {
            Ok(request) => {
                let (place, name) = (request.address.bucket.clone(), request.address.key.clone());
                let run = async { request.run(&state, &parts) };
                attend(&state, &parts, request.kind, place, &name, run).await?
            }
            Err(refusal) => refuse(&state, &parts, None, &refusal, true),
        }
    } else {
        match blob::Request::read(&parts, &host) {
            Ok(request) => {
                let run = request.run(&state, &parts, body, secure);
                let place = request.place();
                attend(&state, &parts, request.kind, place, &request.name, run).await?
            }
            Err(refusal) => refuse(&state, &parts, None, &refusal, false),
        }
    };
    let clock = match s3 {
        true => &state.s3_clock,
        false => &state.clock,
    };
    let date = HeaderValue::from_str(&clock.told());
    if let Ok(date) = date {
        response.headers_mut().insert(hyper::header::DATE, date);
    }
    let id = HeaderValue::from_str(&format!("{mark:016x}"));
    let name = match s3 {
        true => "x-amz-request-id",
        false => "x-ms-request-id",
    };
    if let Ok(id) = id {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), id);
    }
    if !s3 {
        blob::common(&mut response, &parts);
    }
    Ok(response)
}

/// Lets a request fare as hook and faults decide.
async fn attend(
    state: &Arc<State>,
    parts: &Parts,
    kind: OpKind,
    place: String,
    name: &str,
    run: impl Future<Output = Result<Response<Body>, Refusal>>,
) -> io::Result<Response<Body>> {
    let (_, action) = state.admit(kind, place, name);
    let schedule = state.schedule();
    if let Some(latency) = schedule.latency(kind) {
        tokio::time::sleep(latency).await;
    }
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    match &action {
        Action::Fail { status, code } => {
            let refusal = Refusal::new(*status, *code, "a fault that was asked for");
            return Ok(refuse(state, parts, Some(kind), &refusal, kind.is_s3()));
        }
        Action::ResetBefore => return Err(broken()),
        Action::SilentBefore => {
            tokio::time::sleep(schedule.hold()).await;
            return Err(broken());
        }
        Action::Delay(delay) => tokio::time::sleep(*delay).await,
        Action::Hold(until) => until.notified().await,
        Action::Pass | Action::ResetAfter | Action::CutBody | Action::SilentAfter => {}
    }
    let mut response = match run.await {
        Ok(response) => {
            // Counted here, as whoever asked may be gone before the connection breaks.
            if action.loses_the_answer() {
                state.counters.count_lost(kind);
            }
            response
        }
        Err(refusal) => refuse(state, parts, Some(kind), &refusal, kind.is_s3()),
    };
    match action {
        Action::ResetAfter => Err(broken()),
        Action::SilentAfter => {
            tokio::time::sleep(schedule.hold()).await;
            Err(broken())
        }
        Action::CutBody => {
            response.body_mut().cut_in_half();
            Ok(response)
        }
        _ => Ok(response),
    }
}

fn refuse(
    state: &State,
    parts: &Parts,
    kind: Option<OpKind>,
    refusal: &Refusal,
    s3: bool,
) -> Response<Body> {
    if let Some(kind) = kind {
        state.counters.count_refusal(kind);
    }
    let path = parts.uri.path();
    let details: Vec<&str> = refusal.elements.iter().map(|(_, v)| v.as_str()).collect();
    state.remember(format!(
        "{} {path}: {} {}: {} {details:?}",
        parts.method, refusal.status, refusal.code, refusal.message
    ));
    let mut response = match s3 {
        true => s3::refuse(refusal, parts, &format!("{:016x}", state.next_mark())),
        false => blob::refuse(refusal, parts),
    };
    for (name, value) in &refusal.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}
