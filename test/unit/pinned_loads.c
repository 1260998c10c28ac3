/* SPDX-License-Identifier: MIT */
/* Loads that hand pins over: each is the host's or the library's, and never nobody's. */
#include "support/test.h"

#include "context.h"
#include "support/fake_world.h"

enum {
    STEPS = 40,
    USERS_MAX = (1 << 24) - 1,
};

static struct fake_world world;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void open_world(void)
{
    fake_world_init(&world);
    world.options.dispatch_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static struct tresor_request load_pinned(struct tresor_item item)
{
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .strategy = TRESOR_STRATEGY_READ,
                                             .flags = TRESOR_REQUEST_PIN};
    assert_error(tresor_load(context(), &item, 1, &options, &request), TRESOR_OK);
    return request;
}

static void settle(void)
{
    while (tresor_dispatch(context()) > 0)
        continue;
}

static int32_t evict(struct tresor_item item)
{
    struct tresor_request request;
    assert_error(tresor_evict(context(), &item, 1, NULL, &request), TRESOR_OK);
    return tresor_finish(context(), request, 1, NULL);
}

/* Takes all events and keeps what was handed over. */
static uint32_t take(struct tresor_item *pinned, uint32_t limit, struct tresor_event *done)
{
    struct tresor_event event;
    uint32_t count = 0;
    for (uint32_t i = 0; i < limit && tresor_next_event(context(), &event) == 1; i++) {
        if (event.type == TRESOR_EVENT_DONE && done)
            *done = event;
        if (event.type != TRESOR_EVENT_ITEM)
            continue;
        assert_int_equal(event.data != NULL, (event.flags & TRESOR_EVENT_PINNED) != 0);
        if (event.flags & TRESOR_EVENT_PINNED)
            pinned[count++] = event.item;
    }
    return count;
}

static void release(const struct tresor_item *pinned, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_error(tresor_release(context(), pinned[i]), TRESOR_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_error(tresor_release(context(), pinned[i]), TRESOR_ERROR_INVALID);
}

static void each_tensor_is_handed_over(void **state)
{
    struct tresor_item pinned[2 * FAKE_TENSORS];
    struct tresor_event done = {0};
    (void)state;
    open_world();
    for (uint32_t round = 1; round <= 2; round++) { /* what is resident already is pinned too */
        load_pinned(session_all(&world.session));
        settle();
        assert_int_equal(take(pinned, UINT32_MAX, &done), FAKE_TENSORS);
        assert_error(done.error.code, TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).hits, round * FAKE_TENSORS);
        for (uint32_t i = 0; i < FAKE_TENSORS; i++)
            assert_error(evict(session_tensor(&world.session, i)), TRESOR_ERROR_BUSY);
        assert_error(tresor_context_destroy(context()), TRESOR_ERROR_BUSY);
        release(pinned, FAKE_TENSORS);
    }
    assert_error(evict(session_all(&world.session)), TRESOR_OK);
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

static void one_tensor_twice_is_two_pins(void **state)
{
    static const uint32_t list[] = {2, 2};
    struct tresor_item pinned[2];
    struct tresor_item item;
    (void)state;
    open_world();
    assert_error(tresor_item_of_list(context(), world.session.source, list, 2, &item), TRESOR_OK);
    load_pinned(item);
    settle();
    assert_int_equal(take(pinned, UINT32_MAX, NULL), 2);
    assert_error(tresor_release(context(), pinned[0]), TRESOR_OK);
    assert_error(evict(item), TRESOR_ERROR_BUSY);
    assert_error(tresor_release(context(), pinned[1]), TRESOR_OK);
    assert_error(evict(item), TRESOR_OK);
    fake_world_close(&world);
}

static void discarded_events_give_back(void **state)
{
    (void)state;
    open_world();
    struct tresor_request request = load_pinned(session_all(&world.session));
    assert_error(tresor_finish(context(), request, 1, NULL), TRESOR_OK);
    assert_error(evict(session_all(&world.session)), TRESOR_OK);
    fake_world_close(&world);
}

/* Those that the host has taken before stay its own. */
static void a_cancel_gives_back(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < STEPS; steps++) {
        struct tresor_item pinned[FAKE_TENSORS];
        struct tresor_event event;
        open_world();
        struct tresor_item everything = session_all(&world.session);
        struct tresor_request request = load_pinned(everything);
        for (uint32_t i = 0; i < steps; i++)
            tresor_dispatch(context());
        uint32_t count = take(pinned, 1, NULL);
        bool has_ended =
            context()->controller.requests[0].state == REQUEST_ENDED;
        assert_error(tresor_cancel(context(), request), TRESOR_OK);
        settle();
        uint32_t more = take(&pinned[count], UINT32_MAX, &event);
        assert_int_equal(count + more, has_ended ? FAKE_TENSORS : count);
        assert_error(evict(everything), count + more > 0 ? TRESOR_ERROR_BUSY : TRESOR_OK);
        release(pinned, count + more);
        assert_error(evict(everything), TRESOR_OK);
        fake_world_close(&world);
    }
}

static void a_close_gives_back(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < STEPS; steps++) {
        struct tresor_item pinned[FAKE_TENSORS];
        struct tresor_request request;
        open_world();
        load_pinned(session_all(&world.session));
        for (uint32_t i = 0; i < steps; i++)
            tresor_dispatch(context());
        assert_error(tresor_source_close(context(), world.session.source, 0, &request), TRESOR_OK);
        assert_error(tresor_finish(context(), request, 0, NULL), TRESOR_OK);
        assert_int_equal(take(pinned, UINT32_MAX, NULL), 0);
        fake_world_end(&world);
    }
}

static void what_is_not_taken_does_not_hold_the_context(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < STEPS; steps++) {
        struct tresor_item pinned[FAKE_TENSORS];
        open_world();
        load_pinned(session_all(&world.session));
        for (uint32_t i = 0; i < steps; i++)
            tresor_dispatch(context());
        uint32_t count = take(pinned, 1, NULL);
        if (count > 0) { /* and nothing is done */
            assert_error(tresor_context_destroy(context()), TRESOR_ERROR_BUSY);
            settle();
            uint32_t more = take(&pinned[1], 1, NULL);
            assert_int_equal(more, 1);
            release(pinned, 2);
        }
        assert_error(tresor_context_destroy(context()), TRESOR_OK);
        world.session.context = NULL;
        fake_world_end(&world);
    }
}

static void what_cannot_be_pinned_has_failed(void **state)
{
    struct tresor_item pinned[FAKE_TENSORS];
    struct tresor_event done = {0};
    (void)state;
    open_world();
    _Atomic uint64_t *word = &atomic_load(&context()->controller.slots[0].pins)->pins[1].word;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    atomic_fetch_add(word, USERS_MAX);
    load_pinned(session_all(&world.session));
    settle();
    assert_int_equal(take(pinned, UINT32_MAX, &done), FAKE_TENSORS - 1);
    assert_error(done.error.code, TRESOR_ERROR_AGAIN);
    assert_int_equal(done.failed, 1);
    assert_int_equal(done.error.tensor, 1);
    atomic_fetch_sub(word, USERS_MAX);
    release(pinned, FAKE_TENSORS - 1);
    fake_world_close(&world);
}

static int32_t ask(enum tresor_verb verb, uint32_t flags)
{
    struct tresor_item item = session_tensor(&world.session, 0);
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = flags};
    uint8_t byte;
    switch (verb) {
    case TRESOR_VERB_LOAD:
        return tresor_load(context(), &item, 1, &options, &request);
    case TRESOR_VERB_EVICT:
        return tresor_evict(context(), &item, 1, &options, &request);
    case TRESOR_VERB_LOCK:
        return tresor_lock(context(), &item, 1, &options, &request);
    case TRESOR_VERB_UNLOCK:
        return tresor_unlock(context(), &item, 1, &options, &request);
    case TRESOR_VERB_STREAM:
        return tresor_stream(context(), &item, 1, &options, &request);
    case TRESOR_VERB_COPY:
        return tresor_copy(context(), item, 0, 1, &byte, &options, &request);
    default:
        return tresor_advise(context(), &item, 1, TRESOR_ADVICE_NORMAL, &options, &request);
    }
}

static void flags_of_other_verbs_are_refused(void **state)
{
    (void)state;
    open_world();
    for (uint32_t verb = TRESOR_VERB_LOAD; verb <= TRESOR_VERB_STREAM; verb++) {
        if (verb != TRESOR_VERB_LOAD)
            assert_error(ask(verb, TRESOR_REQUEST_PIN), TRESOR_ERROR_INVALID);
        if (verb != TRESOR_VERB_EVICT && verb != TRESOR_VERB_LOAD)
            assert_error(ask(verb, TRESOR_REQUEST_WAIT), TRESOR_ERROR_INVALID);
        assert_error(ask(verb, 1u << 31), TRESOR_ERROR_INVALID);
    }
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tensor_is_handed_over),
        cmocka_unit_test(one_tensor_twice_is_two_pins),
        cmocka_unit_test(discarded_events_give_back),
        cmocka_unit_test(a_cancel_gives_back),
        cmocka_unit_test(a_close_gives_back),
        cmocka_unit_test(what_is_not_taken_does_not_hold_the_context),
        cmocka_unit_test(what_cannot_be_pinned_has_failed),
        cmocka_unit_test(flags_of_other_verbs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
