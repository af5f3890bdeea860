//! Integration tests: everything at real sockets.

mod destination_credentials;
