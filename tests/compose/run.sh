#!/usr/bin/env bash
# Tries docker-compose.yml for real, without any registry: a Docker daemon of its own, images made
# with debootstrap (RabbitMQ 4.0 and Prometheus from Debian trixie, the fleet built by
# deploy/Dockerfile with this machine's Rust), a simulated S3 and Blob on the host that answers to
# Amazon's and Azure's own names.
#
#   bash tests/compose/run.sh            # as root; Debian: docker.io docker-compose debootstrap jq
#   OBJECTS=100000 COPIERS=5 bash tests/compose/run.sh
#   COMPOSE=v2 bash tests/compose/run.sh # with docker compose v2 (Debian trixie, in a container)
#
# It brings the fleet up, stops all copiers in mid-job and brings them back, waits for the job's
# end, compares the reporter's totals with Prometheus' and with what the source holds, and stops
# everything. Grafana has no Debian package and is left out. What is built stays in $WORK for the
# next run; nothing is left running.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)
work=${WORK:-/var/tmp/blobfleet-compose}
objects=${OBJECTS:-30000}
copiers=${COPIERS:-3}

step() { printf '== %s\n' "$*"; }
die() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# shellcheck source=daemon.sh
. ./daemon.sh
# shellcheck source=fleet.sh
. ./fleet.sh

end() {
    local status=$?
    set +e
    trap - EXIT
    [ "$status" -eq 0 ] || fleet_says
    fleet_down
    end_cloud
    end_daemon
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

for program in dockerd docker docker-compose debootstrap cargo jq curl python3; do
    command -v "$program" >/dev/null || die "missing: $program"
done

step "docker daemon in $work"
start_daemon
images
settings

step "the file is valid for docker-compose 1.29 and for docker compose v2"
docker-compose -f "$root/docker-compose.yml" config -q
compose1 config -q
compose2 config -q

step "build"
build_fleet
start_cloud

step "up with $copiers copiers"
fleet_up
until_true 120 "Prometheus scrapes $copiers copiers" copiers_scraped

step "stop all copiers in mid-job, then go on"
until_true 120 "some objects are copied" total_at_least objects_copied $((objects / 10))
compose stop copier
exited_well copier
[ "$(total status)" = '"Running"' ] || die "the job ended before the copiers did: raise OBJECTS"
fleet_up

step "wait for the end"
until_true 600 "the job has ended" job_ended
jobs_answer | jq -c '.jobs[0]'
[ "$(total status)" = '"Completed"' ] || die "status $(total status)"
for state in listed copied skipped failed; do
    expected=0
    case $state in listed | copied) expected=$objects ;; esac
    [ "$(total "objects_$state")" = "$expected" ] \
        || die "$state: $(total "objects_$state"), not $expected"
    until_true 30 "Prometheus says the same of $state" agrees "$state"
done
until_true 60 "the lister has ended" ended lister
exited_well lister

step "stop: everyone drains and ends with 0"
compose stop
exited_well copier reporter rabbitmq prometheus

printf '\nFleet of %s copiers: %s objects copied, totals equal, everyone drained\n' \
    "$copiers" "$objects"
