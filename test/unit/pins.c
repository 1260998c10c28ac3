/* SPDX-License-Identifier: MIT */
/* What acquire and release do, from one thread and from several while the context's thread opens
 * and seals. */
#include "tensor/pins.h"

#include <pthread.h>
#include <sched.h>

#include "support/random.h"
#include "support/test.h"

enum {
    TENSORS = 8,
    USERS_MAX = (1 << 24) - 1,
    THREADS = 4,
    ROUNDS = 20000,
};

#define PIN_OPEN (UINT32_C(1) << 31)

static _Atomic uint32_t pins[TENSORS];
static struct tresor__slot slot;
static _Atomic uint32_t wakers; /* of the context that the slot would be in */

static void start(void)
{
    slot.pins = pins;
    slot.generation = 7;
    for (uint32_t i = 0; i < TENSORS; i++)
        atomic_store(&pins[i], 0);
    atomic_store(&slot.gate, 0);
}

static uint32_t users(uint32_t tensor)
{
    return atomic_load(&pins[tensor]) & ~PIN_OPEN;
}

static void open_all(void)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        tresor__pins_open(&slot, i);
}

static void counts(void **state)
{
    (void)state;
    start();
    assert_error(tresor__pins_acquire(&slot, NULL, 1), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(tresor__pins_release(&slot, NULL, 1), TRESOR_ERROR_INVALID);
    assert_false(tresor__pins_seal(&slot, 0)); /* it is sealed */
    tresor__pins_open(&slot, 0);
    assert_error(tresor__pins_release(&slot, NULL, 1), TRESOR_ERROR_INVALID);
    assert_error(tresor__pins_acquire(&slot, NULL, 1), TRESOR_OK);
    assert_error(tresor__pins_acquire(&slot, NULL, 1), TRESOR_OK);
    assert_int_equal(users(0), 2);
    assert_false(tresor__pins_seal(&slot, 0));
    assert_error(tresor__pins_release(&slot, NULL, 1), TRESOR_OK);
    assert_false(tresor__pins_seal(&slot, 0));
    assert_error(tresor__pins_release(&slot, NULL, 1), TRESOR_OK);
    assert_true(tresor__pins_seal(&slot, 0));
    assert_error(tresor__pins_acquire(&slot, NULL, 1), TRESOR_ERROR_NOT_RESIDENT);
}

static void all_or_none(void **state)
{
    static const uint32_t list[] = {5, 1, 3, 1, 6};
    (void)state;
    start();
    open_all();
    assert_true(tresor__pins_seal(&slot, 6));
    assert_error(tresor__pins_acquire(&slot, list, 5), TRESOR_ERROR_NOT_RESIDENT);
    for (uint32_t i = 0; i < TENSORS; i++)
        assert_int_equal(users(i), 0);
    assert_error(tresor__pins_acquire(&slot, list, 4), TRESOR_OK);
    assert_int_equal(users(5), 1);
    assert_int_equal(users(1), 2);
    assert_int_equal(users(3), 1);
    assert_int_equal(users(0), 0);
    assert_error(tresor__pins_release(&slot, list, 4), TRESOR_OK);
    /* Where one was not acquired none is released, for the others' users are others'. */
    assert_error(tresor__pins_acquire(&slot, list, 1), TRESOR_OK);
    assert_error(tresor__pins_release(&slot, list, 2), TRESOR_ERROR_INVALID);
    assert_int_equal(users(5), 1);
    assert_error(tresor__pins_release(&slot, list, 1), TRESOR_OK);
    for (uint32_t i = 0; i < TENSORS; i++)
        assert_int_equal(users(i), 0);
}

static void limit_of_users(void **state)
{
    (void)state;
    start();
    open_all();
    atomic_store(&pins[2], PIN_OPEN | (USERS_MAX - 1));
    assert_error(tresor__pins_acquire(&slot, NULL, 3), TRESOR_OK);
    assert_int_equal(users(2), USERS_MAX);
    assert_error(tresor__pins_acquire(&slot, NULL, 3), TRESOR_ERROR_AGAIN);
    assert_int_equal(users(0), 1);
    assert_int_equal(users(1), 1);
    assert_int_equal(users(2), USERS_MAX);
    assert_false(tresor__pins_seal(&slot, 2));
}

static void gate(void **state)
{
    (void)state;
    start();
    assert_error(tresor__gate_enter(&slot, 7), TRESOR_ERROR_STALE);
    tresor__gate_open(&slot);
    assert_error(tresor__gate_enter(&slot, 6), TRESOR_ERROR_STALE);
    assert_false(tresor__gate_holds(&slot, 7));
    assert_error(tresor__gate_enter(&slot, 7), TRESOR_OK);
    assert_error(tresor__gate_enter(&slot, 7), TRESOR_OK);
    assert_int_equal(tresor__gate_users(&slot), 2);
    assert_true(tresor__gate_holds(&slot, 7));
    assert_false(tresor__gate_holds(&slot, 8));
    assert_false(tresor__gate_leave(&slot, &wakers));
    tresor__gate_close(&slot);
    assert_error(tresor__gate_enter(&slot, 7), TRESOR_ERROR_STALE);
    assert_true(tresor__gate_holds(&slot, 7)); /* who is in may still leave */
    assert_int_equal(wakers, 0);
    assert_true(tresor__gate_leave(&slot, &wakers)); /* the last one of a closing source */
    assert_int_equal(wakers, 1);
    wakers = 0;
    assert_int_equal(tresor__gate_users(&slot), 0);
    assert_false(tresor__gate_holds(&slot, 7));
    /* The next generation is another source. */
    slot.generation = 8;
    tresor__gate_open(&slot);
    assert_error(tresor__gate_enter(&slot, 7), TRESOR_ERROR_STALE);
    assert_error(tresor__gate_enter(&slot, 8), TRESOR_OK);
    assert_false(tresor__gate_leave(&slot, &wakers));
}

/* --- several threads --- */

/* The bytes that a pin protects: plain memory, so that the thread sanitizer sees a use after the
 * seal. */
static uint32_t payload[TENSORS];

struct user {
    pthread_t thread;
    uint64_t seed;
    uint32_t acquired;
    uint32_t bad; /* times that a payload was not there */
};

static void use(struct user *user, const uint32_t *list, uint32_t count)
{
    if (tresor__pins_acquire(&slot, list, count) != TRESOR_OK)
        return;
    for (uint32_t i = 0; i < count; i++)
        user->bad += payload[list[i]] != 1;
    user->acquired++;
    user->bad += tresor__pins_release(&slot, list, count) != TRESOR_OK;
}

static void *run_user(void *argument)
{
    struct user *user = argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t list[3];
        uint32_t count = 1 + random_below(&user->seed, 3);
        for (uint32_t j = 0; j < count; j++)
            list[j] = random_below(&user->seed, TENSORS);
        if (tresor__gate_enter(&slot, slot.generation) != TRESOR_OK)
            break;
        use(user, list, count);
        tresor__gate_leave(&slot, &wakers);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

/* What the context's thread does: evict where a seal says so, load again. */
static uint32_t seal_and_open(uint64_t *seed)
{
    uint32_t tensor = random_below(seed, TENSORS);
    if (!tresor__pins_seal(&slot, tensor))
        return 0;
    payload[tensor] = 0;
    sched_yield();
    payload[tensor] = 1;
    tresor__pins_open(&slot, tensor);
    return 1;
}

static void threads(void **state)
{
    struct user given[THREADS];
    uint64_t seed = 99;
    uint32_t seals = 0;
    uint32_t acquired = 0;
    (void)state;
    start();
    for (uint32_t i = 0; i < TENSORS; i++)
        payload[i] = 1;
    open_all();
    tresor__gate_open(&slot);
    for (uint32_t i = 0; i < THREADS; i++) {
        given[i] = (struct user){.seed = i + 1};
        assert_int_equal(pthread_create(&given[i].thread, NULL, run_user, &given[i]), 0);
    }
    for (uint32_t i = 0; i < ROUNDS; i++)
        seals += seal_and_open(&seed);
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(given[i].thread, NULL);
        assert_int_equal(given[i].bad, 0);
        acquired += given[i].acquired;
    }
    assert_true(seals > 0 && acquired > 0);
    assert_int_equal(tresor__gate_users(&slot), 0);
    for (uint32_t i = 0; i < TENSORS; i++) {
        assert_int_equal(users(i), 0);
        assert_true(tresor__pins_seal(&slot, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts), cmocka_unit_test(all_or_none), cmocka_unit_test(limit_of_users),
        cmocka_unit_test(gate),   cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
