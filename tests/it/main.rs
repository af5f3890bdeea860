//! Integration tests: everything at real sockets.
