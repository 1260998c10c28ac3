#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every public header compiles alone, as C17 and as C++17. From the environment: PROJECT_ROOT, CC, and CXX,
# which is empty where there is no C++ compiler.
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"

flags=(-Wall -Wextra -Wpedantic -Wundef -Werror -fsyntax-only "-I$PROJECT_ROOT/include")

# $3 is a command with its own arguments, as in CC.
compiles_alone() {
    local header=$1 language=$2 standard=$4
    # shellcheck disable=SC2086
    printf '#include <tresor/%s>\n' "$header" | $3 "-std=$standard" "${flags[@]}" -x "$language" -
}

includes_all_others() {
    local umbrella=$PROJECT_ROOT/include/tresor/tresor.h header missing=0
    for header in "${headers[@]}"; do
        [ "$header" = tresor.h ] || grep -qs "^#include <tresor/$header>" "$umbrella" || {
            echo "tresor.h does not include $header"
            missing=1
        }
    done
    return "$missing"
}

cd "$PROJECT_ROOT/include/tresor"
headers=(*.h)
compat=(compat/*.h)
cpp_alone=' compat/llama-mmap.h ' # between blanks
for header in "${headers[@]}" "${compat[@]}"; do
    [[ $cpp_alone == *" $header "* ]] || tap "$header as C17" compiles_alone "$header" c "$CC" c17
    if [ -n "$CXX" ]; then
        tap "$header as C++17" compiles_alone "$header" c++ "$CXX" c++17
    else
        tap_skip "$header as C++17" 'no C++ compiler'
    fi
done
# The header for everything belongs to the library as a whole, which begins with src/tresor.c.
if [ -e tresor.h ] || [ -e "$PROJECT_ROOT/src/tresor.c" ]; then
    tap 'tresor.h includes every public header' includes_all_others
fi
tap_end
