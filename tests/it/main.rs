//! Integration tests: everything at real sockets.

mod destination_credentials;
mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod rabbitmq;
