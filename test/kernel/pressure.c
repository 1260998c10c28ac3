/* SPDX-License-Identifier: MIT */
/*
 * Memory that really runs short, in a control group of the test's own: a child fills it until it is told, and is told before
 * the system acts.
 */
#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "real.h"
#include "support/child.h"
#include "support/own_cgroup.h"
#include "support/sanitizer.h"

enum {
    LIMIT_BYTES = 96 * 1024 * 1024,
    STEP_BYTES = 256 * 1024,
    STEPS = LIMIT_BYTES / STEP_BYTES,
};

static struct own_cgroup own;

struct outcome {
    bool ran;
    uint32_t flags;
    uint32_t degraded;
    uint64_t used_bytes;
    uint64_t limit_bytes;
    uint64_t filled_bytes;
};

/* Where there is the older memory controller, a hard limit, which its edge is below; else one that only slows down. */
static bool set_limit(void)
{
    char text[32];
    snprintf(text, sizeof text, "%d", LIMIT_BYTES);
    return own_cgroup_write(&own, "memory.limit_in_bytes", "memory.high", text);
}

static bool take_event(struct tresor_context *context, struct outcome *outcome)
{
    struct tresor_event event;
    while (tresor_next_event(context, &event) == 1) {
        outcome->degraded += event.type == TRESOR_EVENT_DEGRADED;
        if (event.type != TRESOR_EVENT_PRESSURE || !(event.flags & TRESOR_PRESSURE_LIMIT))
            continue;
        outcome->flags = event.flags;
        outcome->used_bytes = event.bytes;
        outcome->limit_bytes = event.total_bytes;
        return true;
    }
    return false;
}

/* Some room is left unused: the system need not act for this test. What has risen by then is waited for. */
static void fill_until_told(void *shared)
{
    struct outcome *outcome = shared;
    struct tresor_context *context = NULL;
    const struct tresor_context_options options = {.size_bytes = sizeof options,
                                                   .backend = TRESOR_BACKEND_SYNC,
                                                   .pressure = TRESOR_PRESSURE_MEMORY};
    bool is_hard = own.group.version == TRESOR__CGROUP_V1;
    uint64_t most_bytes = is_hard ? LIMIT_BYTES / 100 * 98 : 2 * (uint64_t)LIMIT_BYTES;
    uint64_t used_bytes = 0;
    bool told = false;
    if (!own_cgroup_enter(&own) || tresor_context_create(&options, &context) != TRESOR_OK)
        return;
    outcome->ran = true;
    for (uint32_t i = 0; !told && i < 2 * STEPS && used_bytes < most_bytes; i++) {
        char *memory = malloc(STEP_BYTES);
        if (!memory)
            return;
        memset(memory, (int)i + 1, STEP_BYTES);
        outcome->filled_bytes += STEP_BYTES;
        while (tresor_dispatch(context) > 0)
            continue;
        told = take_event(context, outcome);
        own_cgroup_used(&own, &used_bytes);
    }
    while (!told) {
        tresor_wait(context, -1);
        told = take_event(context, outcome);
    }
    tresor_context_destroy(context);
}

static void a_limit_is_told_of_before_it_is_reached(void **state)
{
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    bool lived = child_run(fill_until_told, outcome);
    assert_true(own_cgroup_remove(&own));
    assert_true(lived);
    assert_true(outcome->ran);
    assert_true(outcome->flags & TRESOR_PRESSURE_LIMIT);
    assert_int_equal(outcome->degraded, 0);
    assert_true(outcome->limit_bytes <= LIMIT_BYTES);
    assert_true(outcome->used_bytes <= outcome->limit_bytes ||
                own.group.version == TRESOR__CGROUP_V2);
    assert_true(outcome->used_bytes >= outcome->limit_bytes / 100 * 80);
    print_message("# told at %" PRIu64 " of %" PRIu64 " bytes, with %" PRIu64 " filled\n",
                  outcome->used_bytes, outcome->limit_bytes, outcome->filled_bytes);
    child_unshare(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_told_of_before_it_is_reached),
    };
    if (HAS_ADDRESS_SANITIZER)
        return skip_program("the address sanitizer's own memory would be counted");
    if (!own_cgroup_make(&own) || !set_limit()) {
        own_cgroup_remove(&own);
        return skip_program("no control group with a limit can be made here");
    }
    int failed = cmocka_run_group_tests_name("kernel_pressure", tests, NULL, NULL);
    own_cgroup_remove(&own);
    return failed;
}
