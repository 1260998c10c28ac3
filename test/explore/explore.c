/* SPDX-License-Identifier: MIT */
/*
 * Every world is explored, nothing is wrong in any of its states, and together they take every row of every machine.
 * TRESOR_EXPLORE_STATES=N explores so many states of each, of which each that waits takes some 5 KB;
 * TRESOR_EXPLORE_WORLD=N explores only that one, from 0 on.
 */
#include "support/test.h"

#include <signal.h>
#include <stdlib.h>

#include "explorer.h"
#include "support/rows.h"
#include "support/sanitizer.h"
#include "worlds.h"

static void on_signal(int number)
{
    explorer_tell_path();
    signal(number, SIG_DFL);
    raise(number);
}

/* Under the sanitizer, which takes four times as long, fewer. */
static uint64_t states_of(const struct world_spec *spec)
{
    const char *text = getenv("TRESOR_EXPLORE_STATES");
    if (text)
        return strtoull(text, NULL, 10);
    return HAS_ADDRESS_SANITIZER ? spec->states / 4 : spec->states;
}

static void every_state_is_sound(void **state)
{
    const char *only = getenv("TRESOR_EXPLORE_WORLD");
    uint32_t failed = 0;
    uint64_t states = 0;
    uint64_t edges = 0;
    (void)state;
    for (uint32_t i = 0; i < world_count; i++) {
        if (only && (uint32_t)atoi(only) != i)
            continue;
        struct explored explored = explorer_run(&worlds[i], states_of(&worlds[i]));
        failed += explored.violation[0] != '\0';
        states += explored.states;
        edges += explored.edges;
    }
    printf("# together: %ju states and %ju edges\n", (uintmax_t)states, (uintmax_t)edges);
    assert_int_equal(failed, 0);
}

static void every_row_is_taken(void **state)
{
    uint32_t total = 0;
    (void)state;
    uint32_t missing = rows_print_missing(ROWS_OF_ALL_ELSE, &total);
    print_message("# %u of %u rows were taken\n", total - missing, total);
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_is_sound),
        cmocka_unit_test(every_row_is_taken),
    };
    const struct CMUnitTest first_test[] = {cmocka_unit_test(every_state_is_sound)};
    bool has_all = !HAS_ADDRESS_SANITIZER && !getenv("TRESOR_EXPLORE_STATES") &&
                   !getenv("TRESOR_EXPLORE_WORLD");
    signal(SIGABRT, on_signal);
    return has_all ? cmocka_run_group_tests(tests, NULL, NULL)
                   : cmocka_run_group_tests(first_test, NULL, NULL);
}
