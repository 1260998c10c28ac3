/* SPDX-License-Identifier: MIT */
/* Every world is explored, nothing is wrong in any of its states, and together they take every row of every machine. */
#include "support/test.h"

#include <signal.h>
#include <stdlib.h>

#include "explorer.h"
#include "rows.h"
#include "worlds.h"

static void on_signal(int number)
{
    explorer_tell_path();
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t states_of(const struct world_spec *spec)
{
    const char *text = getenv("TRESOR_EXPLORE_STATES");
    return text ? strtoull(text, NULL, 10) : spec->states;
}

static void every_state_is_sound(void **state)
{
    const char *only = getenv("TRESOR_EXPLORE_WORLD");
    uint32_t failed = 0;
    (void)state;
    for (uint32_t i = 0; i < world_count; i++) {
        if (only && (uint32_t)atoi(only) != i)
            continue;
        struct explored explored = explorer_run(&worlds[i], states_of(&worlds[i]));
        failed += explored.violation[0] != '\0';
    }
    assert_int_equal(failed, 0);
}

static void every_row_is_taken(void **state)
{
    uint32_t total = 0;
    (void)state;
    uint32_t missing = rows_print_missing(&total);
    print_message("%u of %u rows were taken\n", total - missing, total);
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_is_sound),
        cmocka_unit_test(every_row_is_taken),
    };
    signal(SIGABRT, on_signal);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
