//! Integration tests: everything at real sockets.
#![cfg(test)]

mod azcopy;
mod azurite;
mod blob_semantics;
mod bridge;
mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod destination_credentials;
mod end_to_end;
mod end_to_end_cases;
mod end_to_end_check;
mod end_to_end_fleet;
mod moto;
mod parts;
mod rabbitmq;
mod simcloud_refuses;
mod simcloud_tricks;
mod simcloud_wire;
