/* SPDX-License-Identifier: MIT */
/*
 * The uring backend by itself, over the real kernel: reads past the page cache, mixed with others, in shares, taken back,
 * cut short, and on rings of older kernels.
 */
#include "support/test.h"

#include <errno.h>
#include <liburing.h>

#include "support/asked.h"

enum {
    THREADS = 2,
    SETUPS = 3, /* of flags, from the newest kernel's to the oldest's */
};

static struct asked asked;
static uint32_t refused_setups; /* so many in a row answer EINVAL from now on */
static uint32_t last_setup_flags;

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);

/* The linker puts this in the place of liburing's. */
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
    last_setup_flags = params->flags;
    if (refused_setups > 0) {
        refused_setups--;
        return -EINVAL;
    }
    return __real_io_uring_queue_init_params(entries, ring, params);
}

static void begin(void)
{
    asked_begin(&asked);
    assert_error(tresor__uring_create(&asked.faulty.sys, &asked.allocator, &asked.bell, 2 * ASKED_MAX, THREADS,
                                      &asked.backend),
                 TRESOR_OK);
}

static void must_be_on_ring(void)
{
    assert_string_equal(asked.backend->name, "uring");
    assert_int_equal(asked.backend->refused_errno, 0);
    assert_int_equal(asked.faulty.ring_count, 1);
}

static void reads_have_the_files_bytes(void **state)
{
    (void)state;
    begin();
    asked_read(&asked, 0, ASKED_MAX, TRESOR__READ_DIRECT);
    asked_run(&asked);
    must_be_on_ring();
    assert_int_equal(asked_count_whole(&asked), ASKED_MAX);
    assert_int_equal(asked.faulty.counts[FAULTY_READ], 0);
    asked_end(&asked);
}

static void other_reads_go_to_the_pool(void **state)
{
    static const uint8_t flags[] = {TRESOR__READ_DIRECT, 0,
                                    TRESOR__READ_DIRECT | TRESOR__READ_BOUNCE};
    (void)state;
    begin();
    for (uint32_t i = 0; i < ASKED_MAX; i++)
        asked_read(&asked, i, 1, flags[i % 3]);
    asked_run(&asked);
    must_be_on_ring();
    assert_int_equal(asked_count_whole(&asked), ASKED_MAX);
    assert_int_equal(asked.faulty.counts[FAULTY_RING_RESULT], (ASKED_MAX + 2) / 3);
    asked_end(&asked);
}

static void older_rings_do(void **state)
{
    (void)state;
    for (uint32_t refused = 0; refused < SETUPS; refused++) {
        refused_setups = refused;
        begin();
        asked_read(&asked, 0, ASKED_MAX, TRESOR__READ_DIRECT);
        asked_run(&asked);
        must_be_on_ring();
        assert_int_equal(refused_setups, 0);
        assert_int_equal(asked_count_whole(&asked), ASKED_MAX);
        asked_end(&asked);
        print_message("# a ring with flags %x\n", (unsigned)last_setup_flags);
    }
    refused_setups = SETUPS;
    begin();
    asked_read(&asked, 0, 4, TRESOR__READ_DIRECT);
    asked_run(&asked);
    assert_string_equal(asked.backend->name, "pool");
    assert_int_equal(asked.backend->refused_errno, EINVAL);
    assert_int_equal(asked_count_whole(&asked), 4);
    asked_end(&asked);
    refused_setups = 0;
}

/* --- shares --- */

static uint32_t most_entries;

static int32_t note_entries(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_RING_SUBMIT && call->length > most_entries)
        most_entries = (uint32_t)call->length;
    return 0;
}

static void one_poll_starts_a_share(void **state)
{
    (void)state;
    begin();
    most_entries = 0;
    asked.faulty.judge = note_entries;
    asked_read(&asked, 0, TRESOR__STARTS_MAX + 1, TRESOR__READ_DIRECT);
    assert_int_equal(asked.faulty.counts[FAULTY_RING_SUBMIT], 0);
    asked_poll(&asked);
    assert_int_equal(asked.faulty.counts[FAULTY_RING_SUBMIT], 1);
    assert_int_equal(most_entries, TRESOR__STARTS_MAX);
    assert_int_equal(asked.backend->starts_left, 0);
    /* Without a new share nothing starts, but it says that there is more. */
    struct tresor__completion none;
    assert_int_equal(asked.backend->poll(asked.backend, &none, 0), 0);
    assert_int_equal(asked.faulty.counts[FAULTY_RING_SUBMIT], 1);
    assert_true(asked.backend->pending(asked.backend));
    asked_run(&asked);
    assert_int_equal(asked.faulty.counts[FAULTY_RING_SUBMIT], 2);
    assert_int_equal(asked_count_whole(&asked), TRESOR__STARTS_MAX + 1);
    asked_end(&asked);
}

static int32_t take_one(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_RING_SUBMIT)
        call->length = 1;
    return 0;
}

static void a_ring_that_takes_one_at_a_time(void **state)
{
    (void)state;
    begin();
    asked.faulty.judge = take_one;
    asked_read(&asked, 0, 40, TRESOR__READ_DIRECT);
    asked_run(&asked);
    must_be_on_ring();
    assert_int_equal(asked.faulty.counts[FAULTY_RING_SUBMIT], 40);
    assert_int_equal(asked_count_whole(&asked), 40);
    asked_end(&asked);
}

/* --- taking back --- */

static void a_read_that_waits_is_taken_back(void **state)
{
    (void)state;
    begin();
    asked_read(&asked, 0, 8, TRESOR__READ_DIRECT);
    asked_cancel(&asked, 0);
    asked_cancel(&asked, 7);
    asked_cancel(&asked, 3);
    asked_cancel(&asked, 3);
    asked_cancel(&asked, 9);
    asked_read(&asked, 8, 1, TRESOR__READ_DIRECT); /* behind what was the last */
    asked_run(&asked);
    for (uint32_t i = 0; i < 8; i++) {
        bool is_taken = i == 0 || i == 3 || i == 7;
        assert_int_equal(asked.answers[i].reads, 1);
        assert_int_equal(asked.answers[i].read.os_errno, is_taken ? ECANCELED : 0);
        assert_int_equal(asked.answers[i].cancels, is_taken ? (i == 3 ? 2 : 1) : 0);
        if (is_taken && i != 3)
            assert_int_equal(asked.answers[i].cancel.value, 1);
    }
    assert_int_equal(asked.answers[3].cancel.value, 0); /* of the second */
    assert_int_equal(asked.answers[9].cancels, 1);
    assert_int_equal(asked.answers[9].cancel.value, 0);
    assert_int_equal(asked_count_whole(&asked), 6);
    asked_end(&asked);
}

/* Whether it still can be is the kernel's to know; it ends in either case, and the memory is written or not. */
static void a_read_on_the_ring_ends_either_way(void **state)
{
    uint32_t cancelled = 0;
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        begin();
        asked_read(&asked, 0, TRESOR__STARTS_MAX, TRESOR__READ_DIRECT);
        asked_poll(&asked);
        bool is_gone[TRESOR__STARTS_MAX];
        for (uint32_t i = 0; i < TRESOR__STARTS_MAX; i++) {
            is_gone[i] = asked.answers[i].reads > 0;
            asked_cancel(&asked, i);
        }
        asked_cancel(&asked, 0); /* which changes nothing */
        asked_run(&asked);
        assert_false(asked.backend->pending(asked.backend));
        for (uint32_t i = 0; i < TRESOR__STARTS_MAX; i++) {
            const struct asked_answers *answers = &asked.answers[i];
            assert_int_equal(answers->reads, 1);
            assert_int_equal(answers->cancels, i == 0 ? 2 : 1);
            assert_int_equal(answers->cancel.value, !is_gone[i]);
            assert_true(answers->read.os_errno == ECANCELED ||
                        answers->read.value == ASKED_BLOCK_BYTES);
            cancelled += answers->read.os_errno == ECANCELED;
        }
        must_be_on_ring();
        asked_count_whole(&asked);
        asked_end(&asked);
    }
    print_message("# %u of %u cancelled\n", (unsigned)cancelled, 20u * TRESOR__STARTS_MAX);
}

static int32_t interrupt_results(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    return call->row == FAULTY_RING_RESULT ? EINTR : 0;
}

/* The kernel says so of a read whose worker it interrupts to cancel it. */
static void an_interrupted_read_was_cancelled(void **state)
{
    (void)state;
    begin();
    asked_read(&asked, 0, TRESOR__STARTS_MAX, TRESOR__READ_DIRECT);
    asked_poll(&asked); /* which reaps, and only then starts them */
    for (uint32_t i = 0; i < TRESOR__STARTS_MAX; i++)
        asked_cancel(&asked, i);
    asked.faulty.judge = interrupt_results;
    asked_run(&asked);
    for (uint32_t i = 0; i < TRESOR__STARTS_MAX; i++)
        assert_int_equal(asked.answers[i].read.os_errno, ECANCELED);
    asked_end(&asked);
}

/* --- a ring that fails for a while --- */

static uint32_t refusals_left;

static int32_t refuse_some_reaps(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row != FAULTY_RING_REAP || refusals_left == 0)
        return 0;
    refusals_left--;
    return EAGAIN;
}

static void the_sixteenth_refusal_in_a_row_is_the_last(void **state)
{
    (void)state;
    for (uint32_t refusals = 15; refusals <= 16; refusals++) {
        begin();
        refusals_left = refusals;
        asked.faulty.judge = refuse_some_reaps;
        asked_read(&asked, 0, TRESOR__STARTS_MAX, TRESOR__READ_DIRECT);
        asked_run(&asked);
        assert_string_equal(asked.backend->name, refusals == 16 ? "pool" : "uring");
        assert_int_equal(asked.backend->refused_errno, refusals == 16 ? EAGAIN : 0);
        assert_int_equal(asked_count_whole(&asked), TRESOR__STARTS_MAX);
        asked_end(&asked);
    }
}

/* --- results --- */

static int32_t shorten_results(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_RING_RESULT && call->length > 4096)
        call->length = 4096;
    return 0;
}

static void short_counts_are_told_as_they_are(void **state)
{
    (void)state;
    begin();
    asked.faulty.judge = shorten_results;
    asked_read(&asked, 0, 4, TRESOR__READ_DIRECT);
    asked_run(&asked);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(asked.answers[i].read.value, 4096);
    asked_end(&asked);
}

/* --- the end --- */

static uint32_t left_on_the_ring;

static int32_t look_at_closes(void *cookie, struct faulty_call *call)
{
    if (call->row == FAULTY_RING_CLOSE)
        left_on_the_ring += ((struct faulty_sys *)cookie)->ring_read_count;
    return 0;
}

static void destroying_waits_for_what_is_on_the_ring(void **state)
{
    (void)state;
    left_on_the_ring = 0;
    for (uint32_t round = 0; round < 20; round++) {
        begin();
        asked.faulty.judge = look_at_closes;
        asked.faulty.judge_cookie = &asked.faulty;
        asked_read(&asked, 0, 4 * TRESOR__STARTS_MAX, TRESOR__READ_DIRECT);
        for (uint32_t i = 0; i < round % 4; i++)
            asked_poll(&asked);
        asked_end(&asked);
        assert_int_equal(left_on_the_ring, 0);
    }
}

static void creation_that_fails_leaves_nothing(void **state)
{
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    (void)state;
    for (uint64_t nth = 1; code != TRESOR_OK; nth++) {
        asked_begin(&asked);
        asked.memory.fail_call = nth;
        code = tresor__uring_create(&asked.faulty.sys, &asked.allocator, &asked.bell, ASKED_MAX, THREADS,
                                    &asked.backend);
        if (code != TRESOR_OK)
            assert_error(code, TRESOR_ERROR_NO_MEMORY);
        asked_end(&asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_have_the_files_bytes),
        cmocka_unit_test(other_reads_go_to_the_pool),
        cmocka_unit_test(older_rings_do),
        cmocka_unit_test(one_poll_starts_a_share),
        cmocka_unit_test(a_ring_that_takes_one_at_a_time),
        cmocka_unit_test(a_read_that_waits_is_taken_back),
        cmocka_unit_test(a_read_on_the_ring_ends_either_way),
        cmocka_unit_test(an_interrupted_read_was_cancelled),
        cmocka_unit_test(the_sixteenth_refusal_in_a_row_is_the_last),
        cmocka_unit_test(short_counts_are_told_as_they_are),
        cmocka_unit_test(destroying_waits_for_what_is_on_the_ring),
        cmocka_unit_test(creation_that_fails_leaves_nothing),
    };
    struct io_uring ring;
    int result = __real_io_uring_queue_init_params(4, &ring, &(struct io_uring_params){0});
    if (result != 0)
        return skip_program("this system has no ring");
    io_uring_queue_exit(&ring);
    if (!asked_make(&asked)) {
        asked_remove(&asked);
        return skip_program("the temporary folder has no direct reads");
    }
    int failed = cmocka_run_group_tests_name("uring_reads", tests, NULL, NULL);
    asked_remove(&asked);
    return failed;
}
