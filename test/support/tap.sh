# SPDX-License-Identifier: MIT
# For test programs in bash: tap NAME COMMAND... is one case, tap_end closes the program.
# shellcheck shell=bash
tap_cases=0
tap_failed=0

# The command's output becomes comments, and is shown only where it failed.
tap() {
    local name=$1 output
    shift
    tap_cases=$((tap_cases + 1))
    if output=$("$@" 2>&1); then
        printf 'ok %d - %s\n' "$tap_cases" "$name"
        return
    fi
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_cases" "$name"
    printf '%s\n' "$output" | sed 's/^/# /'
}

tap_skip() {
    tap_cases=$((tap_cases + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tap_cases" "$1" "$2"
}

# A program that dies before this line has no plan, and its exit code says that it failed.
tap_end() {
    printf '1..%d\n' "$tap_cases"
    [ "$tap_failed" -eq 0 ] && [ "$tap_cases" -gt 0 ]
}
