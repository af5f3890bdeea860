//! Integration tests: everything at real sockets.

mod azcopy;
mod parts;
mod simcloud_refuses;
mod simcloud_wire;
