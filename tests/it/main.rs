//! Integration tests: everything at real sockets.

mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod dashboard;
mod destination_credentials;
mod prometheus;
mod rabbitmq;
mod source_credentials;
