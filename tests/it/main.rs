//! Integration tests: everything at real sockets.

mod simcloud_refuses;
mod simcloud_wire;
