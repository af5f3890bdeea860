//! Integration tests: everything at real sockets.

mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod destination_credentials;
mod harness;
mod keys;
mod kill;
mod rabbitmq;
mod sizes;
