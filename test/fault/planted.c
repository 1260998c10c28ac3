/* SPDX-License-Identifier: MIT */
/* The loops show something only if their checks see what is wrong: each kind of wrong is planted, and must be seen. */
#include "support/test.h"

#include <string.h>

#include "scenario.h"

static void must_be_seen(struct scenario *scenario, const char *text)
{
    scenario->set = scenario_model(MODEL_GGUF);
    scenario_run(scenario);
    if (!strstr(scenario->violation, text))
        fail_msg("wanted \"%s\", got \"%s\"", text, scenario->violation);
}

static uint64_t calls_of(enum faulty_row row)
{
    uint64_t calls = 0;
    for (;; calls++) {
        struct scenario scenario = {.set = scenario_model(MODEL_GGUF),
                                    .plan = {.row = row, .nth = calls + 1, .lost = true}};
        scenario_run(&scenario);
        if (scenario.injected == 0)
            return calls;
    }
}

static void each_forgotten(enum faulty_row row, const char *text)
{
    uint64_t calls = calls_of(row);
    assert_true(calls > 0);
    for (uint64_t nth = 1; nth <= calls; nth++) {
        struct scenario scenario = {.plan = {.row = row, .nth = nth, .lost = true}};
        must_be_seen(&scenario, text);
    }
}

static void a_forgotten_close(void **state)
{
    (void)state;
    each_forgotten(FAULTY_CLOSE, "descriptors");
}

static void a_forgotten_unmap(void **state)
{
    (void)state;
    each_forgotten(FAULTY_UNMAP, "mapped bytes");
}

/* The first lock and unlock are those of a tensor by itself, which are not looked at. */
static void a_forgotten_lock(void **state)
{
    (void)state;
    struct scenario scenario = {.plan = {.row = FAULTY_LOCK, .nth = 2, .lost = true}};
    must_be_seen(&scenario, "left a tensor unlocked");
}

static void a_forgotten_unlock(void **state)
{
    (void)state;
    struct scenario scenario = {.plan = {.row = FAULTY_UNLOCK, .nth = 2, .lost = true}};
    must_be_seen(&scenario, "left pages locked");
}

static void a_forgotten_byte(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 8; nth++) {
        struct scenario scenario = {.lose_free = nth};
        must_be_seen(&scenario, "allocated bytes");
    }
}

static void a_lost_event(void **state)
{
    (void)state;
    struct scenario clean = {.set = scenario_model(MODEL_GGUF)};
    scenario_run(&clean);
    /* The first is the end of the open. */
    struct scenario scenario = {.lose_event = 1};
    must_be_seen(&scenario, "has not ended");
    scenario = (struct scenario){.lose_event = clean.events};
    must_be_seen(&scenario, "has not ended");
}

/* The last byte is a tensor's. What the test compares with is changed, which is the same as a file that is. */
static void a_wrong_byte(void **state)
{
    (void)state;
    const struct bytes *bytes = &scenario_model(MODEL_GGUF)->parts[0].bytes;
    bytes->data[bytes->size - 1] ^= 1;
    struct scenario scenario = {.seed = 0};
    must_be_seen(&scenario, "does not hold the file's bytes");
    bytes->data[bytes->size - 1] ^= 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forgotten_close),  cmocka_unit_test(a_forgotten_unmap),
        cmocka_unit_test(a_forgotten_lock),   cmocka_unit_test(a_forgotten_unlock),
        cmocka_unit_test(a_forgotten_byte),   cmocka_unit_test(a_lost_event),
        cmocka_unit_test(a_wrong_byte),
    };
    return cmocka_run_group_tests_name("fault_planted", tests, scenario_setup, scenario_teardown);
}
