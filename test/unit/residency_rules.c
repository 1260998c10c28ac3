/* SPDX-License-Identifier: MIT */
/* Who may do what, and when: evictions of what is in use, locks of what is absent, closes, handles, threads. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>

#include "support/fake_world.h"

static struct fake_world world;

static int32_t all(enum tresor_verb verb)
{
    return fake_world_all(&world, verb, TRESOR_STRATEGY_READ);
}

static struct tresor_request submit(enum tresor_verb verb)
{
    struct tresor_request request;
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, verb, &item, 1, 0, &request), TRESOR_OK);
    return request;
}

static struct tresor_request submit_close(void)
{
    struct tresor_request request = {0};
    int32_t code =
        tresor_source_close(world.session.context, world.session.source, 0, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static void what_is_in_use_is_not_evicted(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK); /* nothing to do */
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, 1);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_OK);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_error(all(TRESOR_VERB_EVICT), TRESOR_ERROR_BUSY);
        assert_error(session_item(&world.session, 1)->error.code, TRESOR_ERROR_BUSY);
        fake_world_must_have(&world, 1);
        assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    }
    assert_error(tresor_release(world.session.context, item), TRESOR_ERROR_INVALID);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, 2, 0), TRESOR_OK);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_ERROR_BUSY);
    fake_world_must_have(&world, 1);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

static void what_is_being_loaded_is_not_evicted(void **state)
{
    (void)state;
    fake_world_open(&world);
    struct tresor_request load = submit(TRESOR_VERB_LOAD);
    struct tresor_request evict = submit(TRESOR_VERB_EVICT);
    assert_error(session_finish(&world.session, evict, NULL), TRESOR_ERROR_BUSY);
    assert_error(session_finish(&world.session, load, NULL), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    fake_world_close(&world);
}

/* A load that comes while a tensor is evicted waits for the end of that, and loads it again. */
static void what_is_being_evicted_is_loaded_again(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_request evict = submit(TRESOR_VERB_EVICT);
    struct tresor_request load = submit(TRESOR_VERB_LOAD);
    assert_error(session_finish(&world.session, evict, NULL), TRESOR_OK);
    assert_error(session_finish(&world.session, load, NULL), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    fake_world_close(&world);
}

static void locks_of_what_is_absent(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    /* During a load it waits for the load. */
    struct tresor_request load = submit(TRESOR_VERB_LOAD);
    struct tresor_request lock = submit(TRESOR_VERB_LOCK);
    assert_error(session_finish(&world.session, lock, NULL), TRESOR_OK);
    assert_non_null(session_end(&world.session, load));
    assert_error(session_end(&world.session, load)->error.code, TRESOR_OK);
    assert_true(fake_world_counters(&world).locked_bytes > 0);
    fake_world_close(&world);
    /* And with the load's failure it fails. */
    fake_world_open(&world);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = ENOMEM};
    load = submit(TRESOR_VERB_LOAD);
    lock = submit(TRESOR_VERB_LOCK);
    assert_error(session_finish(&world.session, lock, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(session_finish(&world.session, load, NULL), TRESOR_ERROR_MAP_REFUSED);
    fake_world_close(&world);
}

/* The tensor is on its way out, but a load is on its way in: a lock waits for both. */
static void a_lock_after_an_eviction_and_a_load(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_request evict = submit(TRESOR_VERB_EVICT);
    struct tresor_request load = submit(TRESOR_VERB_LOAD);
    struct tresor_request lock = submit(TRESOR_VERB_LOCK);
    assert_error(session_finish(&world.session, lock, NULL), TRESOR_OK);
    assert_error(session_finish(&world.session, load, NULL), TRESOR_OK);
    assert_error(session_finish(&world.session, evict, NULL), TRESOR_OK);
    assert_true(fake_world_counters(&world).locked_bytes > 0);
    fake_world_must_have(&world, FAKE_TENSORS);
    fake_world_close(&world);
}

/* Nobody may undo by an item what others have acquired by its parts. */
static void a_release_of_what_is_partly_acquired(void **state)
{
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_item part = session_tensor(&world.session, 0);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(tresor_acquire(context, part, NULL), TRESOR_OK);
    assert_error(tresor_release(context, session_all(&world.session)), TRESOR_ERROR_INVALID);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 0, 0), TRESOR_ERROR_BUSY);
    struct tresor_request close = submit_close();
    session_settle(&world.session);
    assert_null(session_end(&world.session, close));
    assert_error(tresor_release(context, part), TRESOR_OK);
    assert_error(session_finish(&world.session, close, NULL), TRESOR_OK);
    fake_world_end(&world);
}

static void acquiring(void **state)
{
    const void *data = NULL;
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_all(&world.session);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 0, TRESOR_STRATEGY_READ), TRESOR_OK);
    /* All or none: nothing stays acquired after a refusal. */
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(tresor_acquire(world.session.context, item, &data), TRESOR_OK);
    assert_ptr_equal(data, fake_world_tensor(&world, 0).address);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_ERROR_BUSY);
    fake_world_must_have(&world, FAKE_TENSORS);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    fake_world_close(&world);
}

static void a_close_waits_for_users(void **state)
{
    struct tresor_request other;
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_OK);
    struct tresor_request close = submit_close();
    for (uint32_t i = 0; i < 20; i++)
        session_pump(&world.session);
    assert_null(session_end(&world.session, close));
    /* Meanwhile nobody new comes in. */
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_ERROR_STALE);
    assert_error(tresor_load(world.session.context, &item, 1, NULL, &other), TRESOR_ERROR_BUSY);
    assert_error(tresor_source_close(world.session.context, world.session.source, 0, &other),
                 TRESOR_ERROR_BUSY);
    assert_error(tresor_context_destroy(world.session.context), TRESOR_ERROR_BUSY);
    assert_int_equal(tresor_wait(world.session.context, 10), 0);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_BELL_RING], 1); /* whoever sleeps in wait is woken */
    assert_int_equal(tresor_wait(world.session.context, -1), 1);
    assert_error(session_finish(&world.session, close, NULL), TRESOR_OK);
    fake_world_end(&world);
}

/* Whatever it is doing, all of it is given back, and it is the host who is not told. */
static void a_context_in_use_is_destroyed(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 60; steps++) {
        struct tresor_request request;
        fake_world_open(&world);
        struct tresor_item everything = session_all(&world.session);
        session_submit(&world.session, TRESOR_VERB_LOAD, &everything, 1,
                       steps % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP, &request);
        session_submit(&world.session, TRESOR_VERB_LOCK, &everything, 1, 0, &request);
        session_submit(&world.session, TRESOR_VERB_STREAM, &everything, 1, 0, &request);
        for (uint32_t i = 0; i < steps; i++)
            tresor_dispatch(world.session.context);
        assert_error(tresor_context_destroy(world.session.context), TRESOR_OK);
        world.session.context = NULL;
        world.session.request_count = 0;
        fake_world_end(&world);
    }
    assert_error(tresor_context_destroy(NULL), TRESOR_OK);
}

static void a_context_whose_tensors_are_acquired_is_not_destroyed(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_OK);
    assert_error(tresor_context_destroy(world.session.context), TRESOR_ERROR_BUSY);
    fake_world_must_have(&world, FAKE_TENSORS);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    fake_world_close(&world);
}

static void refuse_item(struct tresor_item item, int32_t code)
{
    struct tresor_context *context = world.session.context;
    struct tresor_request request;
    uint8_t byte;
    assert_error(tresor_load(context, &item, 1, NULL, &request), code);
    assert_error(tresor_evict(context, &item, 1, NULL, &request), code);
    assert_error(tresor_lock(context, &item, 1, NULL, &request), code);
    assert_error(tresor_unlock(context, &item, 1, NULL, &request), code);
    assert_error(tresor_advise(context, &item, 1, 0, NULL, &request), code);
    assert_error(tresor_copy(context, item, 0, 1, &byte, NULL, &request), code);
    assert_error(tresor_acquire(context, item, NULL), code);
    assert_error(tresor_release(context, item), code);
    assert_error(tresor_item_measure(context, item, NULL, NULL), code);
}

static void refuse_source(struct tresor_source source, const struct tresor_item items[3])
{
    struct tresor_context *context = world.session.context;
    struct tresor_source_info info = {.size_bytes = sizeof info};
    struct tresor_request request;
    struct tresor_item item;
    for (uint32_t i = 0; i < 3; i++)
        refuse_item(items[i], TRESOR_ERROR_STALE);
    assert_error(tresor_item_of_source(context, source, &item), TRESOR_ERROR_STALE);
    assert_error(tresor_item_of_tensor(context, source, 0, &item), TRESOR_ERROR_STALE);
    assert_error(tresor_source_get_info(context, source, &info), TRESOR_ERROR_STALE);
    assert_error(tresor_source_close(context, source, 0, &request), TRESOR_ERROR_STALE);
}

static void stale_handles(void **state)
{
    static const uint32_t list[] = {0, 1};
    struct tresor_item items[3];
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_source source = world.session.source;
    items[0] = session_all(&world.session);
    items[1] = session_tensor(&world.session, 0);
    assert_error(tresor_item_of_list(context, source, list, 2, &items[2]), TRESOR_OK);
    struct tresor_request ended = submit(TRESOR_VERB_LOAD);
    assert_error(session_finish(&world.session, ended, NULL), TRESOR_OK);
    assert_error(tresor_cancel(context, ended), TRESOR_ERROR_STALE);
    assert_error(tresor_finish(context, ended, 0, NULL), TRESOR_ERROR_STALE);
    /* Of another kind, of nothing, of a group or tensor that is not there. */
    refuse_item((struct tresor_item){source.value}, TRESOR_ERROR_STALE);
    refuse_item((struct tresor_item){0}, TRESOR_ERROR_STALE);
    refuse_item((struct tresor_item){UINT64_MAX}, TRESOR_ERROR_STALE);
    refuse_item((struct tresor_item){items[1].value + (UINT64_C(1000) << 24)}, TRESOR_ERROR_STALE);
    refuse_item((struct tresor_item){items[2].value + (UINT64_C(1000) << 24)}, TRESOR_ERROR_STALE);
    assert_error(tresor_cancel(context, (struct tresor_request){source.value}),
                 TRESOR_ERROR_STALE);
    assert_error(session_close(&world.session), TRESOR_OK);
    refuse_source(source, items);
    /* Nor do they mean the source that has the slot next. */
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    assert_true(world.session.source.value != source.value);
    refuse_source(source, items);
    fake_world_close(&world);
}

struct answers {
    int32_t dispatch;
    int32_t load;
    int32_t cancel;
    int32_t destroy;
    int32_t event;
    int32_t acquire;
    int32_t release;
};

static void *on_another_thread(void *argument)
{
    struct answers *answers = argument;
    struct tresor_context *context = world.session.context;
    struct tresor_item item = world.session.items[0].item;
    struct tresor_request request = {0};
    struct tresor_event event;
    answers->dispatch = tresor_dispatch(context);
    answers->load = tresor_load(context, &item, 1, NULL, &request);
    answers->cancel = tresor_cancel(context, request);
    answers->destroy = tresor_context_destroy(context);
    answers->event = tresor_next_event(context, &event);
    answers->acquire = tresor_acquire(context, item, NULL);
    answers->release = tresor_release(context, item);
    tresor_wake(context);
    return NULL;
}

static void another_thread(void **state)
{
    struct answers answers;
    pthread_t thread;
    (void)state;
    fake_world_open(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_int_equal(pthread_create(&thread, NULL, on_another_thread, &answers), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_error(answers.dispatch, TRESOR_ERROR_THREAD);
    assert_error(answers.load, TRESOR_ERROR_THREAD);
    assert_error(answers.cancel, TRESOR_ERROR_THREAD);
    assert_error(answers.destroy, TRESOR_ERROR_THREAD);
    assert_error(answers.event, TRESOR_ERROR_THREAD);
    assert_error(answers.acquire, TRESOR_OK);
    assert_error(answers.release, TRESOR_OK);
    assert_int_equal(tresor_wait(world.session.context, -1), 0); /* it was woken */
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_use_is_not_evicted),
        cmocka_unit_test(what_is_being_loaded_is_not_evicted),
        cmocka_unit_test(what_is_being_evicted_is_loaded_again),
        cmocka_unit_test(locks_of_what_is_absent),
        cmocka_unit_test(a_lock_after_an_eviction_and_a_load),
        cmocka_unit_test(a_release_of_what_is_partly_acquired),
        cmocka_unit_test(acquiring),
        cmocka_unit_test(a_close_waits_for_users),
        cmocka_unit_test(a_context_in_use_is_destroyed),
        cmocka_unit_test(a_context_whose_tensors_are_acquired_is_not_destroyed),
        cmocka_unit_test(stale_handles),
        cmocka_unit_test(another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
