# SPDX-License-Identifier: MIT
# Read by tools/check. What `tools/check --deep` adds, in the folders that it has built: every test under the sanitizers of
# both compilers, under the thread sanitizer of gcc too, and what needs no system under valgrind; a million simulated loads,
# the explorer far into its worlds, ten minutes for each fuzzer, and every planted fault. Some hours.
# shellcheck shell=bash

simulated_worlds=150000 # with eight loads each
explored_states=2000000 # of each world; most have fewer
deep_fuzz_seconds=600

# Optimized, or it would be hours more; its threads meet one after the other.
build_valgrind() {
    CC=gcc CXX=g++ build build-check-valgrind "${everything[@]}" -Dbuildtype=debugoptimized
}

simulate() {
    build-check-release/test/sim/sim --seed "${TRESOR_SIM_SEED:-1}" --seeds "$simulated_worlds" --report
}

explore() {
    TRESOR_EXPLORE_STATES=$explored_states build-check-release/test/explore/test_explore
}

# What it found is worth a line.
deep_step() {
    if step "$@"; then
        tail -n 1 "$log"
    fi
}

check_deep() {
    need_tool valgrind valgrind
    install_needs
    run_tests build-check exhaust explore sim random fuzz slow
    run_tests build-check-clang unit fault kernel tool project
    if step 'gcc build with the thread sanitizer' build_thread build-check-thread-gcc gcc; then
        run_tests build-check-thread-gcc "${thread_suites[@]}"
    fi
    if step 'build for valgrind' build_valgrind; then
        test_wrapper='valgrind --quiet --leak-check=full --error-exitcode=99 --fair-sched=yes' \
            run_tests build-check-valgrind unit exhaust sim random fuzz
    fi
    deep_step 'a million simulated loads' simulate
    deep_step 'explorer' explore
    deep_step 'fuzzers, longer' tools/fuzz "$deep_fuzz_seconds"
    deep_step 'all planted faults are caught' tools/mutants
}
