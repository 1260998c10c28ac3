#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# docs/machines says what the library does: a page for each machine, as tools/docs would write it now, and no other.
# From the environment: PROJECT_ROOT, TRESOR_TOOL.
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"
pages=$PROJECT_ROOT/docs/machines

is_fresh() {
    "$TRESOR_TOOL" states "$1" --format markdown | diff -u "$pages/$1.md" -
}

# A machine that is gone leaves no page behind.
is_no_more_and_no_less() {
    diff <(printf '%s.md\n' "${machines[@]}" | sort) <(cd "$pages" && ls)
}

mapfile -t machines < <("$TRESOR_TOOL" states --format names)
for machine in "${machines[@]}"; do
    tap "docs/machines/$machine.md is what tools/docs makes" is_fresh "$machine"
done
tap 'a page for each machine and no other' is_no_more_and_no_less
tap_end
