# SPDX-License-Identifier: MIT
# What a script needs on the machine, and its installation where apt is. Sourced; defines
#     need_tool PACKAGE COMMAND...   one of the commands must exist
#     need_library PACKAGE NAME      pkg-config must know the library
#     need_that PACKAGE COMMAND...   the command must succeed
#     need_build                     what every build of the project needs
#     install_needs                  installs what is missing, or says so in one line and fails
# The needs are probed rather than looked up as packages, so that a machine without apt that has them works.
# shellcheck shell=bash
needs=() # one probe an entry, as a command line quoted by printf %q

need() {
    needs+=("$(printf '%q ' "$@")")
}

need_tool() {
    need "$1" any_command "${@:2}"
}

need_library() {
    need "$1" pkg-config --exists "$2"
}

need_that() {
    need "$@"
}

any_command() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    return 1
}

missing_packages() {
    local entry words
    for entry in "${needs[@]}"; do
        eval "words=($entry)"
        "${words[@]:1}" >/dev/null 2>&1 </dev/null || printf '%s\n' "${words[0]}"
    done | sort -u
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# Lists that could not be updated may still be good enough, so only the install decides.
apt_install() {
    [ -n "${lists_updated-}" ] || apt_get update || true
    lists_updated=yes
    apt_get install -y --no-install-recommends "$@"
}

say_missing() {
    echo "missing, please install: $*" >&2
    return 1
}

install_needs() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -gt 0 ] || return 0
    can_install || say_missing "${missing[@]}" || return 1
    echo "installing: ${missing[*]}"
    apt_install "${missing[@]}" || say_missing "${missing[@]}" || return 1
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -eq 0 ] || say_missing "${missing[@]}"
}

c_compiler() {
    command -v "${CC:-cc}" || command -v gcc || command -v clang
}

# gcc only recommends the C library's headers.
finds_c_headers() {
    printf '#include <stdlib.h>\n' | "$(c_compiler)" -fsyntax-only -x c -
}

# What every build of the project needs.
need_build() {
    need_that gcc c_compiler
    need_that libc6-dev finds_c_headers
    need_tool meson meson
    need_tool ninja-build ninja ninja-build samu
    need_tool pkg-config pkg-config
    need_library libjansson-dev jansson
    need_library libxxhash-dev libxxhash
    need_library libzstd-dev libzstd
    need_library zlib1g-dev zlib
    need_library liblz4-dev liblz4
    need_library liburing-dev liburing
}
