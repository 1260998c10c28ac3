/* SPDX-License-Identifier: MIT */
/* What acquire and release do, from one thread and from several while the context's thread opens, seals, closes and
 * opens another source in the same slot. */
#include "tensor/pins.h"

#include <pthread.h>
#include <sched.h>

#include "support/failing_allocator.h"
#include "support/random.h"
#include "support/test.h"

enum {
    PIECES = 8,
    PIECES_MAX = 40,
    USERS_MAX = (1 << 24) - 1, /* in the low bits of a word */
    THREADS = 4,
    ROUNDS = 20000,
};

static struct failing_allocator memory;
static struct tresor__slot slot;
static struct tresor__acquires acquires;
static _Atomic uint32_t wakers; /* of the context that the slot would be in */
static bool is_awaited;

static void start_source(uint32_t generation, uint32_t count)
{
    const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
    slot.generation = generation;
    assert_error(tresor__pins_start(&slot, &hooks, count), TRESOR_OK);
    tresor__gate_open(&slot);
}

static void open_all(void)
{
    for (uint32_t i = 0; i < slot.pin_count; i++)
        tresor__pins_open(&slot, i);
}

static int start(void **state)
{
    (void)state;
    memory = (struct failing_allocator){0};
    acquires = (struct tresor__acquires){0};
    is_awaited = false;
    wakers = 0;
    start_source(7, PIECES);
    return 0;
}

static int end(void **state)
{
    const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
    (void)state;
    tresor__pins_clear(&slot);
    tresor__pins_free(&slot, &hooks);
    assert_int_equal(memory.outstanding_bytes, 0);
    slot = (struct tresor__slot){0};
    return 0;
}

static uint32_t users(uint32_t piece)
{
    return (uint32_t)(atomic_load(&atomic_load(&slot.pins)->pins[piece].word) & USERS_MAX);
}

static int32_t acquire(const uint32_t *list, uint32_t count)
{
    return tresor__pins_acquire(&slot, slot.generation, list, count, &acquires, &is_awaited);
}

static int32_t release(const uint32_t *list, uint32_t count)
{
    return tresor__pins_release(&slot, slot.generation, list, count, &is_awaited);
}

static void counts(void **state)
{
    (void)state;
    assert_error(acquire(NULL, 1), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(release(NULL, 1), TRESOR_ERROR_INVALID);
    assert_false(tresor__pins_seal(&slot, 0)); /* it is sealed */
    tresor__pins_open(&slot, 0);
    assert_error(release(NULL, 1), TRESOR_ERROR_INVALID);
    assert_error(acquire(NULL, 1), TRESOR_OK);
    assert_error(acquire(NULL, 1), TRESOR_OK);
    assert_int_equal(users(0), 2);
    assert_int_equal(tresor__pins_users(&slot), 2);
    assert_false(tresor__pins_seal(&slot, 0));
    assert_error(release(NULL, 1), TRESOR_OK);
    assert_false(tresor__pins_seal(&slot, 0));
    assert_error(release(NULL, 1), TRESOR_OK);
    assert_true(tresor__pins_seal(&slot, 0));
    assert_error(acquire(NULL, 1), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(tresor__pins_users(&slot), 0);
    assert_false(is_awaited);
}

static void all_or_none(void **state)
{
    static const uint32_t list[] = {5, 1, 3, 1, 6};
    (void)state;
    open_all();
    assert_true(tresor__pins_seal(&slot, 6));
    assert_error(acquire(list, 5), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(tresor__pins_users(&slot), 0);
    assert_error(acquire(list, 4), TRESOR_OK);
    assert_int_equal(users(5), 1);
    assert_int_equal(users(1), 2);
    assert_int_equal(users(3), 1);
    assert_int_equal(users(0), 0);
    assert_error(release(list, 4), TRESOR_OK);
    /* Where one was not acquired, or not so often, none is released. */
    assert_error(acquire(list, 3), TRESOR_OK);
    assert_error(release(list, 4), TRESOR_ERROR_INVALID);
    assert_error(release(list, 5), TRESOR_ERROR_INVALID);
    for (uint32_t i = 0; i < PIECES; i++)
        assert_int_equal(users(i), i == 5 || i == 1 || i == 3);
    assert_error(release(list, 3), TRESOR_OK);
    assert_int_equal(tresor__pins_users(&slot), 0);
}

static void limit_of_users(void **state)
{
    (void)state;
    open_all();
    atomic_fetch_add(&atomic_load(&slot.pins)->pins[2].word, USERS_MAX - 1);
    assert_error(acquire(NULL, 3), TRESOR_OK);
    assert_int_equal(users(2), USERS_MAX);
    assert_error(acquire(NULL, 3), TRESOR_ERROR_AGAIN);
    assert_int_equal(users(0), 1);
    assert_int_equal(users(1), 1);
    assert_int_equal(users(2), USERS_MAX);
    assert_false(tresor__pins_seal(&slot, 2));
}

/* --- the clock and what is counted --- */

static void stamps(void **state)
{
    static const uint32_t list[] = {5, 1, 3, 1, 6};
    (void)state;
    open_all();
    assert_int_equal(tresor__pins_stamp(&slot, 5), 0);
    assert_error(acquire(list, 5), TRESOR_OK);
    assert_int_equal(tresor__pins_stamp(&slot, 5), 1);
    assert_int_equal(tresor__pins_stamp(&slot, 3), 3);
    assert_int_equal(tresor__pins_stamp(&slot, 1), 4);
    assert_int_equal(tresor__pins_stamp(&slot, 6), 5);
    assert_int_equal(tresor__pins_stamp(&slot, 0), 0);
    assert_int_equal(acquires.clock, 5);
    /* What gives up leaves no stamp. */
    assert_true(tresor__pins_seal(&slot, 2));
    assert_error(acquire(NULL, 3), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(tresor__pins_stamp(&slot, 0), 0);
    assert_int_equal(acquires.clock, 5);
    assert_error(acquire(NULL, 1), TRESOR_OK);
    assert_int_equal(tresor__pins_stamp(&slot, 0), 6);
}

static void misses(void **state)
{
    static const uint32_t list[] = {2, 3};
    (void)state;
    tresor__pins_open(&slot, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_error(acquire(NULL, 3), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(acquires.misses, 1); /* piece 1 */
    tresor__pins_set_coming(&slot, 2, true);
    for (uint32_t i = 0; i < 3; i++)
        assert_error(acquire(list, 2), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(acquires.misses, 1);
    assert_int_equal(acquires.late, 1);
    /* A load that ends without bytes begins no new absence. */
    tresor__pins_set_coming(&slot, 2, false);
    assert_error(acquire(list, 1), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(acquires.misses, 1);
    tresor__pins_open(&slot, 2);
    assert_error(acquire(list, 2), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(acquires.misses, 2); /* piece 3 */
    assert_true(tresor__pins_seal(&slot, 2));
    assert_error(acquire(list, 2), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(acquires.misses, 3); /* piece 2, once more */
    assert_int_equal(acquires.late, 1);
}

/* --- the end of users --- */

static void the_end_of_users_is_told_once(void **state)
{
    static const uint32_t list[] = {1, 2};
    (void)state;
    open_all();
    assert_true(tresor__pins_seal(&slot, 2));
    assert_false(tresor__pins_await(&slot, 1)); /* it has none */
    assert_error(acquire(list, 1), TRESOR_OK);
    assert_error(acquire(list, 1), TRESOR_OK);
    assert_true(tresor__pins_await(&slot, 1));
    assert_true(tresor__pins_await(&slot, 1));
    assert_error(release(list, 1), TRESOR_OK);
    assert_false(is_awaited);
    assert_error(release(list, 1), TRESOR_OK);
    assert_true(is_awaited);
    assert_int_equal(tresor__pins_users(&slot), 1); /* whoever will tell is there still */
    assert_int_equal(tresor__pins_finish(&slot, list, 1), TRESOR__PINS_RELEASED);
    assert_int_equal(tresor__pins_users(&slot), 0);
    assert_int_equal(tresor__pins_finish(&slot, list, 1), 0);
    /* Nobody waits any more. */
    is_awaited = false;
    assert_error(acquire(list, 1), TRESOR_OK);
    assert_error(release(list, 1), TRESOR_OK);
    assert_false(is_awaited);
}

/* An acquire that gives up was a user for a moment, and may have been seen. */
static void users_between_are_left_to_the_last(void **state)
{
    static const uint32_t list[] = {1, 1};
    (void)state;
    open_all();
    assert_error(acquire(list, 1), TRESOR_OK);
    assert_true(tresor__pins_await(&slot, 1));
    assert_error(release(list, 1), TRESOR_OK);
    assert_true(is_awaited);
    assert_error(acquire(list, 2), TRESOR_OK); /* before it could tell */
    assert_int_equal(tresor__pins_finish(&slot, list, 1), 0);
    is_awaited = false;
    assert_error(release(list, 2), TRESOR_OK);
    assert_true(is_awaited);
    assert_true(tresor__pins_seal(&slot, 1)); /* nor does it hold up who looks */
    assert_int_equal(tresor__pins_finish(&slot, list, 2), TRESOR__PINS_RELEASED);
}

static void closing(void **state)
{
    static const uint32_t list[] = {3, 4, 4};
    (void)state;
    open_all();
    assert_error(acquire(list, 3), TRESOR_OK);
    tresor__pins_close(&slot);
    assert_int_equal(tresor__pins_held(&slot), 2);
    assert_error(acquire(list, 1), TRESOR_ERROR_STALE);
    assert_error(acquire(NULL, 1), TRESOR_ERROR_STALE);
    assert_error(release(NULL, 1), TRESOR_ERROR_STALE); /* it had no user */
    tresor__pins_open(&slot, 0);                        /* a load that is too late */
    assert_error(acquire(NULL, 1), TRESOR_ERROR_STALE);
    assert_true(tresor__pins_seal(&slot, 0));
    assert_false(tresor__pins_seal(&slot, 4));
    assert_error(release(list, 2), TRESOR_OK);
    assert_true(is_awaited);
    assert_int_equal(tresor__pins_finish(&slot, list, 2), 0);
    assert_int_equal(tresor__pins_held(&slot), 1);
    is_awaited = false;
    assert_error(release(&list[2], 1), TRESOR_OK);
    assert_true(is_awaited);
    assert_int_equal(tresor__pins_held(&slot), 1);
    assert_int_equal(tresor__pins_finish(&slot, &list[2], 1), TRESOR__PINS_QUIET);
    assert_int_equal(tresor__pins_held(&slot), 0);
    assert_error(release(list, 3), TRESOR_ERROR_INVALID);
    assert_error(release(list, 1), TRESOR_ERROR_STALE);
}

static void closing_without_users(void **state)
{
    (void)state;
    open_all();
    tresor__pins_close(&slot);
    assert_int_equal(tresor__pins_held(&slot), 0);
    assert_int_equal(tresor__pins_users(&slot), 0);
}

/* --- one source after the other in one slot --- */

static void stale_handles(void **state)
{
    static const uint32_t last[] = {PIECES - 1};
    static const uint32_t far[] = {PIECES_MAX * 100};
    (void)state;
    open_all();
    assert_error(tresor__pins_acquire(&slot, 6, last, 1, &acquires, &is_awaited),
                 TRESOR_ERROR_STALE);
    assert_error(tresor__pins_release(&slot, 6, last, 1, &is_awaited), TRESOR_ERROR_STALE);
    assert_error(acquire(far, 1), TRESOR_ERROR_STALE);
    assert_error(release(far, 1), TRESOR_ERROR_STALE);
    tresor__pins_close(&slot);
    tresor__pins_clear(&slot);
    assert_error(acquire(last, 1), TRESOR_ERROR_STALE);
    start_source(8, 2); /* a smaller one */
    open_all();
    assert_error(acquire(NULL, 2), TRESOR_OK);
    assert_error(acquire(last, 1), TRESOR_ERROR_STALE);
    assert_error(tresor__pins_acquire(&slot, 7, NULL, 1, &acquires, &is_awaited),
                 TRESOR_ERROR_STALE);
    assert_error(tresor__pins_release(&slot, 7, NULL, 1, &is_awaited), TRESOR_ERROR_STALE);
    assert_error(release(NULL, 2), TRESOR_OK);
    tresor__pins_close(&slot);
    tresor__pins_clear(&slot);
    start_source(9, PIECES_MAX); /* a larger one */
    assert_int_equal(tresor__pins_stamp(&slot, 0), 0);
    assert_error(acquire(last, 1), TRESOR_ERROR_NOT_RESIDENT);
    open_all();
    assert_error(acquire(NULL, PIECES_MAX), TRESOR_OK);
    assert_error(release(NULL, PIECES_MAX), TRESOR_OK);
    assert_int_equal(acquires.misses, 1);
}

static void pieces_are_added(void **state)
{
    static const uint32_t added[] = {PIECES, PIECES_MAX - 1};
    const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
    (void)state;
    tresor__pins_open(&slot, 3);
    assert_error(tresor__pins_extend(&slot, &hooks, PIECES_MAX), TRESOR_ERROR_BUSY);
    assert_error(acquire(added, 1), TRESOR_ERROR_STALE);
    assert_error(acquire((const uint32_t[]){3}, 1), TRESOR_OK);
    assert_error(release((const uint32_t[]){3}, 1), TRESOR_OK);
    assert_true(tresor__pins_seal(&slot, 3));
    tresor__pins_set_coming(&slot, 2, true);
    assert_error(tresor__pins_extend(&slot, &hooks, PIECES_MAX), TRESOR_ERROR_BUSY);
    tresor__pins_set_coming(&slot, 2, false);
    memory.fail_call = memory.calls + 1;
    assert_error(tresor__pins_extend(&slot, &hooks, PIECES_MAX), TRESOR_ERROR_NO_MEMORY);
    assert_int_equal(slot.pin_count, PIECES);
    assert_error(tresor__pins_extend(&slot, &hooks, PIECES_MAX), TRESOR_OK);
    assert_int_equal(tresor__pins_stamp(&slot, 3), 1);
    assert_error(acquire(added, 2), TRESOR_ERROR_NOT_RESIDENT);
    open_all();
    assert_error(acquire(added, 2), TRESOR_OK);
    assert_error(release(added, 2), TRESOR_OK);
}

/* Sizes that grow by little do not each leave an array behind. */
static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        tresor__pins_clear(&slot);
        start_source(8 + i, PIECES + i);
    }
    assert_true(memory.outstanding_bytes < 4 * 1000 * (int64_t)sizeof(struct tresor__pin));
}

static void gate(void **state)
{
    (void)state;
    assert_error(tresor__gate_enter(&slot, 6, false), TRESOR_ERROR_STALE);
    assert_error(tresor__gate_enter(&slot, 7, false), TRESOR_OK);
    assert_error(tresor__gate_enter(&slot, 7, true), TRESOR_OK);
    assert_int_equal(tresor__gate_users(&slot), 2);
    assert_false(tresor__gate_leave(&slot, &wakers));
    tresor__gate_close(&slot);
    assert_error(tresor__gate_enter(&slot, 7, false), TRESOR_ERROR_STALE);
    assert_false(tresor__gate_shut(&slot));
    assert_error(tresor__gate_enter(&slot, 7, true), TRESOR_OK); /* who has acquired may release */
    assert_false(tresor__gate_leave(&slot, &wakers));
    assert_int_equal(wakers, 0);
    assert_true(tresor__gate_leave(&slot, &wakers)); /* the last one of a closing source */
    assert_int_equal(wakers, 1);
    assert_true(tresor__gate_shut(&slot));
    assert_error(tresor__gate_enter(&slot, 7, true), TRESOR_ERROR_STALE);
    /* The next generation is another source. */
    slot.generation = 8;
    tresor__gate_open(&slot);
    assert_error(tresor__gate_enter(&slot, 7, true), TRESOR_ERROR_STALE);
    assert_error(tresor__gate_enter(&slot, 8, false), TRESOR_OK);
    assert_false(tresor__gate_leave(&slot, &wakers));
}

/* --- several threads --- */

/* The bytes that a pin protects: plain memory, so that the thread sanitizer sees a use after the seal. */
static uint32_t payload[PIECES_MAX];
static _Atomic uint32_t current; /* the generation that users know of */
static _Atomic uint32_t told_released;

struct user {
    pthread_t thread;
    uint64_t seed;
    uint32_t acquired;
    uint32_t stale;
    uint32_t bad; /* times that a payload was not there */
};

static void finish(const uint32_t *list, uint32_t count)
{
    if (tresor__pins_finish(&slot, list, count) & TRESOR__PINS_RELEASED)
        atomic_fetch_add(&told_released, 1);
}

static void use(struct user *user, uint32_t generation, const uint32_t *list, uint32_t count)
{
    bool told = false;
    int32_t code = tresor__pins_acquire(&slot, generation, list, count, &acquires, &told);
    if (code == TRESOR_OK) {
        for (uint32_t i = 0; i < count; i++)
            user->bad += payload[list[i]] != generation;
        user->acquired++;
        user->bad +=
            tresor__pins_release(&slot, generation, list, count, &told) != TRESOR_OK;
    }
    user->stale += code == TRESOR_ERROR_STALE;
    if (told)
        finish(list, count);
}

/* Now and then by a handle that has long been stale. */
static void *run_user(void *argument)
{
    struct user *user = argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t list[3];
        uint32_t count = 1 + random_below(&user->seed, 3);
        for (uint32_t j = 0; j < count; j++)
            list[j] = random_below(&user->seed, PIECES);
        use(user, atomic_load(&current) - random_once_in(&user->seed, 16), list, count);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* What the context's thread does: evict where a seal says so, load again. */
static uint32_t seal_and_open(uint64_t *seed)
{
    uint32_t piece = random_below(seed, slot.pin_count);
    tresor__pins_await(&slot, piece);
    if (!tresor__pins_seal(&slot, piece))
        return 0;
    payload[piece] = 0;
    tresor__pins_set_coming(&slot, piece, true);
    sched_yield();
    payload[piece] = slot.generation;
    tresor__pins_open(&slot, piece);
    return 1;
}

static void fill_all(void)
{
    for (uint32_t i = 0; i < slot.pin_count; i++)
        payload[i] = slot.generation;
    open_all();
    atomic_store(&current, slot.generation);
}

static void reopen(uint64_t *seed)
{
    tresor__pins_close(&slot);
    while (tresor__pins_held(&slot) > 0)
        sched_yield();
    for (uint32_t i = 0; i < slot.pin_count; i++)
        payload[i] = 0;
    tresor__pins_clear(&slot);
    start_source(slot.generation + 1, 1 + random_below(seed, PIECES_MAX));
    fill_all();
}

static void threads(void **state)
{
    struct user given[THREADS];
    uint64_t seed = 99;
    uint32_t seals = 0;
    uint32_t acquired = 0;
    uint32_t stale = 0;
    (void)state;
    fill_all();
    for (uint32_t i = 0; i < THREADS; i++) {
        given[i] = (struct user){.seed = i + 1};
        assert_int_equal(pthread_create(&given[i].thread, NULL, run_user, &given[i]), 0);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        seals += seal_and_open(&seed);
        if (i % 128 == 0)
            reopen(&seed);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(given[i].thread, NULL);
        assert_int_equal(given[i].bad, 0);
        acquired += given[i].acquired;
        stale += given[i].stale;
    }
    assert_true(seals > 0 && acquired > 0 && stale > 0);
    assert_int_equal(tresor__pins_users(&slot), 0);
    tresor__pins_close(&slot);
    assert_int_equal(tresor__pins_held(&slot), 0);
}

/* A wait that has found users is always ended by one of them. */
static void no_end_is_missed(void **state)
{
    struct user user = {.seed = 5};
    uint32_t waits = 0;
    (void)state;
    atomic_store(&told_released, 0);
    fill_all();
    assert_int_equal(pthread_create(&user.thread, NULL, run_user, &user), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t before = atomic_load(&told_released);
        if (!tresor__pins_await(&slot, i % PIECES))
            continue;
        while (atomic_load(&told_released) == before)
            sched_yield();
        waits++;
    }
    pthread_join(user.thread, NULL);
    assert_int_equal(user.bad, 0);
    assert_int_equal(atomic_load(&told_released), waits);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts),
        TEST(all_or_none),
        TEST(limit_of_users),
        TEST(stamps),
        TEST(misses),
        TEST(the_end_of_users_is_told_once),
        TEST(users_between_are_left_to_the_last),
        TEST(closing),
        TEST(closing_without_users),
        TEST(stale_handles),
        TEST(pieces_are_added),
        TEST(what_is_kept_is_bounded),
        TEST(gate),
        TEST(threads),
        TEST(no_end_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
