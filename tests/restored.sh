#!/usr/bin/env bash
# The long run of the test that restores a ledger from earlier copies, by hand (a quarter of an hour
# or so):
#
#   bash tests/restored.sh
#
# Jobs of 164 keys in 28 pages, of which one request in seven is refused at first, on the embedded
# queue and on a RabbitMQ of its own (Debian's package); the clouds are simulated. Each case is a job
# whose ledger is put back to a copy taken on the way, in the middle of the job, at its end, and when
# what failed was put back: with its write-ahead log, without, with that of another moment, and with
# the last. Prints each case with what had to be done until every key was copied and counted once, at
# the end how many there were of each, and fails where one was not.
#
#   BLOBFLEET_RESTORE_POINTS   copies tried of each kind (10)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export BLOBFLEET_RESTORE_POINTS=${BLOBFLEET_RESTORE_POINTS:-10}
exec cargo test --locked --test it restored:: -- --nocapture --test-threads 1 </dev/null
