//! Whether the broker can be reached, told of once when it cannot and once when it can again.

use std::sync::{Mutex, PoisonError};

use prometheus::IntGauge;
use tokio::time::Instant;

use super::address::Address;
use crate::failure::{Failure, Remedy};

/// What the connections of one process know of their broker together.
#[derive(Debug)]
pub(super) struct Contact {
    /// 1 while it can be reached.
    connected: Option<IntGauge>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Nobody has connected yet: whoever starts says so itself.
    #[default]
    New,
    Connected,
    Away(Instant),
}

impl Contact {
    pub(super) fn new(connected: Option<IntGauge>) -> Self {
        Self {
            connected,
            state: Mutex::default(),
        }
    }

    /// Notes that a channel was opened.
    pub(super) fn note_connected(&self, address: &Address) {
        let before = self.replace(State::Connected);
        self.show(1);
        if let State::Away(since) = before {
            let seconds = since.elapsed().as_secs();
            tracing::warn!("{address} is back after {seconds} s: work goes on");
        }
    }

    /// Notes that a connection failed, or was found to be lost.
    pub(super) fn note_failure(&self, failure: &Failure) {
        if failure.remedy != Remedy::Retry {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Connected = *state {
            *state = State::Away(Instant::now());
            self.show(0);
            tracing::warn!(
                "{failure}: nothing is lost, what is in hand waits, and it is tried again until it \
                 is back"
            );
        }
    }

    fn show(&self, connected: i64) {
        if let Some(gauge) = &self.connected {
            gauge.set(connected);
        }
    }

    fn replace(&self, state: State) -> State {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut now, state)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failure::Reason;

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_was_there_can_be_lost() {
        let gauge = IntGauge::new("connected", "1 while it is").unwrap();
        let contact = Contact::new(Some(gauge.clone()));
        let address = Address::parse("amqp://localhost", Duration::from_secs(1)).unwrap();
        let away = Failure::retry(Reason::BrokerUnavailable, "out of reach");
        contact.note_failure(&away);
        assert_eq!(gauge.get(), 0);
        contact.note_connected(&address);
        assert_eq!(gauge.get(), 1);
        contact.note_failure(&Failure::stop(Reason::BrokerRejected, "no such vhost"));
        assert_eq!(gauge.get(), 1, "it answers");
        contact.note_failure(&away);
        assert_eq!(gauge.get(), 0);
        contact.note_connected(&address);
        assert_eq!(gauge.get(), 1);
    }
}
