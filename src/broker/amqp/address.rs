//! The broker's URL: checked once, and shown without its password.

use std::fmt;
use std::time::Duration;

use lapin::uri::AMQPUri;

use crate::failure::{Failure, Reason, Result};

/// Seconds between heartbeats where the URL does not say.
const HEARTBEAT: u16 = 15;
/// Milliseconds for the TCP connection where the URL does not say.
const CONNECT_MS: u64 = 10_000;

/// Where RabbitMQ is. `Display` shows `amqp://user@host:port/vhost`, never the password.
#[derive(Clone)]
pub(super) struct Address {
    uri: AMQPUri,
    deadline: Duration,
}

impl Address {
    /// Understands a URL; every answer from there may take as long as `deadline`.
    pub(super) fn parse(url: &str, deadline: Duration) -> Result<Self> {
        let parsed = reqwest::Url::parse(url).map_err(|error| usage(&error.to_string()))?;
        if !matches!(parsed.scheme(), "amqp" | "amqps") {
            return Err(usage("the scheme is neither amqp nor amqps"));
        }
        let Some(host) = parsed.host_str().filter(|host| !host.is_empty()) else {
            return Err(usage("it names no host"));
        };
        // The text of these errors may quote the URL, and the URL holds the password.
        let mut uri: AMQPUri = url
            .parse()
            .map_err(|_| usage("it cannot be parsed: percent-encode what is special in it"))?;
        // The parser knows names and IPv4 only and would take an IPv6 address for localhost.
        uri.authority.host = host.trim_matches(['[', ']']).to_owned();
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.connection_timeout.get_or_insert(CONNECT_MS);
        Ok(Self { uri, deadline })
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    /// How long an answer may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.uri.authority;
        let host = if authority.host.contains(':') {
            format!("[{}]", authority.host)
        } else {
            authority.host.clone()
        };
        let vhost = self.uri.vhost.replace('/', "%2f");
        write!(
            f,
            "{}://{}@{host}:{}/{vhost}",
            self.uri.scheme, authority.userinfo.username, authority.port
        )
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn usage(what: &str) -> Failure {
    let text =
        format!("the broker URL is wrong: {what}; it reads amqp://USER:PASSWORD@HOST:PORT/VHOST");
    Failure::stop(Reason::Usage, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_shown_without_their_password() {
        for (url, shown) in [
            ("amqp://h", "amqp://guest@h:5672/%2f"),
            ("amqp://u:secret@h/", "amqp://u@h:5672/"),
            ("amqp://u:secret@h:1/%2f", "amqp://u@h:1/%2f"),
            (
                "amqps://u:se%2fcret@10.0.0.1/jobs",
                "amqps://u@10.0.0.1:5671/jobs",
            ),
            ("amqp://u:secret@[::1]:7/%2f", "amqp://u@[::1]:7/%2f"),
        ] {
            let address = Address::parse(url, Duration::ZERO).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
        }
    }

    #[test]
    fn an_ipv6_host_is_not_taken_for_localhost() {
        let address = Address::parse("amqp://[fd00::1]/%2f", Duration::ZERO).unwrap();
        assert_eq!(address.uri().authority.host, "fd00::1");
    }

    #[test]
    fn a_wrong_url_is_refused_without_showing_it() {
        for url in [
            "localhost:5672",
            "http://u:secret@h/",
            "amqp://",
            "amqp://u:secret@/%2f",
            "amqp://u:secret@h:port/",
            "amqp://u:secret@h/%2f?heartbeat=secret",
            "amqp://u:secret@h/%ff",
        ] {
            let failure = Address::parse(url, Duration::ZERO).unwrap_err();
            assert_eq!(failure.reason, Reason::Usage, "{url}");
            assert!(!failure.to_string().contains("secret"), "{url}: {failure}");
        }
    }
}
