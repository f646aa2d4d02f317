#!/usr/bin/env bash
# Makes sure of the programs that the tests run for real: PostgreSQL 15+, MariaDB, Chromium, nginx, Caddy, Apache with
# mod_auth_openidc and mod_auth_mellon, SimpleSAMLphp, a font, and a library that Playwright takes for granted.
#
# As root, or where sudo asks no password, on Debian and its relatives: installs what is missing. Elsewhere
# says what is missing and how to get it, and exits 1: a test without its tool is a failure, never a skip.
set -euo pipefail

say() { printf '→ %s\n' "$*"; }

has_postgres() {
    local bin
    for bin in "$(dirname "$(command -v postgres 2>/dev/null || echo /none/postgres)")" /usr/lib/postgresql/*/bin; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || continue
        [ "$("$bin/postgres" --version | grep -oE '[0-9]+' | head -1)" -ge 15 ] && return
    done
    return 1
}
has_program() {
    local name
    for name in "$@"; do
        PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$name" >/dev/null 2>&1 && return
    done
    return 1
}
has_font() {
    # Without any font Chromium draws empty boxes, and a screenshot proves nothing.
    find /usr/share/fonts /usr/local/share/fonts "$HOME/.fonts" -name '*.[to]tf' -print -quit 2>/dev/null | grep -q .
}

has_library() {
    # ldconfig lies where only root's PATH looks.
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -F "$1" >/dev/null # not -q: it would break the pipe
}

# The Debian packages that are missing, one word each.
missing() {
    has_postgres || echo postgresql
    has_program mariadb-install-db || echo mariadb-server-core
    has_program my_print_defaults || echo mariadb-client-core # what makes its first tables asks this one
    has_program chromium chromium-browser google-chrome || echo chromium
    has_program nginx || echo nginx
    has_program apache2 || echo apache2-bin
    [ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || echo libapache2-mod-auth-openidc
    [ -e /usr/lib/apache2/modules/mod_auth_mellon.so ] || echo libapache2-mod-auth-mellon
    has_program caddy || echo caddy
    has_program php || echo php-cli
    [ -e /usr/share/simplesamlphp/www ] || echo simplesamlphp php-xml php-sqlite3
    has_program curl || echo curl
    has_font || echo fonts-dejavu-core
    has_library libatomic.so.1 || echo libatomic1 # the Node that Playwright brings along needs it
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
    "${as_root[@]}" true 2>/dev/null || as_root=(none)
fi
if [ "${as_root[0]:-}" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    printf '\n✗ The tests need programs that this machine lacks: %s\n' "$packages" >&2
    printf '  On Debian and Ubuntu: sudo apt-get install %s\n' "$packages" >&2
    printf '  Elsewhere: the same programs by your own package manager, on PATH.\n' >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A person watches apt's own progress. A log gets its hundreds of lines only if it fails.
apt() {
    local command=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 "$@")
    if [ -t 1 ]; then
        "${command[@]}" </dev/null
    elif ! "${command[@]}" -qq -o Dpkg::Use-Pty=0 </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        return 1
    fi
}

# The packages would start a PostgreSQL, an nginx, a Caddy and an Apache of the machine's own, which nobody asked for. Debian's
# way to say no is this file; one that exists is the owner's word and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy; rm -f "$log"' EXIT
fi

say "asking Debian for its package list"
apt update
say "installing for the tests: $packages(no service is started)"
# shellcheck disable=SC2086 # one word per package is what is wanted
apt install --yes --no-install-recommends $packages

left=$(missing | tr '\n' ' ')
[ -z "$left" ] || { printf '\n✗ Still missing after installing: %s\n' "$left" >&2; exit 1; }
