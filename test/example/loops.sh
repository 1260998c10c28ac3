#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The programs that load a model in a host's loop say what they loaded, and fail where there is nothing to load.
# From the environment: PROJECT_ROOT, TRESOR_TOOL, LOOP_POLL, LOOP_EPOLL, LOOP_UV (empty: not built).
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$TRESOR_TOOL" generate --format gguf --size 24M --tensors 12 "$work/model.gguf" >/dev/null
bytes=$("$TRESOR_TOOL" inspect "$work/model.gguf" | sed -nE 's/^tensors +12, ([0-9]+) bytes.*/\1/p')
[ -n "$bytes" ]

# In a build with the address sanitizer, memory that is still held fails the program.
loads() {
    local said
    said=$("$1" "$work/model.gguf") || return
    echo "$said"
    [[ $said =~ ^12\ tensors,\ $bytes\ bytes$2$ ]]
}

says_what_failed() {
    local status=0
    "$1" "$work/missing.gguf" 2>"$work/said" || status=$?
    cat "$work/said"
    [ "$status" -eq 1 ] && grep -q missing.gguf "$work/said"
}

check() {
    local name=$1 program=$2 ticks=$3
    if [ -z "$program" ]; then
        tap_skip "$name loads a model" 'libuv is missing'
        tap_skip "$name says what failed" 'libuv is missing'
        return
    fi
    tap "$name loads a model" loads "$program" "$ticks"
    tap "$name says what failed" says_what_failed "$program"
}

check loop_poll "$LOOP_POLL" ''
check loop_epoll "$LOOP_EPOLL" ', [0-9]+ ticks'
check loop_uv "$LOOP_UV" ', [0-9]+ ticks'
tap_end
