/* SPDX-License-Identifier: MIT */
/* Every allocation of the library's own fails, once and from then on. */
#include "support/test.h"

#include <inttypes.h>

#include "scenario.h"

static void fail_each(bool persistent)
{
    uint64_t runs = 0;
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        for (uint64_t nth = 1;; nth++) {
            struct scenario scenario = {.set = scenario_model((enum model_kind)kind),
                                        .fail_allocation = nth,
                                        .allocations_stay_failed = persistent};
            scenario_must_hold(&scenario);
            if (scenario.injected == 0)
                break;
            assert_true(scenario.failed_requests > 0);
            runs++;
        }
    }
    assert_true(runs > 0);
    print_message("# %" PRIu64 " runs\n", runs);
}

static void each_once(void **state)
{
    (void)state;
    fail_each(false);
}

static void each_from_then_on(void **state)
{
    (void)state;
    fail_each(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once),
        cmocka_unit_test(each_from_then_on),
    };
    return cmocka_run_group_tests_name("fault_allocations", tests, scenario_setup,
                                       scenario_teardown);
}
