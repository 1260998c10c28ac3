#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The shared library exports exactly the functions that the public headers declare with TRESOR_API.
# usage: symbols.sh LIBRARY; from the environment: PROJECT_ROOT, CC, NM.
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"
library=$1
marked='visibility("default")' # what TRESOR_API becomes

# C text as one declaration a line. Preprocessed, so that comments are gone and macros have become text.
declarations() {
    # shellcheck disable=SC2086
    $CC -E -P "-I$PROJECT_ROOT/include" -x c - | tr '\n' ' ' | sed 's/[;{}]/\n/g'
}

# A declared function is the first tresor_ name that opens a parenthesis, except for a pointer's as in (*f).
function_names() {
    awk 'match($0, /tresor_[A-Za-z0-9_]+ *\([^*]/) {
        name = substr($0, RSTART, RLENGTH)
        sub(/ *\(.*/, "", name)
        print name
    }' | sort -u
}

public_declarations() {
    local header
    for header in "$PROJECT_ROOT"/include/tresor/{,compat/}*.h; do
        [[ $header == */compat/llama-mmap.h ]] || declarations <"$header" # C++, of a library of its own
    done
}

exported_names() {
    "$NM" -D --defined-only "$library" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u
}

# Lines of the first list that the second lacks are a fault.
nothing_beyond() {
    local extra
    extra=$(comm -23 <(echo "$2") <(echo "$3"))
    [ -z "$extra" ] || {
        printf '%s: %s\n' "$1" "${extra//$'\n'/ }"
        return 1
    }
}

# The reader of headers must see these three, and not the last ones.
reads_planted_header() {
    local found
    found=$(declarations <<'PLANTED' | grep -F "$marked" | function_names
#include <tresor/version.h>
TRESOR_API struct tresor_one *tresor_plain(struct tresor_one *one, int (*call)(void));
TRESOR_API
int32_t
tresor_on_three_lines (void);
TRESOR_API void (*tresor_returns_pointer(void))(int); /* TRESOR_API int tresor_in_comment(void); */
struct tresor_hooks { struct tresor_one (*hook)(void *cookie); };
int tresor_unmarked(void);
PLANTED
    )
    [ "$found" = $'tresor_on_three_lines\ntresor_plain\ntresor_returns_pointer\ntresor_version' ] || {
        echo "found: $found"
        return 1
    }
}

tap 'the reader of headers on a planted one' reads_planted_header

all=$(public_declarations | grep -v -e 'static ' -e 'typedef ')
declared=$(grep -F "$marked" <<<"$all" | function_names)
unmarked=$(grep -vF "$marked" <<<"$all" | function_names)
exported=$(exported_names)
tap 'every declared function is exported' \
    nothing_beyond 'declared, not exported' "$declared" "$exported"
tap 'every exported symbol is declared' \
    nothing_beyond 'exported, not declared' "$exported" "$declared"
tap 'every public function has TRESOR_API' \
    nothing_beyond 'without TRESOR_API' "$unmarked" "$declared"
tap_end
