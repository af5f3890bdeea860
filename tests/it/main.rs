//! Integration tests: everything at real sockets.

mod bad_input;
mod broker_amqp;
mod broker_contract;
mod broker_embedded;
mod destination_credentials;
mod rabbitmq;
mod source_credentials;
