/* SPDX-License-Identifier: MIT */
/* Reads that give less than was asked for are no failure; reads that never give anything end as one. */
#include "support/test.h"

#include <errno.h>

#include "scenario.h"

static void must_succeed_on(uint32_t backend, enum faulty_reads reads, uint64_t seed)
{
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        struct scenario scenario = {.set = scenario_model((enum model_kind)kind),
                                    .reads = reads,
                                    .seed = seed,
                                    .backend = backend};
        scenario_must_hold(&scenario);
        assert_int_equal(scenario.failed_requests, 0);
    }
}

static void must_succeed(enum faulty_reads reads, uint64_t seed)
{
    must_succeed_on(TRESOR_BACKEND_SYNC, reads, seed);
    must_succeed_on(TRESOR_BACKEND_POOL, reads, seed);
    must_succeed_on(TRESOR_BACKEND_URING, reads, seed);
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    must_succeed_on(TRESOR_BACKEND_SYNC, FAULTY_READS_BYTE, 0);
}

static void half_of_what_was_asked(void **state)
{
    (void)state;
    must_succeed(FAULTY_READS_HALF, 0);
}

static void any_length(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        print_message("# seed %u\n", (unsigned)seed);
        must_succeed(FAULTY_READS_RANDOM, seed);
    }
}

static void interrupted_once_each(void **state)
{
    (void)state;
    must_succeed(FAULTY_READS_INTERRUPTED, 0);
}

static void interrupted_for_ever(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        for (uint64_t nth = 1;; nth++) {
            struct scenario scenario = {
                .set = scenario_model((enum model_kind)kind),
                .plan = {.row = FAULTY_READ, .nth = nth, .persistent = true, .os_errno = EINTR}};
            scenario_must_hold(&scenario);
            if (scenario.injected == 0)
                break;
            assert_true(scenario.failed_requests > 0);
        }
    }
}

static int32_t interrupt_what_may_be(void *cookie, struct faulty_call *call)
{
    bool *was_interrupted = &((bool *)cookie)[call->row];
    bool may_be = call->row == FAULTY_OPEN_FILE || call->row == FAULTY_READ ||
                  (call->row == FAULTY_MAP && call->address) || call->row == FAULTY_LOCK ||
                  call->row == FAULTY_UNLOCK ||
                  (call->row == FAULTY_ADVISE_MEMORY &&
                   (call->kind == TRESOR__SYS_POPULATE_READ ||
                    call->kind == TRESOR__SYS_POPULATE_WRITE));
    if (!may_be)
        return 0;
    *was_interrupted = !*was_interrupted;
    return *was_interrupted ? (call->number % 4 < 2 ? EINTR : EAGAIN) : 0;
}

/* Every call that waits for something is interrupted, or finds it not there yet, each time it is made first. */
static void everything_interrupted_once(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        bool was_interrupted[FAULTY_ROWS] = {false};
        struct scenario scenario = {.set = scenario_model((enum model_kind)kind),
                                    .judge = interrupt_what_may_be,
                                    .judge_cookie = was_interrupted};
        scenario_must_hold(&scenario);
        assert_int_equal(scenario.failed_requests, 0);
        assert_true(scenario.injected > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_at_a_time),    cmocka_unit_test(half_of_what_was_asked),
        cmocka_unit_test(any_length),            cmocka_unit_test(interrupted_once_each),
        cmocka_unit_test(interrupted_for_ever),  cmocka_unit_test(everything_interrupted_once),
    };
    return cmocka_run_group_tests_name("fault_short_reads", tests, scenario_setup,
                                       scenario_teardown);
}
