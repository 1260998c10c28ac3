/* SPDX-License-Identifier: MIT */
/* Evictions that wait for the end of a tensor's users. */
#include "support/test.h"

#include <poll.h>
#include <pthread.h>

#include "support/fake_world.h"

enum { MANY = 700 };

static struct fake_world world;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void open_world(bool has_threads)
{
    fake_world_init(&world);
    world.faulty.has_workers = world.fake.has_workers = has_threads;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
}

static struct tresor_request evict_patiently(struct tresor_item item)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {
        .size_bytes = sizeof options, .flags = TRESOR_REQUEST_WAIT | TRESOR_REQUEST_ITEMS};
    int32_t code = tresor_evict(context(), &item, 1, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static void acquire(uint32_t tensor)
{
    assert_error(tresor_acquire(context(), session_tensor(&world.session, tensor), NULL),
                 TRESOR_OK);
}

static void release(uint32_t tensor)
{
    assert_error(tresor_release(context(), session_tensor(&world.session, tensor)), TRESOR_OK);
}

static void must_wait(struct tresor_request request)
{
    session_settle(&world.session);
    assert_null(session_end(&world.session, request));
}

static void must_end(struct tresor_request request, int32_t code)
{
    assert_error(session_finish(&world.session, request, NULL), code);
}

static void the_last_release_lets_it_go(void **state)
{
    (void)state;
    open_world(false);
    acquire(1);
    acquire(1);
    struct tresor_request request = evict_patiently(session_all(&world.session));
    must_wait(request);
    fake_world_must_have(&world, 1); /* it is acquired and released meanwhile */
    release(1);
    must_wait(request);
    release(1);
    assert_int_equal(world.faulty.counts[FAULTY_BELL_RING], 0); /* its own thread needs none */
    must_end(request, TRESOR_OK);
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

static void without_users_it_waits_for_nothing(void **state)
{
    (void)state;
    open_world(false);
    must_end(evict_patiently(session_all(&world.session)), TRESOR_OK);
    must_end(evict_patiently(session_all(&world.session)), TRESOR_OK); /* nor what is gone */
    fake_world_close(&world);
}

static void a_cancel_withdraws_it(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 6; steps++) {
        open_world(false);
        acquire(1);
        struct tresor_item item = session_tensor(&world.session, 1);
        struct tresor_request request = evict_patiently(item);
        struct tresor_request other = evict_patiently(item);
        for (uint32_t i = 0; i < steps; i++)
            tresor_dispatch(context());
        assert_error(tresor_cancel(context(), request), TRESOR_OK);
        must_end(request, TRESOR_ERROR_CANCELLED);
        must_wait(other);
        assert_error(tresor_cancel(context(), other), TRESOR_OK);
        must_end(other, TRESOR_ERROR_CANCELLED);
        release(1);
        session_settle(&world.session);
        fake_world_must_have(&world, FAKE_TENSORS);
        fake_world_close(&world);
    }
}

static void others_go_on_meanwhile(void **state)
{
    (void)state;
    open_world(false);
    acquire(1);
    struct tresor_request request = evict_patiently(session_tensor(&world.session, 1));
    must_wait(request);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 1, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_ADVISE, 1, TRESOR_ADVICE_RANDOM), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 1, 0), TRESOR_ERROR_BUSY);
    must_wait(request);
    release(1);
    must_end(request, TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS - 1);
    fake_world_close(&world);
}

/* The impatient one that finds the tensor free takes the patient one along. */
static void an_eviction_that_comes_later_is_first(void **state)
{
    (void)state;
    open_world(false);
    acquire(1);
    struct tresor_request request = evict_patiently(session_tensor(&world.session, 1));
    must_wait(request);
    release(1);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 1, 0), TRESOR_OK);
    must_end(request, TRESOR_OK);
    fake_world_close(&world);
}

static void locks_are_not_waited_for(void **state)
{
    (void)state;
    open_world(false);
    acquire(1);
    struct tresor_item item = session_tensor(&world.session, 1);
    struct tresor_request request = evict_patiently(item);
    must_wait(request);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, 1, 0), TRESOR_OK);
    must_wait(request);
    release(1);
    must_end(request, TRESOR_ERROR_BUSY);
    must_end(evict_patiently(item), TRESOR_ERROR_BUSY);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 1, 0), TRESOR_OK);
    /* One that is held, and then locked, meets an eviction that sees the lock. */
    acquire(1);
    request = evict_patiently(item);
    must_wait(request);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, 1, 0), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 1, 0), TRESOR_ERROR_BUSY);
    must_end(request, TRESOR_ERROR_BUSY);
    release(1);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 1, 0), TRESOR_OK);
    fake_world_close(&world);
}

static void what_is_being_loaded_is_busy(void **state)
{
    struct tresor_request load;
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, 2);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, TRESOR_STRATEGY_READ,
                                &load),
                 TRESOR_OK);
    must_end(evict_patiently(item), TRESOR_ERROR_BUSY);
    must_end(load, TRESOR_OK);
    fake_world_close(&world);
}

static void closing_ends_it(void **state)
{
    (void)state;
    open_world(false);
    acquire(1);
    struct tresor_item free = session_tensor(&world.session, 0);
    struct tresor_item held = session_tensor(&world.session, 1);
    struct tresor_request request = evict_patiently(session_all(&world.session));
    struct tresor_request close = {0};
    must_wait(request);
    int32_t code = tresor_source_close(context(), world.session.source, 0, &close);
    assert_error(session_note(&world.session, code, close), TRESOR_OK);
    must_end(request, TRESOR_ERROR_CANCELLED);
    assert_null(session_end(&world.session, close));
    assert_error(tresor_release(context(), free), TRESOR_ERROR_STALE);
    assert_error(tresor_release(context(), held), TRESOR_OK);
    must_end(close, TRESOR_OK);
    fake_world_end(&world);
}

/* More than one turn tries again, in pairs that are enough or not. */
static void very_many(void **state)
{
    (void)state;
    for (uint32_t waits = 3; waits <= 3000; waits *= 10) {
        struct model_tensor tensors[MANY];
        for (uint32_t i = 0; i < MANY; i++)
            tensors[i] = (struct model_tensor){.size_bytes = 40, .offset_bytes = MODEL_NEXT};
        fake_world_init(&world);
        world.options.waits_max = waits;
        fake_world_start(&world, tensors, MANY);
        struct tresor_request_options quiet = {.size_bytes = sizeof quiet,
                                               .flags = TRESOR_REQUEST_WAIT};
        struct tresor_item item = session_all(&world.session);
        struct tresor_request request = {0};
        assert_error(tresor_load(context(), &item, 1, NULL, &request), TRESOR_OK);
        assert_error(tresor_finish(context(), request, 1, NULL), TRESOR_OK);
        assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
        int32_t code = tresor_evict(context(), &item, 1, &quiet, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        must_wait(request);
        assert_error(tresor_release(context(), item), TRESOR_OK);
        must_end(request, TRESOR_OK);
        fake_world_must_have(&world, 0);
        fake_world_close(&world);
    }
}

/* --- users on another thread --- */

/* Their handles are made on the context's thread. */
static struct tresor_item items[FAKE_TENSORS];

static void *release_items(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < FAKE_TENSORS; i++)
        assert_error(tresor_release(context(), items[i]), TRESOR_OK);
    return NULL;
}

static void on_another_thread(void *(*run)(void *))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void acquire_items(void)
{
    for (uint32_t i = 0; i < FAKE_TENSORS; i++) {
        items[i] = session_tensor(&world.session, i);
        assert_error(tresor_acquire(context(), items[i], NULL), TRESOR_OK);
    }
}

static void the_bell_rings_only_for_who_waits(void **state)
{
    (void)state;
    open_world(true);
    acquire_items();
    on_another_thread(release_items);
    assert_int_equal(world.faulty.counts[FAULTY_BELL_RING], 0);
    /* An eviction that gave up waits no more. */
    acquire_items();
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_ERROR_BUSY);
    uint64_t calls = world.faulty.total;
    on_another_thread(release_items);
    assert_int_equal(world.faulty.total, calls);
    /* Of many that are waited for the first rings, until the context has looked. */
    acquire_items();
    struct tresor_request request = evict_patiently(session_all(&world.session));
    must_wait(request);
    uint64_t rings = world.faulty.counts[FAULTY_BELL_RING];
    on_another_thread(release_items);
    assert_int_equal(world.faulty.counts[FAULTY_BELL_RING], rings + 1);
    must_end(request, TRESOR_OK);
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

/* Whoever sleeps for the eviction is woken by the release. */
static void a_finish_sleeps_until_then(void **state)
{
    pthread_t thread;
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = TRESOR_REQUEST_WAIT};
    (void)state;
    open_world(true);
    for (uint32_t round = 0; round < 50; round++) {
        struct tresor_item everything = session_all(&world.session);
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        acquire_items();
        assert_error(tresor_evict(context(), &everything, 1, &options, &request), TRESOR_OK);
        assert_int_equal(pthread_create(&thread, NULL, release_items, NULL), 0);
        assert_error(tresor_finish(context(), request, 0, NULL), TRESOR_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        fake_world_must_have(&world, 0);
    }
    fake_world_close(&world);
}

static bool is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static void the_descriptor_tells(void **state)
{
    (void)state;
    open_world(true);
    int fd = tresor_get_fd(context());
    for (uint32_t round = 0; round < 2; round++) {
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        acquire_items();
        struct tresor_request request = evict_patiently(session_all(&world.session));
        must_wait(request);
        assert_false(is_readable(fd));
        if (round == 0)
            on_another_thread(release_items);
        else
            release_items(NULL);
        assert_true(is_readable(fd));
        must_end(request, TRESOR_OK);
        assert_false(is_readable(fd));
    }
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_release_lets_it_go),
        cmocka_unit_test(without_users_it_waits_for_nothing),
        cmocka_unit_test(a_cancel_withdraws_it),
        cmocka_unit_test(others_go_on_meanwhile),
        cmocka_unit_test(an_eviction_that_comes_later_is_first),
        cmocka_unit_test(locks_are_not_waited_for),
        cmocka_unit_test(what_is_being_loaded_is_busy),
        cmocka_unit_test(closing_ends_it),
        cmocka_unit_test(very_many),
        cmocka_unit_test(the_bell_rings_only_for_who_waits),
        cmocka_unit_test(a_finish_sleeps_until_then),
        cmocka_unit_test(the_descriptor_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
