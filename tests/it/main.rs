//! Integration tests: everything at real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod embedded_durability;
mod power;
mod rabbitmq;
