//! The `blobfleet` command.

fn main() {}
