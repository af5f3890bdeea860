//! Integration tests: everything at real sockets.
#![cfg(test)]

mod bridge;
mod moto;
mod parts;
