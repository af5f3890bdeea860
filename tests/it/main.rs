//! Integration tests: everything at real sockets.
#![cfg(test)]

mod bridge;
mod end_to_end;
mod end_to_end_cases;
mod end_to_end_check;
mod moto;
mod parts;
