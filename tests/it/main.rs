//! Integration tests: everything at real sockets.
#![cfg(test)]

mod azcopy;
mod azurite;
mod bad_input;
mod blob_semantics;
mod bridge;
mod broker_amqp;
mod broker_contract;
mod broker_contract_jobs;
mod broker_embedded;
mod broker_fixture;
mod broker_start;
mod cli;
mod dashboard;
mod destination_credentials;
mod embedded_durability;
mod embedded_ledger;
mod embedded_model;
mod end_to_end;
mod end_to_end_cases;
mod end_to_end_check;
mod end_to_end_fleet;
mod harness;
mod keys;
mod kill;
mod moto;
mod parts;
mod power;
mod prometheus;
mod rabbitmq;
mod refresh;
mod simcloud_refuses;
mod simcloud_tricks;
mod simcloud_wire;
mod sizes;
mod source_credentials;
