#!/usr/bin/env bash
# The whole check, from a bare Debian or Ubuntu machine (as root) with Rust and network:
#
#   bash tests/run.sh
#
# Installs what is missing (tests/parts/install.sh), then runs cargo fmt, clippy and every test,
# each once: a test that fails is not tried again. The last line is `N passed, N failed`, summed
# over all test programs; a step other than a test counts as one. The exit code is 0 when nothing
# failed.
set -uo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export BLOBFLEET_PARTS=${BLOBFLEET_PARTS:-/opt/blobfleet-parts}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

limit=$((39 * 60)) # seconds for everything: a test that hangs is ended and fails
passed=0
failed=0

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*"
    failed=$((failed + 1))
}
finish() {
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
    exit
}

# Adds up the lines `test result: ok. 12 passed; 0 failed; …` of the log.
count() {
    local line
    while IFS= read -r line; do
        if [[ $line =~ ^"test result: "[^0-9]*([0-9]+)" passed; "([0-9]+)" failed;" ]]; then
            passed=$((passed + BASH_REMATCH[1]))
            failed=$((failed + BASH_REMATCH[2]))
        fi
    done <"$1"
}

tests() {
    local log before=$failed status
    log=$(mktemp)
    timeout --kill-after=10 $((limit - SECONDS)) \
        cargo test --workspace --no-fail-fast --locked 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    count "$log"
    rm -f "$log"
    # A build that broke or a test program that died leaves no result line of its own.
    if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
        fail "cargo test (exit code $status)"
    fi
    [ "$passed" -gt 0 ] || fail "no test ran"
}

step "parts"
bash tests/parts/install.sh || { fail "tests/parts/install.sh"; finish; }
command -v cargo >/dev/null || { fail "missing part: cargo (install Rust 1.94.1 or newer)"; finish; }

step "cargo fmt --check"
cargo fmt --all --check || fail "cargo fmt"

step "cargo clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings || fail "cargo clippy"

step "cargo test"
tests
finish
