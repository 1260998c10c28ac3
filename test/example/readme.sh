#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# README.md shows what is: its program is the one that is built here, and runs; its diagram is the machine's.
# From the environment: PROJECT_ROOT, TRESOR_TOOL, EXAMPLE.
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"
readme=$PROJECT_ROOT/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fence() {
    awk -v open="\`\`\`$1" '$0 == open { inside = 1; next } /^```/ { inside = 0 } inside' "$readme"
}

shows_program() {
    fence c | diff -u "$PROJECT_ROOT/test/example/load.c" -
}

shows_machine() {
    fence mermaid | diff -u <("$TRESOR_TOOL" states block --format mermaid) -
}

runs_program() {
    "$TRESOR_TOOL" generate --format gguf --size 1M --tensors 12 "$work/model.gguf" &&
        [ "$("$EXAMPLE" "$work/model.gguf" | wc -l)" -eq 12 ] &&
        ! "$EXAMPLE" "$work/missing.gguf"
}

finds_links() {
    local link
    grep -o '](\([^)#]*\)' "$readme" | sed 's/^](//' | while read -r link; do
        [ -e "$PROJECT_ROOT/$link" ] || {
            echo "missing: $link"
            return 1
        }
    done
}

tap 'the program in README.md is test/example/load.c' shows_program
tap 'the diagram in README.md is that of the block machine' shows_machine
tap 'the program runs' runs_program
tap 'what README.md links to is there' finds_links
tap_end
