#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `meson install` puts down is whole: all public headers, and a library that a program can be built
# against with pkg-config alone. usage: install.sh LIBRARY_KIND LIBDIR, with LIBDIR absolute; from the
# environment: PROJECT_ROOT, BUILD_ROOT, MESON, PKG_CONFIG, CC, NOT_INSTALLED, a header that
# a feature left out, and COMPAT_CXX, which is empty then.
set -euo pipefail
. "$PROJECT_ROOT/test/support/tap.sh"
kind=$1
libdir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DESTDIR=$work/root
export PKG_CONFIG_SYSROOT_DIR=$DESTDIR
export PKG_CONFIG_PATH=$DESTDIR$libdir/pkgconfig

installs_every_header() {
    local installed
    installed=$("$PKG_CONFIG" --variable=includedir tresor)
    case $installed in "$DESTDIR"*) ;; *) installed=$DESTDIR$installed ;; esac
    # shellcheck disable=SC2086
    diff -r "$PROJECT_ROOT/include/tresor" "$installed/tresor" -x meson.build ${NOT_INSTALLED:+-x $NOT_INSTALLED}
}

# pkg-config quotes for the shell, hence the eval.
build_consumer() {
    local flags words=()
    flags=$("$PKG_CONFIG" --cflags --libs "$@" tresor)
    eval "words=($flags)"
    # shellcheck disable=SC2086
    $CC -std=c17 -Wall -Wextra -Werror "$PROJECT_ROOT/test/abi/consumer.c" -o "$work/consumer" "${words[@]}"
}

run_consumer() {
    LD_LIBRARY_PATH=$DESTDIR$libdir "$work/consumer" "$("$PKG_CONFIG" --modversion tresor)"
}

links_shared() {
    build_consumer && run_consumer
}

# llama.cpp's structs, by the program that uses all of them.
links_compat_llama() {
    local flags words=()
    flags=$("$PKG_CONFIG" --cflags --libs "$@" tresor-compat-llama)
    eval "words=($flags)"
    # shellcheck disable=SC2086
    $COMPAT_CXX -std=c++17 -Wall -Wextra -Werror "-I$PROJECT_ROOT/test" "$PROJECT_ROOT/test/compat/llama_mmap.cpp" \
        -o "$work/compat" "${words[@]}" &&
        LD_LIBRARY_PATH=$DESTDIR$libdir "$work/compat"
}

# With both kinds installed the linker takes the shared one, so it is put out of the way.
links_static() {
    rm -f "$DESTDIR$libdir"/libtresor.so*
    build_consumer --static && run_consumer
}

tap 'meson install' "$MESON" install -C "$BUILD_ROOT"
tap 'every public header is installed' installs_every_header
[ "$kind" = static ] || tap 'a program with the shared library' links_shared
if [ -n "$COMPAT_CXX" ]; then
    case $kind in static) static=(--static) ;; *) static=() ;; esac
    tap "llama.cpp's structs with what is installed" links_compat_llama "${static[@]}"
fi
[ "$kind" = shared ] || tap 'a program with the static library' links_static
tap_end
