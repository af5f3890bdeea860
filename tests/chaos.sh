#!/usr/bin/env bash
# The long run of the chaos test, by hand (a quarter of an hour or more):
#
#   bash tests/chaos.sh
#
# 50,000 objects, 32 processes killed, 4 broker restarts, on a RabbitMQ of its own (Debian's
# package); both clouds are simulated and misbehave. Prints its seed first and what it came to at
# the end: objects, kills, seconds, copies repeated and how many may be.
#
#   BLOBFLEET_CHAOS_SEED       the seed of another run, to draw the same blows and faults
#   BLOBFLEET_CHAOS_OBJECTS    objects
#   BLOBFLEET_CHAOS_KILLS      processes killed
#   BLOBFLEET_CHAOS_RESTARTS   times the broker is killed
#   BLOBFLEET_CHAOS_AMQP       a broker that runs already, such as RabbitMQ 4.0 in a container:
#
#   docker run -d --name rabbit4 -p 5673:5672 rabbitmq:4.0
#   BLOBFLEET_CHAOS_AMQP=amqp://guest:guest@127.0.0.1:5673/%2f bash tests/chaos.sh
#
# It must not have been used before, as the run brings a ledger of its own. It is not restarted,
# and is not asked what is unacknowledged: the windows are counted instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export BLOBFLEET_CHAOS_SEED=${BLOBFLEET_CHAOS_SEED:-$RANDOM}
export BLOBFLEET_CHAOS_OBJECTS=${BLOBFLEET_CHAOS_OBJECTS:-50000}
export BLOBFLEET_CHAOS_KILLS=${BLOBFLEET_CHAOS_KILLS:-32}
export BLOBFLEET_CHAOS_RESTARTS=${BLOBFLEET_CHAOS_RESTARTS:-4}
exec cargo test --locked --test it chaos:: -- --nocapture </dev/null
