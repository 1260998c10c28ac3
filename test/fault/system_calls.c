/* SPDX-License-Identifier: MIT */
/* Every call of every row fails with every error that it may have, once and from then on, until nothing was injected. */
#include "support/test.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "scenario.h"
#include "support/sanitizer.h"

static enum model_kind kind; /* from the command line: one program, one model */

struct totals {
    uint64_t runs;
    uint64_t injected;
};

/* All calls; where that takes minutes every third, and of models of several files, whose calls are many and alike, every
 * ninth. */
static uint32_t stride(void)
{
    uint32_t sanitized = kind == MODEL_GGUF ? 3 : 9;
    return HAS_ADDRESS_SANITIZER ? sanitized : 1;
}

/* The loop: the nth call, the next one, and so on, for each error others. */
static void fail_each(struct faulty_plan plan, uint32_t backend, uint32_t first,
                      struct totals *totals)
{
    for (plan.nth = 1 + first % stride();; plan.nth += stride()) {
        struct scenario scenario = {
            .set = scenario_model(kind),
            .plan = plan,
            .backend = backend,
            .direct = plan.choice % 2 == 0 ? TRESOR_DIRECT_AUTO : TRESOR_DIRECT_OFF,
        };
        scenario_must_hold(&scenario);
        if (scenario.injected == 0)
            return;
        totals->runs++;
        totals->injected += scenario.injected;
    }
}

static void tell(const struct totals *totals)
{
    print_message("# %s: %" PRIu64 " runs, %" PRIu64 " injected faults\n", model_kind_name(kind),
                  totals->runs, totals->injected);
}

static void every_row_and_error(bool persistent)
{
    struct totals totals = {0};
    for (uint32_t row = 0; row < FAULTY_RING_INIT; row++) {
        uint32_t count;
        const int32_t *errors = faulty_row_errors((enum faulty_row)row, &count);
        uint64_t before = totals.runs;
        for (uint32_t i = 0; i < count; i++)
            fail_each((struct faulty_plan){.row = (enum faulty_row)row,
                                           .persistent = persistent,
                                           .os_errno = errors[i]},
                      TRESOR_BACKEND_SYNC, i, &totals);
        /* A row that is never called would pass unseen; some are called only after others failed, for larger models
         * (test/unit/cold_mmap.c, test/unit/donation.c), or where a thread sleeps (test/unit/acquire_wait.c). */
        bool is_rare = row == FAULTY_LOCK_LIMIT || row == FAULTY_LOCKED || row == FAULTY_MOVE_PAGES ||
                       row == FAULTY_CACHED_BYTES || row == FAULTY_READAHEAD_BYTES ||
                       row == FAULTY_WORD_WAIT || row == FAULTY_WORD_WAKE;
        if (!is_rare)
            assert_true(totals.runs > before);
    }
    tell(&totals);
}

static void each_call_once(void **state)
{
    (void)state;
    every_row_and_error(false);
}

static void each_call_from_then_on(void **state)
{
    (void)state;
    every_row_and_error(true);
}

/* From the nth call on, of whatever row, everything fails. */
static void everything_from_then_on(void **state)
{
    struct totals totals = {0};
    (void)state;
    for (uint32_t choice = 0; choice < 4; choice++)
        fail_each((struct faulty_plan){.row = FAULTY_ANY, .persistent = true, .choice = choice},
                  TRESOR_BACKEND_SYNC, choice, &totals);
    tell(&totals);
}

static int32_t refuse_locks(void *cookie, struct faulty_call *call)
{
    const enum faulty_row *row = cookie;
    return call->row == FAULTY_LOCK || call->row == *row ? ENOMEM : 0;
}

/* What is asked only after a lock was refused. */
static void questions_after_a_refused_lock(void **state)
{
    (void)state;
    for (uint32_t row = FAULTY_UNLOCK; row <= FAULTY_LOCKED; row++) {
        enum faulty_row other = (enum faulty_row)row;
        struct scenario scenario = {
            .set = scenario_model(kind), .judge = refuse_locks, .judge_cookie = &other};
        scenario_must_hold(&scenario);
        assert_true(scenario.injected > 0 && scenario.failed_requests > 0);
    }
}

/* On workers the nth call is now this, now that. A bell that cannot be rung is left out: who waits would not wake. */
static void each_call_on(uint32_t backend)
{
    struct totals totals = {0};
    for (uint32_t row = 0; row < FAULTY_ROWS; row++)
        for (uint32_t persistent = 0; persistent < 2; persistent++)
            if (row < FAULTY_BELL_RING || row > FAULTY_BELL_WAIT)
                fail_each((struct faulty_plan){.row = (enum faulty_row)row,
                                               .persistent = persistent,
                                               .choice = row},
                          backend, row, &totals);
    tell(&totals);
}

static void each_call_on_workers(void **state)
{
    (void)state;
    each_call_on(TRESOR_BACKEND_POOL);
}

/* Whatever keeps the ring from being made, the requests do not suffer. */
static void each_call_with_a_ring(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_RING_INIT, &count);
    (void)state;
    each_call_on(TRESOR_BACKEND_URING);
    for (uint32_t i = 0; i < count; i++) {
        struct scenario scenario = {
            .set = scenario_model(kind),
            .plan = {.row = FAULTY_RING_INIT, .nth = 1, .os_errno = errors[i]},
            .backend = TRESOR_BACKEND_URING};
        scenario_must_hold(&scenario);
        assert_int_equal(scenario.injected, 1);
        assert_int_equal(scenario.failed_requests, 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_once),
        cmocka_unit_test(each_call_from_then_on),
        cmocka_unit_test(everything_from_then_on),
        cmocka_unit_test(questions_after_a_refused_lock),
        cmocka_unit_test(each_call_on_workers),
        cmocka_unit_test(each_call_with_a_ring),
    };
    for (uint32_t i = 0; argc == 2 && i < MODEL_KINDS; i++)
        if (strcmp(argv[1], model_kind_name((enum model_kind)i)) == 0)
            kind = (enum model_kind)i;
    if (kind >= scenario_kinds())
        return skip_program("this build cannot read safetensors");
    return cmocka_run_group_tests_name("fault_system_calls", tests, scenario_setup,
                                       scenario_teardown);
}
