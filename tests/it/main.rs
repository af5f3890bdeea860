//! Integration tests: everything at real sockets.

mod dashboard;
mod prometheus;
