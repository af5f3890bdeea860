# shellcheck shell=bash
# The fleet under docker-compose.yml, and the questions run.sh asks it. Sourced by run.sh.

services=(rabbitmq reporter lister copier prometheus)
project=blobfleet-test

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Everything docker-compose.yml reads from the environment, apart from the clouds.
settings() {
    unset AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_REGION AZURE_STORAGE_CONNECTION_STRING
    export BLOBFLEET_IMAGE=blobfleet-test/fleet RABBITMQ_IMAGE=blobfleet-test/rabbitmq
    export PROMETHEUS_IMAGE=blobfleet-test/prometheus
    export BASE_BUILD_IMAGE=blobfleet-test/rust BASE_RUNTIME_IMAGE=blobfleet-test/bookworm
    REPORTER_PORT=$(free_port)
    PROMETHEUS_PORT=$(free_port)
    export REPORTER_PORT PROMETHEUS_PORT
    CLOUD_ADDRESS=$(docker network inspect bridge -f '{{(index .IPAM.Config 0).Gateway}}')
    export CLOUD_ADDRESS CLOUD_AUTHORITY=$work/authority.pem
}

files=(-f "$root/docker-compose.yml" -f "$root/tests/compose/override.yml")

compose1() { docker-compose -p "$project" "${files[@]}" "$@"; }

# docker compose v2 speaks to the same daemon from inside a container of it.
compose2() {
    local names
    mapfile -t names < <(compgen -e | grep -E '^(SOURCE|DESTINATION|(AWS|AZURE|BLOBFLEET|CLOUD)_.*|.*_(PORT|IMAGE))$')
    docker run --rm "${names[@]/#/--env=}" --volume "$root:$root:ro" --workdir "$root" \
        --volume "$work/docker.sock:/var/run/docker.sock" blobfleet-test/compose \
        docker compose -p "$project" "${files[@]}" "$@"
}

compose() {
    if [ "${COMPOSE:-}" = v2 ]; then compose2 "$@"; else compose1 "$@"; fi
}

# By docker-compose 1.29 in any case: v2 would need a builder that Debian's Docker lacks.
build_fleet() { compose1 build copier >"$work/build.log" 2>&1 || die "build: $(tail -n 5 "$work/build.log")"; }

fleet_up() {
    compose up -d --no-build --scale "copier=$copiers" "${services[@]}" >>"$work/up.log" 2>&1 \
        || die "up: $(tail -n 5 "$work/up.log")"
}

fleet_down() {
    [ -n "${PROMETHEUS_PORT:-}" ] || return 0
    compose1 down -v --remove-orphans -t 10 >/dev/null 2>&1
}

# What the processes wrote, for whoever reads a failed run.
fleet_says() {
    [ -n "${PROMETHEUS_PORT:-}" ] || return 0
    compose1 logs --no-color --tail 15 lister copier reporter 2>/dev/null
}

# S3 and Blob on the host's loopback, forwarded from the address that containers know the host by.
start_cloud() {
    step "simulated cloud with $objects objects"
    cargo build -q --release --locked --manifest-path "$root/Cargo.toml" -p simcloud --example serve
    local says=$work/cloud.txt
    rm -f "$says"
    "$(target_folder)/release/examples/serve" --tls --objects "$objects" >"$says" 2>&1 &
    cloud=$!
    until_true 60 "the simulated cloud is up" grep -q 'END CERTIFICATE' "$says"
    eval "$(grep '^export AWS_[A-Z]*_[A-Z_]*KEY' "$says")"
    sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$says" >"$CLOUD_AUTHORITY"
    python3 forward.py "$CLOUD_ADDRESS" 443 "$(sed -n 's/^# TLS .*127\.0\.0\.1:\([0-9]*\),.*/\1/p' "$says")" &
    forwarder=$!
    SOURCE=s3://bucket-0
    DESTINATION=https://simaccount.blob.core.windows.net$(sed -n "s/^export DESTINATION='[^?]*\(.*\)'/\1/p" "$says")
    export SOURCE DESTINATION
}

target_folder() { cargo metadata --manifest-path "$root/Cargo.toml" --no-deps --format-version 1 | jq -r .target_directory; }

end_cloud() {
    local pid
    for pid in "${cloud:-}" "${forwarder:-}"; do
        [ -n "$pid" ] || continue
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
}

ids() { docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"; }

ended() {
    local id
    for id in $(ids "$1"); do
        [ "$(docker inspect -f '{{.State.Running}}' "$id")" = false ] || return 1
    done
}

# Every container of the services has ended by itself and with 0.
exited_well() {
    local service id code
    for service in "$@"; do
        for id in $(ids "$service"); do
            code=$(docker inspect -f '{{.State.Running}} {{.State.ExitCode}}' "$id")
            [ "$code" = "false 0" ] || die "$service: running and exit code: $code"
        done
    done
}

jobs_answer() { curl -fsS "http://127.0.0.1:$REPORTER_PORT/api/jobs"; }
total() { jobs_answer | jq -c ".jobs[0].$1"; }
total_at_least() { [ "$(total "$1")" -ge "$2" ]; }
job_ended() { [ "$(total status)" != '"Running"' ]; }

# The value of an expression that has one sample.
prometheus_says() {
    curl -fsS "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" --data-urlencode "query=$1" \
        | jq -r '.data.result[0].value[1] // "nothing"'
}
copiers_scraped() { [ "$(prometheus_says 'sum(up{job="copier"})')" = "$copiers" ]; }
agrees() {
    [ "$(prometheus_says "sum(blobfleet_job_objects{state=\"$1\"})")" = "$(total "objects_$1")" ]
}

# until_true SECONDS WHAT COMMAND…: asks again until the command succeeds.
until_true() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" 2>/dev/null; do
        [ "$SECONDS" -lt "$end" ] || die "not within $seconds s: $what"
        sleep 0.5
    done
}
