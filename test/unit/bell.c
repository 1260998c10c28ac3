/* SPDX-License-Identifier: MIT */
/*
 * The bell between threads: rung once until it is heard, never dumb after it was, silent to the system where nothing is
 * to be told; and the pool over it.
 */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"

static struct {
    struct tresor__sys sys;
    struct tresor__bell bell;
    uint32_t rings;
    uint32_t clears;
    uint32_t waits;
    uint32_t closes;
    bool rings_while_ringing;
    bool was_readable; /* when that ring had returned */
    bool rings_while_clearing;
    bool rings_after_clearing;
} world;

static bool is_readable(void)
{
    struct pollfd ready = {.fd = tresor__bell_descriptor(&world.bell), .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

/* Another thread's ring comes while the first has not come to its call. */
static int64_t count_ring(void *cookie, int descriptor)
{
    if (world.rings_while_ringing) {
        world.rings_while_ringing = false;
        tresor__bell_ring(&world.bell);
        world.was_readable = is_readable();
    }
    world.rings++;
    return tresor__sys_posix()->bell_ring(cookie, descriptor);
}

/* Another thread's ring comes just before or after the descriptor is cleared. */
static int64_t count_clear(void *cookie, int descriptor)
{
    world.clears++;
    if (world.rings_while_clearing)
        tresor__bell_ring(&world.bell);
    int64_t result = tresor__sys_posix()->bell_clear(cookie, descriptor);
    if (world.rings_after_clearing)
        tresor__bell_ring(&world.bell);
    return result;
}

static int64_t count_wait(void *cookie, int descriptor, int32_t timeout_ms)
{
    world.waits++;
    return tresor__sys_posix()->bell_wait(cookie, descriptor, timeout_ms);
}

static int64_t count_close(void *cookie, int descriptor)
{
    world.closes++;
    return tresor__sys_posix()->close(cookie, descriptor);
}

static int make_bell(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.sys = *tresor__sys_posix();
    world.sys.bell_ring = count_ring;
    world.sys.bell_clear = count_clear;
    world.sys.bell_wait = count_wait;
    world.sys.close = count_close;
    return tresor__bell_open(&world.bell, &world.sys);
}

static int close_bell(void **state)
{
    (void)state;
    tresor__bell_close(&world.bell);
    return world.closes == (world.bell.descriptors[0] == world.bell.descriptors[1] ? 1 : 2) ? 0 : -1;
}

static void rings_once_until_heard(void **state)
{
    (void)state;
    assert_false(is_readable());
    for (uint32_t i = 0; i < 5; i++)
        tresor__bell_ring(&world.bell);
    assert_int_equal(world.rings, 1);
    assert_true(is_readable());
    tresor__bell_hear(&world.bell);
    assert_false(is_readable());
    tresor__bell_ring(&world.bell);
    assert_int_equal(world.rings, 2);
    assert_true(is_readable());
}

static int pair[2];

static int64_t open_pair(void *cookie, int descriptors[2])
{
    (void)cookie;
    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0)
        return -EMFILE;
    memcpy(descriptors, pair, sizeof pair);
    return 0;
}

/* Where one descriptor will not do, as of a pipe: the one is waited for, the other rung, and both are closed. */
static void a_bell_of_two_descriptors(void **state)
{
    struct tresor__sys sys = *tresor__sys_posix();
    struct tresor__bell bell;
    (void)state;
    sys.bell_open = open_pair;
    assert_error(tresor__bell_open(&bell, &sys), TRESOR_OK);
    assert_int_equal(tresor__bell_descriptor(&bell), pair[0]);
    tresor__bell_ring(&bell);
    struct pollfd ready = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 1);
    tresor__bell_close(&bell);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(fcntl(pair[i], F_GETFD), -1);
}

/* Also where another thread has asked for it, and was held before its call. */
static void who_rings_it_finds_it_readable(void **state)
{
    (void)state;
    world.rings_while_ringing = true;
    tresor__bell_ring(&world.bell);
    assert_true(world.was_readable);
    assert_int_equal(world.rings, 2);
    tresor__bell_ring(&world.bell);
    assert_int_equal(world.rings, 2);
    tresor__bell_hear(&world.bell);
    assert_false(is_readable());
}

/* The kernel may have rung it. */
static void hearing_clears_what_others_wrote(void **state)
{
    (void)state;
    tresor__sys_posix()->bell_ring(NULL, world.bell.descriptors[1]);
    assert_true(is_readable());
    tresor__bell_hear(&world.bell);
    assert_false(is_readable());
}

/* The one that comes meanwhile is the caller's to look for; the next one must be heard. */
static void a_ring_while_it_is_heard_does_not_silence_it(void **state)
{
    (void)state;
    for (uint32_t after = 0; after < 2; after++) {
        for (uint32_t rung = 0; rung < 2; rung++) {
            if (rung)
                tresor__bell_ring(&world.bell);
            world.rings_while_clearing = !after;
            world.rings_after_clearing = after;
            tresor__bell_hear(&world.bell);
            world.rings_while_clearing = false;
            world.rings_after_clearing = false;
            tresor__bell_ring(&world.bell);
            assert_true(is_readable());
            tresor__bell_hear(&world.bell);
            assert_false(is_readable());
        }
    }
}

static void waiting_hears(void **state)
{
    (void)state;
    tresor__bell_ring(&world.bell);
    tresor__bell_wait(&world.bell, -1);
    assert_int_equal(world.waits, 1);
    assert_false(is_readable());
    tresor__bell_wait(&world.bell, 1);
    assert_int_equal(world.waits, 2);
    tresor__bell_ring(&world.bell);
    tresor__bell_wait(&world.bell, 0);
    assert_int_equal(world.waits, 2);
    assert_false(is_readable());
}

/* --- a pool --- */

enum { EFFECTS = 50 };

static int64_t do_nothing(void *record)
{
    (void)record;
    return 7;
}

static void poll_all(struct tresor__backend *pool)
{
    struct tresor__completion completions[EFFECTS];
    for (uint32_t done = 0; done < EFFECTS;) {
        if (!pool->pending(pool))
            tresor__bell_wait(&world.bell, -1);
        uint32_t count = pool->poll(pool, completions, EFFECTS);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(completions[i].value, 7);
        done += count;
    }
}

static void a_pool_rings_it_and_leaves_it_whole(void **state)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    struct tresor__effect effects[EFFECTS];
    struct tresor__backend *pool = NULL;
    (void)state;
    for (uint32_t i = 0; i < EFFECTS; i++)
        effects[i] = (struct tresor__effect){.kind = TRESOR__EFFECT_WORK, .work = do_nothing};
    assert_error(tresor__pool_create(&world.sys, &allocator, &world.bell, EFFECTS, 3, &pool),
                 TRESOR_OK);
    assert_false(pool->pending(pool));
    for (uint32_t round = 0; round < 200; round++) {
        pool->submit(pool, effects, EFFECTS);
        poll_all(pool);
    }
    pool->destroy(pool);
    assert_int_equal(world.closes, 0);
    tresor__bell_hear(&world.bell);
    tresor__bell_ring(&world.bell);
    assert_true(is_readable());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bell_of_two_descriptors),
        cmocka_unit_test_setup_teardown(rings_once_until_heard, make_bell, close_bell),
        cmocka_unit_test_setup_teardown(who_rings_it_finds_it_readable, make_bell, close_bell),
        cmocka_unit_test_setup_teardown(hearing_clears_what_others_wrote, make_bell, close_bell),
        cmocka_unit_test_setup_teardown(a_ring_while_it_is_heard_does_not_silence_it, make_bell,
                                        close_bell),
        cmocka_unit_test_setup_teardown(waiting_hears, make_bell, close_bell),
        cmocka_unit_test_setup_teardown(a_pool_rings_it_and_leaves_it_whole, make_bell, close_bell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
