//! Integration tests: everything at real sockets.
#![cfg(test)]
#![expect(
    unreachable_pub,
    reason = "one crate of many files, which share their harnesses"
)]

mod azcopy;
mod azurite;
mod bad_input;
mod blob_semantics;
mod bridge;
mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod cli;
mod dashboard;
mod destination_credentials;
mod end_to_end;
mod end_to_end_cases;
mod end_to_end_check;
mod end_to_end_fleet;
mod moto;
mod parts;
mod prometheus;
mod rabbitmq;
mod simcloud_refuses;
mod simcloud_wire;
mod source_credentials;
