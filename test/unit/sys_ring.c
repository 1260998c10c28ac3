/* SPDX-License-Identifier: MIT */
/* The rows of rings over the real kernel, and over liburing's answers of others: what is refused, and what is not taken. */
#include "support/test.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/sys.h"
#include "support/failing_allocator.h"
#include "support/temporary.h"

enum { ENTRIES = 4, FILE_BYTES = 4000 };

static const struct tresor__sys *sys;
static struct failing_allocator memory;
static struct tresor_allocator allocator;
static struct tresor__sys_ring *ring;
static int bell[2];
static int descriptor;
static uint8_t place[8][FILE_BYTES];

/* --- liburing's place --- */

static bool has_no_probe;
static int operations = -1; /* that the kernel knows; -1: all that it does */
static int refused_submits; /* so many in a row are */
static int events_errno;

struct io_uring_probe *__real_io_uring_get_probe_ring(struct io_uring *on);
struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *on);
int __real_io_uring_submit(struct io_uring *on);
int __wrap_io_uring_submit(struct io_uring *on);
int __real_io_uring_get_events(struct io_uring *on);
int __wrap_io_uring_get_events(struct io_uring *on);

struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *on)
{
    struct io_uring_probe *probe = has_no_probe ? NULL : __real_io_uring_get_probe_ring(on);
    for (int i = 0; probe && operations >= 0 && i < probe->ops_len; i++)
        if (i > operations)
            probe->ops[i].flags = 0;
    return probe;
}

int __wrap_io_uring_submit(struct io_uring *on)
{
    if (refused_submits == 0)
        return __real_io_uring_submit(on);
    refused_submits--;
    return -EAGAIN;
}

int __wrap_io_uring_get_events(struct io_uring *on)
{
    int result = __real_io_uring_get_events(on);
    return events_errno ? -events_errno : result;
}

/* --- a ring --- */

static int64_t make(int on_bell)
{
    return sys->ring_init(sys->cookie, &allocator, ENTRIES, on_bell, &ring);
}

static int begin(void **state)
{
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 8];
    static uint8_t bytes[FILE_BYTES];
    (void)state;
    sys = tresor__sys_posix();
    memset(&memory, 0, sizeof memory);
    allocator = failing_allocator_hooks(&memory);
    has_no_probe = false;
    operations = -1;
    refused_submits = 0;
    events_errno = 0;
    ring = NULL;
    memset(place, 0, sizeof place);
    memset(bytes, 9, sizeof bytes);
    temporary_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    temporary_write(path, bytes, sizeof bytes);
    descriptor = (int)sys->open_file(sys->cookie, path);
    temporary_remove(folder);
    assert_true(descriptor >= 0);
    assert_int_equal(sys->bell_open(sys->cookie, bell), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (ring)
        assert_int_equal(sys->ring_close(sys->cookie, ring), 0);
    assert_int_equal(memory.outstanding_bytes, 0);
    close(bell[0]);
    close(descriptor);
    return 0;
}

static struct tresor__sys_ring_entry read_of(uint64_t tag, size_t length)
{
    return (struct tresor__sys_ring_entry){.kind = TRESOR__SYS_RING_READ,
                                           .descriptor = descriptor,
                                           .tag = tag,
                                           .address = place[tag],
                                           .length = length};
}

static int64_t submit(const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    return sys->ring_submit(sys->cookie, ring, entries, count);
}

/* All results of so many reads, each of which was whole. */
static void must_end(const uint64_t *tags, uint32_t count, int64_t length)
{
    struct tresor__sys_ring_result results[16];
    bool has_ended[8] = {false};
    uint32_t ended = 0;
    while (ended < count) {
        int64_t found = sys->ring_reap(sys->cookie, ring, results, 16);
        assert_true(found >= 0);
        for (int64_t i = 0; i < found; i++) {
            assert_true(results[i].tag < 8);
            assert_false(has_ended[results[i].tag]);
            has_ended[results[i].tag] = true;
            assert_int_equal(results[i].result, length);
            assert_int_equal(place[results[i].tag][length - 1], 9);
        }
        ended += (uint32_t)found;
        if (found == 0)
            sys->bell_wait(sys->cookie, bell[0], -1);
        sys->bell_clear(sys->cookie, bell[0]);
    }
    assert_int_equal(sys->ring_reap(sys->cookie, ring, results, 16), 0);
    for (uint32_t i = 0; i < count; i++)
        assert_true(has_ended[tags[i]]);
}

static void a_ring_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    memory.fail_call = 1;
    assert_int_equal(make(bell[0]), -ENOMEM);
    memory.fail_call = 0;
    has_no_probe = true;
    assert_int_equal(make(bell[0]), -ENOSYS);
    has_no_probe = false;
    /* Kernels that have reads by vectors alone, and cannot or can take one back. */
    for (operations = IORING_OP_READV; operations < IORING_OP_READ; operations += IORING_OP_ASYNC_CANCEL)
        assert_int_equal(make(bell[0]), -ENOSYS);
    operations = -1;
    assert_int_equal(make(descriptor), -EINVAL); /* no bell */
    assert_null(ring);
    assert_int_equal(memory.outstanding_bytes, 0);
    assert_int_equal(make(bell[0]), 0);
}

/* What was refused is not made when the next is, for its memory may be somebody else's by then. */
static void what_was_not_taken_never_goes(void **state)
{
    static const uint64_t tags[] = {3, 4};
    const struct tresor__sys_ring_entry refused[] = {read_of(0, 100), read_of(1, 100), read_of(2, 100)};
    const struct tresor__sys_ring_entry taken[] = {read_of(3, 100)};
    const struct tresor__sys_ring_entry last[] = {read_of(4, 100)};
    (void)state;
    assert_int_equal(make(bell[0]), 0);
    refused_submits = 1;
    assert_int_equal(submit(refused, 3), -EAGAIN);
    assert_int_equal(submit(taken, 1), 1);
    assert_int_equal(submit(last, 1), 1);
    must_end(tags, 2, 100);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(place[i][0], 0);
}

/* A queue that is full of what was not taken takes nothing more until that has gone. */
static void a_full_queue_takes_what_it_has_room_for(void **state)
{
    static const uint64_t tags[] = {0, 1, 2, 3, 4, 5};
    struct tresor__sys_ring_entry entries[6];
    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        entries[i] = read_of(i, 100);
    assert_int_equal(make(bell[0]), 0);
    refused_submits = 1;
    assert_int_equal(submit(entries, ENTRIES), -EAGAIN);
    assert_int_equal(submit(entries, ENTRIES), -EAGAIN); /* what was empty went, and nothing else */
    assert_int_equal(submit(entries, 6), ENTRIES);
    assert_int_equal(submit(entries + ENTRIES, 2), 2);
    must_end(tags, 6, 100);
}

/* A length is of 32 bits there. */
static void a_length_of_more_bits_is_cut_not_wrapped(void **state)
{
    static const uint64_t tag = 5;
    const struct tresor__sys_ring_entry entry = read_of(5, (size_t)((UINT64_C(1) << 32) + 100));
    (void)state;
    assert_int_equal(make(bell[0]), 0);
    assert_int_equal(submit(&entry, 1), 1);
    must_end(&tag, 1, FILE_BYTES);
}

/* A look that fails is told only where it brings nothing. */
static void a_reap_that_fails(void **state)
{
    struct tresor__sys_ring_result result;
    const struct tresor__sys_ring_entry entry = read_of(6, 100);
    int64_t found = 0;
    (void)state;
    assert_int_equal(make(bell[0]), 0);
    events_errno = EBADR;
    assert_int_equal(sys->ring_reap(sys->cookie, ring, &result, 1), -EBADR);
    assert_int_equal(submit(&entry, 1), 1);
    while ((found = sys->ring_reap(sys->cookie, ring, &result, 1)) == -EBADR)
        sys->bell_wait(sys->cookie, bell[0], 100);
    assert_int_equal(found, 1);
    assert_int_equal(result.tag, 6);
    assert_int_equal(result.result, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_ring_that_cannot_be_made_leaves_nothing, begin, end),
        cmocka_unit_test_setup_teardown(what_was_not_taken_never_goes, begin, end),
        cmocka_unit_test_setup_teardown(a_full_queue_takes_what_it_has_room_for, begin, end),
        cmocka_unit_test_setup_teardown(a_length_of_more_bits_is_cut_not_wrapped, begin, end),
        cmocka_unit_test_setup_teardown(a_reap_that_fails, begin, end),
    };
    struct io_uring probe;
    int result = io_uring_queue_init(ENTRIES, &probe, 0);
    if (result < 0)
        return skip_program(strerror(-result));
    io_uring_queue_exit(&probe);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
