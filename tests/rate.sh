#!/usr/bin/env bash
# The rate of a job beside one whose container refuses every write, by hand, in some minutes on an
# idle machine:
#
#   bash tests/rate.sh [OBJECTS]
#
# One fleet of two copiers over a RabbitMQ of its own; a job of OBJECTS (20,000) alone and beside a
# job of 20,000 that is held, five turns of both. The median of the ratios must be 0.9 or
# more. Prints each turn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export BLOBFLEET_RATE_OBJECTS=${1:-20000}
exec cargo test --locked --test it fleet_rate -- --nocapture
