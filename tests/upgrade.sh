#!/usr/bin/env bash
# An upgrade of a running fleet, by hand:
#
#   bash tests/upgrade.sh FOLDER
#
# FOLDER has blobfleet, reporter, lister and copier of an older version (target/debug of its
# checkout). A fleet of theirs over a RabbitMQ of its own, and a copy of one process, are killed
# with listing and copying half done; this version's programs go on with them. Then an older copier
# copies beside a reporter and a lister of now. Prints where each job stood and what it came to.
set -euo pipefail
BLOBFLEET_OLDER=$(realpath "${1:?the folder of the older programs}")
export BLOBFLEET_OLDER
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
exec cargo test --locked --test it _of_before_ -- --nocapture --test-threads 1
