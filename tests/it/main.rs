//! Integration tests: everything at real sockets.

mod source_credentials;
