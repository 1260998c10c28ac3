/* SPDX-License-Identifier: MIT */
/*
 * Every call on a ring fails with every error that it may have, once and from then on: each read is answered once all the
 * same, with its bytes, for what the ring does not do the pool does. Only a result that says that a read failed is told.
 */
#include "support/test.h"

#include <errno.h>
#include <inttypes.h>

#include "support/asked.h"

enum {
    READS = 40, /* more than two shares */
    THREADS = 2,
};

static struct asked asked;

static void begin(struct faulty_plan plan)
{
    asked_begin(&asked);
    assert_error(tresor__uring_create(&asked.faulty.sys, &asked.allocator, &asked.bell, 2 * ASKED_MAX, THREADS,
                                      &asked.backend),
                 TRESOR_OK);
    asked.faulty.plan = plan;
}

static void must_be_called(bool is_pool, int32_t os_errno)
{
    assert_string_equal(asked.backend->name, is_pool ? "pool" : "uring");
    assert_int_equal(asked.backend->refused_errno, is_pool ? os_errno : 0);
    assert_int_equal(asked.faulty.ring_count, is_pool ? 0 : 1);
}

/* Such an error may be gone with the next try; for 16 in a row, or with any other, the ring is given up. */
static bool may_pass(int32_t os_errno)
{
    return os_errno == EINTR || os_errno == EAGAIN || os_errno == EBUSY || os_errno == ENOMEM;
}

/* Whether anything was injected. */
static bool fail_nth(struct faulty_plan plan)
{
    begin(plan);
    asked_read(&asked, 0, READS, TRESOR__READ_DIRECT);
    asked_run(&asked);
    bool is_pool = asked.backend->refused_errno != 0;
    bool is_injected = asked.faulty.injected > 0;
    assert_int_equal(asked_count_whole(&asked), READS);
    must_be_called(is_pool, plan.os_errno);
    assert_false(asked.backend->pending(asked.backend)); /* a host that believes it would not sleep */
    if (!is_injected || (may_pass(plan.os_errno) && !plan.persistent))
        assert_false(is_pool);
    else if (!may_pass(plan.os_errno) || plan.row == FAULTY_RING_REAP)
        assert_true(is_pool);
    asked_end(&asked);
    return is_injected;
}

static void every_error_of(enum faulty_row row)
{
    uint32_t count;
    uint64_t runs = 0;
    const int32_t *errors = faulty_row_errors(row, &count);
    for (uint32_t i = 0; i < 2 * count; i++) {
        struct faulty_plan plan = {
            .row = row, .nth = 1, .persistent = i % 2, .os_errno = errors[i / 2]};
        while (fail_nth(plan))
            plan.nth++;
        assert_true(plan.nth > 1);
        runs += plan.nth;
    }
    print_message("# %s: %" PRIu64 " runs\n", faulty_row_name(row), runs);
}

static void submits_that_fail(void **state)
{
    (void)state;
    every_error_of(FAULTY_RING_SUBMIT);
}

/* How often a ring is reaped depends on the disk, so the loop ends when a run needs fewer calls. */
static void reaps_that_fail(void **state)
{
    (void)state;
    every_error_of(FAULTY_RING_REAP);
}

static void rings_that_are_refused(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_RING_INIT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        begin((struct faulty_plan){.row = FAULTY_RING_INIT, .nth = 1, .os_errno = errors[i]});
        assert_string_equal(asked.backend->name, "uring");
        asked_read(&asked, 0, READS, TRESOR__READ_DIRECT);
        asked_cancel(&asked, READS - 1);
        asked_run(&asked);
        must_be_called(true, errors[i]);
        assert_int_equal(asked_count_whole(&asked), READS - 1);
        assert_int_equal(asked.answers[READS - 1].read.os_errno, ECANCELED);
        /* It is not asked again. */
        asked_read(&asked, READS, READS, TRESOR__READ_DIRECT);
        asked_run(&asked);
        assert_int_equal(asked.faulty.counts[FAULTY_RING_INIT], 1);
        assert_int_equal(asked_count_whole(&asked), 2 * READS - 1);
        asked_end(&asked);
    }
}

static void results_that_failed(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_RING_RESULT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t nth = 1; nth <= READS; nth++) {
            uint32_t failed = 0;
            begin((struct faulty_plan){
                .row = FAULTY_RING_RESULT, .nth = nth, .os_errno = errors[i]});
            asked_read(&asked, 0, READS, TRESOR__READ_DIRECT);
            asked_run(&asked);
            for (uint32_t k = 0; k < READS; k++)
                failed += asked.answers[k].read.os_errno == errors[i];
            assert_int_equal(failed, 1);
            assert_int_equal(asked_count_whole(&asked), READS - 1);
            must_be_called(false, 0);
            asked_end(&asked);
        }
    }
}

/* --- a ring that takes nothing more until something ends --- */

static uint32_t asks; /* since something ended */
static uint32_t most_asks;

static int32_t refuse_while_busy(void *cookie, struct faulty_call *call)
{
    struct faulty_sys *faulty = cookie;
    if (call->row == FAULTY_RING_RESULT)
        asks = 0;
    else if (call->row == FAULTY_RING_SUBMIT && faulty->ring_read_count > 0)
        asks++;
    most_asks = asks > most_asks ? asks : most_asks;
    return call->row == FAULTY_RING_SUBMIT && faulty->ring_read_count > 0 ? EBUSY : 0;
}

static void a_busy_ring_is_asked_again_when_something_ends(void **state)
{
    (void)state;
    begin((struct faulty_plan){0});
    asked.faulty.judge = refuse_while_busy;
    asked.faulty.judge_cookie = &asked.faulty;
    asked_read(&asked, 0, 4 * READS, TRESOR__READ_DIRECT);
    asked_run(&asked);
    must_be_called(false, 0);
    assert_int_equal(asked_count_whole(&asked), 4 * READS);
    assert_int_equal(most_asks, 1); /* and not over and over */
    asked_end(&asked);
}

/* --- ending a broken ring --- */

static void destroying_with_a_ring_that_breaks(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_RING_REAP, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        begin((struct faulty_plan){
            .row = FAULTY_RING_REAP, .nth = 1, .persistent = true, .os_errno = errors[i]});
        asked_read(&asked, 0, READS, TRESOR__READ_DIRECT);
        asked_poll(&asked);
        asked_end(&asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submits_that_fail),
        cmocka_unit_test(reaps_that_fail),
        cmocka_unit_test(rings_that_are_refused),
        cmocka_unit_test(results_that_failed),
        cmocka_unit_test(a_busy_ring_is_asked_again_when_something_ends),
        cmocka_unit_test(destroying_with_a_ring_that_breaks),
    };
    if (!asked_make(&asked)) {
        asked_remove(&asked);
        return skip_program("the temporary folder has no direct reads");
    }
    asked_begin(&asked);
    tresor__uring_create(&asked.faulty.sys, &asked.allocator, &asked.bell, 1, 1, &asked.backend);
    asked_poll(&asked);
    bool has_ring = asked.faulty.ring_count == 1;
    asked_end(&asked);
    int failed = has_ring ? cmocka_run_group_tests_name("uring_faults", tests, NULL, NULL)
                          : skip_program("this system has no ring");
    asked_remove(&asked);
    return failed;
}
