//! What RabbitMQ's errors mean: a failure that passes, one that ends a queue, one for people.

use std::io;

use lapin::ErrorKind;
use tokio::time::{error::Elapsed, timeout};

use super::address::Address;
use crate::failure::{Failure, Reason, Result};

/// AMQP reply codes, see the AMQP 0-9-1 reference, "Constants".
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Waits for an answer of the broker, but not for ever.
pub(super) async fn answer<T>(
    address: &Address,
    doing: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T> {
    match timeout(address.deadline(), call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure(address, doing, &error)),
        Err(elapsed) => Err(silence(address, doing, elapsed)),
    }
}

/// The broker accepted a request and did not answer: an alarm blocks it, or the way to it is cut.
pub(super) fn silence(address: &Address, doing: &str, _: Elapsed) -> Failure {
    let seconds = address.deadline().as_secs();
    let text = format!(
        "{address} did not answer within {seconds} s ({doing}): look for a memory or disk alarm at RabbitMQ"
    );
    Failure::retry(Reason::BrokerUnavailable, text).perhaps()
}

/// Says what an error means and what to do.
pub(super) fn failure(address: &Address, doing: &str, error: &lapin::Error) -> Failure {
    let rejected = |text| Failure::stop(Reason::BrokerRejected, text);
    match reply(error) {
        Some((ACCESS_REFUSED, text)) => rejected(format!(
            "{address} refuses {doing} ({text}): check user, password and permissions of {}",
            address.user()
        )),
        // RabbitMQ accepts connections before its vhosts have started: "vhost '/' is down".
        Some((NOT_ALLOWED, text)) if text.contains("is down") => Failure::retry(
            Reason::BrokerUnavailable,
            format!("{address} is not ready ({doing}): {text}"),
        ),
        Some((NOT_ALLOWED, text)) => rejected(format!(
            "{address} refuses {doing} ({text}): {}",
            vhost_remedy(address.vhost())
        )),
        Some((NOT_FOUND, text)) if text.contains("no queue") => Failure::give_up(
            Reason::BrokerRejected,
            format!("{text} ({doing}): its job has ended or was never submitted"),
        ),
        // RabbitMQ: "message size 16777300 is larger than configured max size 16777216".
        Some((PRECONDITION_FAILED, text)) if text.contains("is larger than") => Failure::give_up(
            Reason::BrokerRejected,
            format!(
                "{address} refuses a message ({text}): raise max_message_size in rabbitmq.conf"
            ),
        ),
        _ if is_certificate(error) => rejected(format!(
            "{address} cannot be trusted ({error}): install its CA certificate on this machine"
        )),
        _ => Failure::retry(
            Reason::BrokerUnavailable,
            format!("{address} is out of reach ({doing}): {error}"),
        ),
    }
}

/// A declaration of a queue that exists with other arguments.
pub(super) fn declare_failure(address: &Address, name: &str, error: &lapin::Error) -> Failure {
    match reply(error) {
        Some((PRECONDITION_FAILED, text)) => Failure::stop(
            Reason::BrokerRejected,
            format!(
                "queue {name} exists at {address} with other arguments ({text}): \
                 drain and delete it, or use another vhost"
            ),
        ),
        _ => failure(address, &format!("to declare queue {name}"), error),
    }
}

/// Was it a permission that was missing?
pub(super) fn is_denied(error: &lapin::Error) -> bool {
    reply(error).is_some_and(|(code, _)| code == ACCESS_REFUSED)
}

fn vhost_remedy(vhost: &str) -> String {
    if vhost.is_empty() {
        "a URL that ends in / names the vhost \"\"; write %2f after it for the default vhost /"
            .into()
    } else {
        format!("check that the vhost {vhost} exists and that the user may enter it")
    }
}

fn reply(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

fn is_certificate(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::IOError(error) if error.kind() == io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError};

    use super::*;
    use crate::failure::Remedy;

    fn said(text: &str) -> Failure {
        let address = Address::parse("amqp://localhost", Duration::from_secs(1)).unwrap();
        let kind = AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED);
        let error = ErrorKind::ProtocolError(AMQPError::new(kind, text.into()));
        failure(&address, "the connection", &error.into())
    }

    #[test]
    fn a_vhost_that_starts_is_waited_for_and_a_wrong_one_is_not() {
        let starts = "NOT_ALLOWED - access to vhost '/' refused for user 'g': vhost '/' is down";
        assert_eq!(said(starts).remedy, Remedy::Retry);
        let wrong = said("NOT_ALLOWED - vhost films not found");
        assert_eq!(wrong.remedy, Remedy::Stop);
        assert_eq!(wrong.reason, Reason::BrokerRejected);
    }
}
