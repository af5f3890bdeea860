//! Integration tests: everything at real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod broker_amqp;
mod broker_contract;
mod broker_contract_jobs;
mod broker_embedded;
mod broker_fixture;
mod embedded_durability;
mod embedded_ledger;
mod embedded_model;
mod power;
mod rabbitmq;
