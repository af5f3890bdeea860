#!/usr/bin/env bash
# Back-pressure on a small broker, by hand, in about a quarter of an hour:
#
#   bash tests/backpressure.sh [SECONDS]
#
# RabbitMQ with the shipped rabbitmq.conf, told that it has 512 MB of memory as in a container of
# that size; a source of 20 million simulated keys; copies that take two seconds each. The lister
# must be held at the bound for SECONDS (600) without an alarm, and go on once copies are fast.
# Prints what waited and what memory the broker and the roles took.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export BLOBFLEET_HELD_SECONDS=${1:-600}
exec cargo test --locked --test it trouble::pressure -- --nocapture
