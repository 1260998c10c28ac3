/* SPDX-License-Identifier: MIT */
/* Waiting for what another loads, on the context's thread and on others; and what acquires count. */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "context.h"
#include "support/fake_world.h"

enum {
    LONG_MS = 100000,
    ROUNDS = 300,
};

static struct fake_world world;
static struct shuffled shuffled;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void open_world(bool has_threads)
{
    fake_world_init(&world);
    world.faulty.has_workers = world.fake.has_workers = has_threads;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static struct tresor_request submit(enum tresor_verb verb, struct tresor_item item)
{
    struct tresor_request request;
    assert_error(
        session_submit(&world.session, verb, &item, 1, TRESOR_STRATEGY_READ, &request), TRESOR_OK);
    return request;
}

/* --- on the context's own thread --- */

static void what_is_there_costs_nothing(void **state)
{
    static const int32_t timeouts[] = {-1, 0, 5};
    (void)state;
    open_world(false);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    struct tresor_item item = session_all(&world.session);
    uint64_t calls = world.faulty.total;
    for (uint32_t i = 0; i < 3; i++) {
        const void *data = NULL;
        assert_error(tresor_acquire_wait(context(), item, timeouts[i], &data), TRESOR_OK);
        assert_non_null(data);
        assert_error(tresor_release(context(), item), TRESOR_OK);
    }
    assert_int_equal(world.faulty.total, calls);
    fake_world_close(&world);
}

static void a_load_is_waited_for(void **state)
{
    struct tresor_event event;
    (void)state;
    open_world(false);
    struct tresor_item item = session_tensor(&world.session, 2);
    const void *data = NULL;
    struct tresor_request first = submit(TRESOR_VERB_LOAD, session_tensor(&world.session, 0));
    struct tresor_request second = submit(TRESOR_VERB_LOAD, item);
    assert_error(tresor_acquire_wait(context(), item, 0, &data), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(tresor_acquire_wait(context(), item, -1, &data), TRESOR_OK);
    assert_ptr_equal(data, fake_world_tensor(&world, 2).address);
    /* Events wait in their order. */
    session_settle(&world.session);
    assert_non_null(session_end(&world.session, first));
    assert_non_null(session_end(&world.session, second));
    assert_int_equal(tresor_next_event(context(), &event), 0);
    assert_error(tresor_release(context(), item), TRESOR_OK);
    fake_world_close(&world);
}

static void what_nobody_brings_is_not_waited_for(void **state)
{
    (void)state;
    open_world(false);
    struct tresor_item item = session_tensor(&world.session, 2);
    struct tresor_item other = session_tensor(&world.session, 0);
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_NOT_RESIDENT);
    submit(TRESOR_VERB_LOAD, other); /* of another tensor: its end ends the wait */
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(tresor_acquire_wait(context(), other, 0, NULL), TRESOR_OK);
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = TRESOR_REQUEST_WAIT};
    struct tresor_request evict = {0};
    int32_t code = tresor_evict(context(), &other, 1, &options, &evict);
    assert_error(session_note(&world.session, code, evict), TRESOR_OK);
    /* That waits, but brings nothing. */
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(tresor_release(context(), other), TRESOR_OK);
    /* A load that fails. */
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = 5};
    world.rules[1] = (struct fake_rule){.row = FAULTY_READ_CACHED, .os_errno = 5};
    submit(TRESOR_VERB_LOAD, item);
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_NOT_RESIDENT);
    session_settle(&world.session);
    fake_world_heal(&world);
    fake_world_close(&world);
}

static void open_shuffled_world(void)
{
    shuffled = (struct shuffled){.seed = 1};
    fake_world_init(&world);
    world.shuffled = &shuffled;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

/* As far as it goes without an answer. */
static void hold(void)
{
    shuffled.is_holding = true;
    while (tresor_dispatch(context()) > 0)
        continue;
}

static void time_ends_a_wait(void **state)
{
    (void)state;
    open_shuffled_world();
    struct tresor_item item = session_tensor(&world.session, 2);
    submit(TRESOR_VERB_LOAD, item);
    hold();
    assert_error(tresor_acquire_wait(context(), item, 50, NULL), TRESOR_ERROR_AGAIN);
    shuffled.is_holding = false;
    assert_error(tresor_acquire_wait(context(), item, LONG_MS, NULL), TRESOR_OK);
    assert_error(tresor_release(context(), item), TRESOR_OK);
    session_settle(&world.session);
    fake_world_close(&world);
}

static void stale_items_are_not_waited_for(void **state)
{
    (void)state;
    open_world(false);
    struct tresor_item item = session_tensor(&world.session, 2);
    struct tresor_item everything = session_all(&world.session);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_STALE);
    assert_error(tresor_acquire_wait(context(), everything, -1, NULL), TRESOR_ERROR_STALE);
    assert_error(tresor_acquire_wait(context(), (struct tresor_item){0}, -1, NULL),
                 TRESOR_ERROR_STALE);
    fake_world_end(&world);
}

/* --- on another thread --- */

struct waiter {
    pthread_t thread;
    struct tresor_item item;
    int32_t timeout_ms;
    int32_t code;
    const void *data;
    atomic_bool is_over;
    _Atomic uint32_t acquired;
};

static void *run_waiter(void *argument)
{
    struct waiter *waiter = argument;
    waiter->code =
        tresor_acquire_wait(context(), waiter->item, waiter->timeout_ms, &waiter->data);
    return NULL;
}

static void start(struct waiter *waiter, struct tresor_item item, int32_t timeout_ms)
{
    *waiter = (struct waiter){.item = item, .timeout_ms = timeout_ms};
    assert_int_equal(pthread_create(&waiter->thread, NULL, run_waiter, waiter), 0);
}

static int32_t end(struct waiter *waiter)
{
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
    return waiter->code;
}

/* Until it has gone to sleep at least once, for which its own system-call table is asked. */
static void await_sleep(void)
{
    uint64_t sleeps = 0;
    while (sleeps == 0) {
        sched_yield();
        pthread_mutex_lock(&world.faulty.lock);
        sleeps = world.faulty.counts[FAULTY_WORD_WAIT];
        pthread_mutex_unlock(&world.faulty.lock);
    }
}

static void a_sleeper_is_woken_by_a_load(void **state)
{
    struct waiter one;
    struct waiter all;
    (void)state;
    open_world(true);
    start(&one, session_tensor(&world.session, 2), -1);
    /* Its miss ends the wait of a loop that has nothing else to do, which then knows what to load. */
    while (fake_world_counters(&world).misses == 0)
        sched_yield();
    await_sleep();
    assert_int_equal(tresor_wait(context(), LONG_MS), 0);
    start(&all, session_all(&world.session), LONG_MS);
    assert_error(tresor_context_destroy(context()), TRESOR_ERROR_BUSY);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 2, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(end(&one), TRESOR_OK);
    assert_ptr_equal(one.data, fake_world_tensor(&world, 2).address);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_error(end(&all), TRESOR_OK);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_ERROR_BUSY);
    assert_error(tresor_release(context(), one.item), TRESOR_OK);
    assert_error(tresor_release(context(), all.item), TRESOR_OK);
    fake_world_close(&world);
}

static void closing_wakes_sleepers(void **state)
{
    struct waiter waiter;
    (void)state;
    open_world(true);
    start(&waiter, session_tensor(&world.session, 2), -1);
    await_sleep();
    assert_error(tresor_context_destroy(context()), TRESOR_ERROR_BUSY);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_error(end(&waiter), TRESOR_ERROR_STALE);
    fake_world_end(&world);
}

static void time_ends_a_sleep(void **state)
{
    struct waiter waiter;
    (void)state;
    open_world(false); /* on the clock of the table */
    start(&waiter, session_tensor(&world.session, 2), LONG_MS);
    assert_error(end(&waiter), TRESOR_ERROR_AGAIN);
    start(&waiter, session_tensor(&world.session, 2), 0);
    assert_error(end(&waiter), TRESOR_ERROR_NOT_RESIDENT);
    assert_true(world.faulty.clock_ms >= LONG_MS);
    fake_world_close(&world);
}

/* A sleep that the system refuses, for good, is no reason to answer before the time. */
static void a_sleep_that_is_refused(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_WORD_WAIT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        struct waiter waiter;
        open_world(true);
        world.rules[0] = (struct fake_rule){.row = FAULTY_WORD_WAIT, .os_errno = errors[i]};
        start(&waiter, session_tensor(&world.session, 2), 20);
        assert_error(end(&waiter), TRESOR_ERROR_AGAIN);
        start(&waiter, session_tensor(&world.session, 2), -1);
        await_sleep();
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_error(end(&waiter), TRESOR_OK);
        assert_error(tresor_release(context(), waiter.item), TRESOR_OK);
        fake_world_close(&world);
    }
}

/* Whoever could not be woken looks once more when its time is over. */
static void a_wake_that_is_refused(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_WORD_WAKE, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        struct waiter waiter;
        open_world(true);
        world.rules[0] = (struct fake_rule){.row = FAULTY_WORD_WAKE, .os_errno = errors[i]};
        start(&waiter, session_tensor(&world.session, 2), 200);
        await_sleep();
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 2, TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_error(end(&waiter), TRESOR_OK);
        assert_error(tresor_release(context(), waiter.item), TRESOR_OK);
        fake_world_close(&world);
    }
}

/* --- between a try and the sleep --- */

static atomic_bool is_asleep;
static atomic_bool may_sleep;
static int64_t (*word_wait_under)(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                                  int32_t timeout_ms);

static int64_t wait_late(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                         int32_t timeout_ms)
{
    atomic_store(&is_asleep, true);
    while (!atomic_load(&may_sleep))
        sched_yield();
    return word_wait_under(cookie, word, value, timeout_ms);
}

/* What opens after the try and before the sleep: nobody wakes the thread any more, so it must not fall asleep. */
static void an_opening_just_before_the_sleep(void **state)
{
    struct waiter waiter;
    (void)state;
    open_world(true);
    word_wait_under = world.faulty.sys.word_wait;
    world.faulty.sys.word_wait = wait_late;
    atomic_store(&is_asleep, false);
    atomic_store(&may_sleep, false);
    start(&waiter, session_tensor(&world.session, 2), 10000);
    while (!atomic_load(&is_asleep))
        sched_yield();
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 2, TRESOR_STRATEGY_READ), TRESOR_OK);
    atomic_store(&may_sleep, true);
    assert_error(end(&waiter), TRESOR_OK);
    assert_error(tresor_release(context(), waiter.item), TRESOR_OK);
    fake_world_close(&world);
}

static void *acquire_often(void *argument)
{
    struct waiter *waiter = argument;
    while (!atomic_load(&waiter->is_over) && waiter->code == TRESOR_OK) {
        waiter->code = tresor_acquire_wait(context(), waiter->item, -1, NULL);
        if (waiter->code == TRESOR_OK)
            waiter->code = tresor_release(context(), waiter->item);
        atomic_fetch_add(&waiter->acquired, 1);
        sched_yield();
    }
    return NULL;
}

static void load_for(struct waiter waiters[2], struct tresor_item item)
{
    struct tresor_request request;
    uint32_t acquired[2] = {atomic_load(&waiters[0].acquired), atomic_load(&waiters[1].acquired)};
    assert_error(tresor_load(context(), &item, 1, NULL, &request), TRESOR_OK);
    assert_error(tresor_finish(context(), request, 1, NULL), TRESOR_OK);
    for (uint32_t i = 0; i < 2; i++)
        while (atomic_load(&waiters[i].acquired) == acquired[i])
            sched_yield();
}

static void evict_again(struct tresor_item item)
{
    struct tresor_request request;
    do
        assert_error(tresor_evict(context(), &item, 1, NULL, &request), TRESOR_OK);
    while (tresor_finish(context(), request, 1, NULL) != TRESOR_OK);
}

/* Were one opening missed, this would not end. */
static void no_opening_is_missed(void **state)
{
    struct waiter waiters[2];
    (void)state;
    open_world(true);
    struct tresor_item everything = session_all(&world.session);
    for (uint32_t i = 0; i < 2; i++) {
        waiters[i] = (struct waiter){.item = i ? everything : session_tensor(&world.session, 2)};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, acquire_often, &waiters[i]), 0);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        load_for(waiters, everything);
        if (i + 1 < ROUNDS)
            evict_again(everything);
    }
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store(&waiters[i].is_over, true);
        assert_error(end(&waiters[i]), TRESOR_OK);
    }
    fake_world_close(&world);
}

/* --- counters --- */

static void must_count(uint64_t hits, uint64_t misses, uint64_t late)
{
    struct tresor_counters counters = fake_world_counters(&world);
    assert_int_equal(counters.hits, hits);
    assert_int_equal(counters.misses, misses);
    assert_int_equal(counters.late, late);
}

static void what_is_missed_is_counted(void **state)
{
    (void)state;
    open_shuffled_world();
    struct tresor_item item = session_tensor(&world.session, 2);
    struct tresor_item other = session_tensor(&world.session, 3);
    struct tresor_item everything = session_all(&world.session);
    for (uint32_t i = 0; i < 2; i++)
        assert_error(tresor_acquire(context(), item, NULL), TRESOR_ERROR_NOT_RESIDENT);
    must_count(0, 1, 0);
    struct tresor_request load = submit(TRESOR_VERB_LOAD, other);
    hold();
    for (uint32_t i = 0; i < 2; i++)
        assert_error(tresor_acquire(context(), other, NULL), TRESOR_ERROR_NOT_RESIDENT);
    must_count(0, 1, 1);
    shuffled.is_holding = false;
    assert_error(session_finish(&world.session, load, NULL), TRESOR_OK);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(tresor_acquire(context(), everything, NULL), TRESOR_OK);
    must_count(FAKE_TENSORS, 1, 1);
    assert_error(tresor_release(context(), everything), TRESOR_OK);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    for (uint32_t i = 0; i < 2; i++) /* the first of them */
        assert_error(tresor_acquire(context(), everything, NULL), TRESOR_ERROR_NOT_RESIDENT);
    must_count(FAKE_TENSORS, 2, 1);
    fake_world_close(&world);
}

/* Cancelled, it is not late any more but missing. */
static void a_load_that_is_cancelled_is_not_late(void **state)
{
    (void)state;
    open_shuffled_world();
    struct tresor_item item = session_tensor(&world.session, 2);
    struct tresor_request load = submit(TRESOR_VERB_LOAD, item);
    hold();
    assert_error(tresor_cancel(context(), load), TRESOR_OK);
    shuffled.is_holding = false;
    assert_error(session_finish(&world.session, load, NULL), TRESOR_ERROR_CANCELLED);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_ERROR_NOT_RESIDENT);
    must_count(0, 1, 0);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_costs_nothing),
        cmocka_unit_test(a_load_is_waited_for),
        cmocka_unit_test(what_nobody_brings_is_not_waited_for),
        cmocka_unit_test(time_ends_a_wait),
        cmocka_unit_test(stale_items_are_not_waited_for),
        cmocka_unit_test(a_sleeper_is_woken_by_a_load),
        cmocka_unit_test(closing_wakes_sleepers),
        cmocka_unit_test(time_ends_a_sleep),
        cmocka_unit_test(a_sleep_that_is_refused),
        cmocka_unit_test(a_wake_that_is_refused),
        cmocka_unit_test(an_opening_just_before_the_sleep),
        cmocka_unit_test(no_opening_is_missed),
        cmocka_unit_test(what_is_missed_is_counted),
        cmocka_unit_test(a_load_that_is_cancelled_is_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
