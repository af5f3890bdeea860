#!/usr/bin/env bash
# Installs the parts the tests run against: programs nobody here wrote.
#
#   from the distribution  rabbitmq-server, prometheus, python3-venv, libsecret-1-0, a C compiler
#   from npm               Azurite (a Blob service), AzCopy
#   from PyPI, in a venv   moto (an S3 service), boto3, azure-storage-blob
#
# Debian or Ubuntu, as root. All but the distribution's packages goes to BLOBFLEET_PARTS
# (/opt/blobfleet-parts). What is there already is left alone, so a second run takes a moment.
# No service is started: the tests start what they need on private ports.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=${BLOBFLEET_PARTS:-/opt/blobfleet-parts}
azurite_version=3.35.0 # the last for Node 20; 3.36 needs 21
azcopy_version=10.32.2
node_least=18

say() { printf 'parts: %s\n' "$*"; }
missing() {
    printf 'parts: missing part: %s\n' "$*" >&2
    exit 1
}

# Runs a command quietly; shows its output and names the part when it fails.
quietly() {
    local part=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        missing "$part (failed: $*)"
    fi
    rm -f "$log"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Leaves the policy that forbids services to start as it found it.
without_services() {
    local policy=/usr/sbin/policy-rc.d made=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    "$@" || status=$?
    [ "$made" = no ] || rm -f "$policy"
    return "$status"
}

apt() {
    quietly "$1" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "${@:2}"
}

distribution_packages() {
    local wanted=(rabbitmq-server prometheus python3 python3-venv libsecret-1-0 gcc libc6-dev ca-certificates)
    local lacking=() package
    for package in "${wanted[@]}"; do
        installed "$package" || lacking+=("$package")
    done
    command -v node >/dev/null || lacking+=(nodejs)
    command -v npm >/dev/null || lacking+=(npm)
    [ "${#lacking[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || missing "${lacking[*]} (no apt-get: Debian or Ubuntu is needed)"
    [ "$(id -u)" = 0 ] || missing "${lacking[*]} (root is needed to install them)"
    say "installing ${lacking[*]}"
    apt "package lists" update
    without_services apt "${lacking[*]}" install --no-install-recommends "${lacking[@]}"
}

# Says whether FOLDER was completed for VERSION.
complete() { [ "$(cat "$1/.complete" 2>/dev/null)" = "$2" ]; }

from_npm() {
    local folder=$parts/$1 package=$2 version=$3
    complete "$folder" "$version" && return 0
    say "installing $package $version from npm"
    rm -rf "$folder"
    mkdir -p "$folder"
    quietly "$1" npm install --prefix "$folder" --no-audit --no-fund --no-update-notifier \
        "$package@$version"
    [ "$1" != azcopy ] || link_azcopy "$folder"
    printf '%s' "$version" >"$folder/.complete"
}

# The package forgets the run bit, and names the file after the machine.
link_azcopy() {
    local binary
    binary=$(find "$1/node_modules" -type f -name 'azcopy_linux_*' | head -n 1)
    [ -n "$binary" ] || missing "azcopy (its package holds no program)"
    chmod 755 "$binary"
    ln -sfn "$binary" "$1/azcopy"
}

from_pypi() {
    local folder=$parts/venv requirements=$here/requirements.txt python=/usr/bin/python3 version
    version=$(sha256sum <"$requirements" | cut -d ' ' -f 1)
    complete "$folder" "$version" && return 0
    say "installing moto, boto3 and azure-storage-blob from PyPI"
    rm -rf "$folder"
    quietly "python venv" "$python" -m venv "$folder"
    quietly "moto" "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$requirements"
    printf '%s' "$version" >"$folder/.complete"
}

# Asks each part for its version, so that a broken one is named here and not by forty tests.
check() {
    local part=$1
    shift
    quietly "$part" "$@"
}

node_is_new_enough() {
    local version
    version=$(node --version) # v20.1.2
    version=${version#v}
    [ "${version%%.*}" -ge "$node_least" ] ||
        missing "node (version $node_least or newer is needed, this is $version)"
}

main() {
    mkdir -p "$parts" 2>/dev/null || missing "$parts (cannot be made: set BLOBFLEET_PARTS)"
    exec 9>"$parts/.lock"
    flock 9 # two runs at once share one folder
    distribution_packages
    node_is_new_enough
    from_npm azurite azurite "$azurite_version"
    from_npm azcopy @azure-tools/azcopy-linux "$azcopy_version"
    from_pypi
    check rabbitmq-server test -x /usr/sbin/rabbitmq-server
    check prometheus prometheus --version
    check setpriv setpriv --version
    check azurite "$parts/azurite/node_modules/.bin/azurite-blob" --version
    check azcopy env AZCOPY_DISABLE_SYSLOG=true AZCOPY_LOG_LOCATION="$parts/azcopy" "$parts/azcopy/azcopy" --version
    check moto "$parts/venv/bin/python" -c 'import moto, boto3, azure.storage.blob'
    check moto test -x "$parts/venv/bin/moto_server"
    say "all there, in $parts"
}

main
