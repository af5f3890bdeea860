# shellcheck shell=bash
# A Docker daemon of our own, and images made without a registry. Sourced by run.sh, which sets
# $work; ends with end_daemon, by its pid.

start_daemon() {
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0
    # Two daemons would share one bridge and one set of firewall rules.
    [ ! -S /var/run/docker.sock ] || die "a Docker daemon runs already: stop it first"
    mkdir -p "$work"
    dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        --host "$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
    daemon=$!
    until docker info >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || die "dockerd ended: $(tail -n 3 "$work/dockerd.log")"
        sleep 0.2
    done
}

end_daemon() {
    [ -n "${daemon:-}" ] || return 0
    kill "$daemon" 2>/dev/null
    wait "$daemon"
}

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# A minimal Debian of the given release as an image.
base() {
    have_image "blobfleet-test/$1" && return
    step "debootstrap $1"
    local root=$work/boot-$1
    rm -rf "$root"
    debootstrap --variant=minbase "$1" "$root" http://deb.debian.org/debian >"$work/boot.log" 2>&1 \
        || die "debootstrap $1: $(tail -n 1 "$work/boot.log")"
    tar -C "$root" -c . | docker import - "blobfleet-test/$1" >/dev/null
    rm -rf "$root"
}

# image NAME CONTEXT: builds images/NAME.Dockerfile where it changed.
image() {
    step "image $1"
    docker build -q -t "blobfleet-test/$1" -f "images/$1.Dockerfile" "$2" >"$work/build.log" 2>&1 \
        || die "image $1: $(tail -n 5 "$work/build.log")"
}

# This machine's toolchain as a build context, with the authorities it was told to trust.
toolchain() {
    have_image blobfleet-test/rust && return
    local context=$work/toolchain sysroot
    sysroot=$(rustc --print sysroot)
    rm -rf "$context"
    mkdir -p "$context/toolchain" "$context/authorities"
    cp -a "$sysroot/bin" "$sysroot/lib" "$context/toolchain/"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$context/authorities" {} +
    image rust "$context"
    rm -rf "$context"
}

images() {
    base bookworm
    base trixie
    image rabbitmq images
    image prometheus images
    image compose images
    toolchain
}
