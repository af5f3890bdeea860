//! Azurite, Microsoft's own emulator of Blob Storage, on a free port.

use crate::parts;

/// The account Azurite has.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// Its key, which is published and no secret.
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Starts an empty Azurite that keeps everything in memory; it ends when the server is dropped,
/// or with the test program.
pub(crate) fn start() -> parts::Server {
    let program = parts::path("azurite/node_modules/.bin/azurite-blob");
    let flags = "--blobPort 0 --disableTelemetry --skipApiVersionCheck --inMemoryPersistence";
    let flags: Vec<&str> = flags.split(' ').collect();
    parts::Server::start(&program, &flags, "successfully listens on ")
}
