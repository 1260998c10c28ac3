# SPDX-License-Identifier: MIT
# Read by tools/check. Steps and test runs, each a line that tells; what they add up to is printed at the end.
# shellcheck shell=bash

passed=0
failed=0
skipped=0
log=$(mktemp)
cases=$(mktemp)

# Printed however the script ends. Nothing that ran is nothing that passed.
finish() {
    local status=$?
    rm -f "$log" "$cases"
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] || exit 1
}
trap finish EXIT

seconds() {
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%6.1f s", to - from }'
}

# One step: its name, then its command, which must end with an exit code that tells.
step() {
    local name=$1 start=$EPOCHREALTIME
    shift
    : >"$log"
    if "$@" >>"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf 'ok   %s  %s\n' "$(seconds "$start")" "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL %s  %s\n' "$(seconds "$start")" "$name"
        cat "$log"
        return 1
    fi
}

# A directory that meson cannot take up again, like one of an older meson, is made anew.
setup() {
    local folder=$1
    shift
    if [ -f "$folder/meson-private/coredata.dat" ]; then
        meson setup --reconfigure "$folder" "$@" && return
        echo "making $folder anew"
    fi
    rm -rf "$folder"
    meson setup "$folder" "$@"
}

# All targets, and no warning. What is asked for is not optional here: a missing library fails the setup.
build() {
    setup "$@" --werror || return
    : >"$log" # a setup that went well has nothing to say about a compilation that fails
    meson compile -C "$1"
}

# The undefined-behaviour sanitizer only prints, unless told to stop. `test_wrapper`, where it is set, runs the programs, which
# may take longer then.
run_meson_test() {
    local folder=$1 suite suites=()
    shift
    for suite; do
        case $suite in
        -*) suites+=(--no-suite "${suite#-}") ;;
        *) suites+=(--suite "$suite") ;;
        esac
    done
    rm -f "$folder"/meson-logs/testlog*
    ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        TSAN_OPTIONS=halt_on_error=1 \
        meson test -C "$folder" --no-rebuild --timeout-multiplier "${test_wrapper:+2}3" \
        ${test_wrapper:+--wrapper "$test_wrapper"} ${suites[@]+"${suites[@]}"}
}

# Tests of a build folder, all or those of the suites that follow. Here the cases count, not the step. A run
# without a case, or without a log, is a failure of its own.
run_tests() {
    local start=$EPOCHREALTIME word=ok case_passed case_failed case_skipped
    run_meson_test "$@" >"$log" 2>&1 </dev/null || true # the log of the cases tells
    read -r case_passed case_failed case_skipped \
        < <(tools/checks/totals.py "$@" 2>"$cases" || echo 0 0 0)
    if [ $((case_passed + case_failed)) -eq 0 ]; then
        case_failed=1
        cat "$log" >>"$cases"
    fi
    [ "$case_failed" -eq 0 ] || word=FAIL
    printf '%-4s %s  tests in %s: %d passed, %d failed, %d skipped\n' "$word" \
        "$(seconds "$start")" "$1" "$case_passed" "$case_failed" "$case_skipped"
    cat "$cases"
    passed=$((passed + case_passed))
    failed=$((failed + case_failed))
    skipped=$((skipped + case_skipped))
}
