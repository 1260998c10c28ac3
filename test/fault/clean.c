/* SPDX-License-Identifier: MIT */
/* Without a fault the scenario does everything and every request succeeds: else the loops would show nothing. */
#include "support/test.h"

#include "scenario.h"

static void nothing_fails(uint32_t backend)
{
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        struct scenario scenario = {.set = scenario_model((enum model_kind)kind),
                                    .backend = backend};
        scenario_must_hold(&scenario);
        assert_int_equal(scenario.failed_requests, 0);
        assert_int_equal(scenario.injected, 0);
        print_message("# %s: %u calls, %u allocations, %u dispatches, %u events\n",
                      model_kind_name((enum model_kind)kind), (unsigned)scenario.calls,
                      (unsigned)scenario.allocations, (unsigned)scenario.steps,
                      (unsigned)scenario.events);
    }
}

static void nothing_fails_inside_dispatch(void **state)
{
    (void)state;
    nothing_fails(TRESOR_BACKEND_SYNC);
}

static void nothing_fails_on_workers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        nothing_fails(TRESOR_BACKEND_POOL);
}

static void nothing_fails_with_a_ring(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        nothing_fails(TRESOR_BACKEND_URING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails_inside_dispatch),
        cmocka_unit_test(nothing_fails_on_workers),
        cmocka_unit_test(nothing_fails_with_a_ring),
    };
    return cmocka_run_group_tests_name("fault_clean", tests, scenario_setup, scenario_teardown);
}
