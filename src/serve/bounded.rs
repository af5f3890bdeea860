//! A listener that serves so many connections at a time and no more, and none that is silent: who
//! asks a role must not take the files that its work needs.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::files;

/// A connection on which nothing comes or goes for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// How long to wait where no connection can be accepted.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that connections are turned away.
const AGAIN: Duration = Duration::from_secs(60);

/// A listener with so many places.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    most: usize,
    told: Option<Instant>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, most: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most)),
            most,
            told: None,
        }
    }

    /// Is it time to say again that something is turned away?
    fn tells(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= AGAIN);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Ok(place) = self.places.clone().try_acquire_owned() {
                        return (Connection::new(stream, place), address);
                    }
                    // Dropped, it is closed: who asks sees that at once.
                    drop(stream);
                    if self.tells() {
                        tracing::warn!(
                            "more than {} connections to --listen are open: new ones are closed",
                            self.most
                        );
                    }
                }
                Err(error) if is_the_callers(&error) => {}
                Err(error) => {
                    if self.tells() {
                        files::say_none_left(&error);
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Has the caller gone before it was served?
fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A connection in its place, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            idle: Box::pin(sleep(IDLE)),
            _place: place,
        }
    }

    /// Something came or went.
    fn stir(&mut self) {
        self.idle.as_mut().reset(Instant::now() + IDLE);
    }

    /// Ends in an error once nothing has come or gone for long.
    fn poll_idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.idle.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.poll_idle(context);
        }
        self.stir();
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_pending() {
            return self.poll_idle(context);
        }
        self.stir();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
