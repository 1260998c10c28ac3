/* SPDX-License-Identifier: MIT */
/* Who waits, for a pair, a block, room for effects or another's end, is not forgotten and does not
 * spin. */
#include "support/test.h"

#include <string.h>

#include "support/fake_world.h"

enum {
    COPIES = 8,
    COPY_BYTES = 300000,
    MANY = 400,
    REQUESTS = 16,
};

static struct fake_world world;
static struct shuffled shuffled;
static uint8_t memory[COPIES][COPY_BYTES];

static struct tresor_request load(struct tresor_item item, uint32_t strategy, bool wants_items)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .strategy = strategy,
                                             .flags = wants_items ? TRESOR_REQUEST_ITEMS : 0};
    int32_t code = tresor_load(world.session.context, &item, 1, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

/* As far as it goes without an answer; to sleep for one would end the holding back. */
static void settle_held(void)
{
    while (tresor_dispatch(world.session.context) > 0)
        continue;
}

static struct tresor_request copy(uint32_t tensor, uint32_t place)
{
    struct tresor_request request = {0};
    int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, tensor), 0,
                               COPY_BYTES, memory[place], NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static struct tresor_request close_source(struct tresor_source source)
{
    struct tresor_request request = {0};
    int32_t code = tresor_source_close(world.session.context, source, 0, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static void must_end(struct tresor_request request, int32_t code)
{
    assert_error(session_finish(&world.session, request, NULL), code);
}

static void start_many(uint32_t size_bytes)
{
    struct model_tensor tensors[2 * MANY];
    for (uint32_t i = 0; i < 2 * MANY; i++)
        tensors[i] = (struct model_tensor){.size_bytes = size_bytes, .offset_bytes = MODEL_NEXT};
    fake_world_start(&world, tensors, 2 * MANY);
}

/* The pair that a settled load gives back goes to the next, also where the first needs several. */
static void many_requests_in_few_pairs(void **state)
{
    (void)state;
    for (uint32_t waits = 1; waits <= 5; waits++) {
        struct tresor_request requests[REQUESTS];
        fake_world_init(&world);
        world.options.waits_max = waits;
        start_many(40);
        for (uint32_t i = 0; i < REQUESTS; i++) {
            uint32_t list[MANY / REQUESTS];
            struct tresor_item item;
            for (uint32_t j = 0; j < MANY / REQUESTS; j++)
                list[j] = j * REQUESTS + i;
            assert_error(tresor_item_of_list(world.session.context, world.session.source, list,
                                             MANY / REQUESTS, &item),
                         TRESOR_OK);
            requests[i] = load(item, TRESOR_STRATEGY_MMAP + i % 2, false);
        }
        for (uint32_t i = 0; i < REQUESTS; i++)
            must_end(requests[i], TRESOR_OK);
        fake_world_must_have(&world, MANY);
        fake_world_close(&world);
    }
}

/* A file stands first in the list of those that want a block, and then it has nothing to read any
 * more. */
static void a_file_passes_its_block_on(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 24; steps++) {
        struct tresor_request copies[COPIES];
        struct tresor_request evict = {0};
        fake_world_init(&world);
        world.options.blocks_max = 1;
        world.options.dispatch_max = 1;
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 0, TRESOR_STRATEGY_READ), TRESOR_OK);
        struct tresor_source first = world.session.source;
        struct tresor_item small = session_tensor(&world.session, 0);
        struct tresor_item large = session_tensor(&world.session, 2);
        assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
        for (uint32_t i = 0; i < COPIES; i++)
            copies[i] = copy(2, i);
        for (uint32_t i = 0; i < 3; i++)
            session_pump(&world.session);
        struct tresor_request hungry = load(large, TRESOR_STRATEGY_READ, false);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        tresor_cancel(world.session.context, hungry);
        int32_t code = tresor_evict(world.session.context, &small, 1, NULL, &evict);
        assert_error(session_note(&world.session, code, evict), TRESOR_OK);
        session_finish(&world.session, hungry, NULL);
        must_end(evict, TRESOR_OK);
        must_end(close_source(first), TRESOR_OK);
        for (uint32_t i = 0; i < COPIES; i++)
            must_end(copies[i], TRESOR_OK);
        fake_world_close(&world);
    }
}

/* Events that nobody takes hold the pairs that a request waits for: it says so instead of turning
 * round. */
static void a_finish_with_events_not_taken(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.options.waits_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_context *context = world.session.context;
    struct tresor_request first = load(session_tensor(&world.session, 0), 0, true);
    while (tresor_dispatch(context) == 1)
        continue;
    struct tresor_request second = load(session_tensor(&world.session, 1), 0, false);
    for (int32_t discard = 0; discard < 2; discard++)
        assert_error(tresor_finish(context, second, discard, NULL), TRESOR_ERROR_AGAIN);
    must_end(first, TRESOR_OK);
    must_end(second, TRESOR_OK);
    /* Its own it may throw away, as often as they stand in its way. */
    struct tresor_request all = load(session_all(&world.session), 0, true);
    assert_error(tresor_finish(context, all, 0, NULL), TRESOR_ERROR_AGAIN);
    world.session.request_count--; /* its end is taken here */
    assert_error(tresor_finish(context, all, 1, NULL), TRESOR_OK);
    fake_world_close(&world);
}

static bool is_mapping;

static void hold_the_first_map(void *cookie, const struct tresor_transition *transition)
{
    (void)cookie;
    if (strcmp(transition->to, "MAPPING") != 0)
        return;
    shuffled.is_holding = true;
    is_mapping = true;
}

/* Of an extent that is being mapped any part may lose its users, the last one too. */
static void an_extent_that_loses_its_users(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 6; variant++) {
        struct tresor_request requests[3];
        uint32_t cancelled = variant / 2;
        shuffled = (struct shuffled){.seed = 0};
        is_mapping = false;
        fake_world_init(&world);
        world.shuffled = &shuffled;
        world.options.observer = hold_the_first_map;
        struct model_tensor tensors[8];
        for (uint32_t i = 0; i < 8; i++)
            tensors[i] = (struct model_tensor){.size_bytes = 4096, .offset_bytes = MODEL_NEXT};
        fake_world_start(&world, tensors, 8);
        for (uint32_t i = 0; i < 3; i++)
            requests[i] = load(session_tensor(&world.session, 2 * i + 1),
                               TRESOR_STRATEGY_MMAP + variant % 2, false);
        while (!is_mapping)
            tresor_dispatch(world.session.context);
        tresor_cancel(world.session.context, requests[cancelled]);
        settle_held();
        assert_true(shuffled.asked > 0);
        shuffled.is_holding = false;
        for (uint32_t i = 0; i < 3; i++)
            must_end(requests[i], i == cancelled ? TRESOR_ERROR_CANCELLED : TRESOR_OK);
        fake_world_must_have(&world, 2);
        fake_world_close(&world);
    }
}

/* More effects than a context may have under way, all of them held back: it sleeps, and does not
 * look again and again. */
static void no_room_for_effects(void **state)
{
    struct tresor_request request;
    (void)state;
    shuffled = (struct shuffled){.seed = 0};
    fake_world_init(&world);
    world.shuffled = &shuffled;
    world.options.waits_max = 2 * MANY;
    start_many(1);
    struct tresor_item all = session_all(&world.session);
    assert_error(
        session_submit(&world.session, TRESOR_VERB_ADVISE, &all, 1, TRESOR_ADVICE_RANDOM, &request),
        TRESOR_OK);
    shuffled.is_holding = true;
    settle_held();
    assert_in_range(shuffled.asked, 400, 2 * MANY - 1);
    uint64_t polls = shuffled.polls;
    uint64_t sleeps = shuffled.sleeps;
    assert_int_equal(tresor_wait(world.session.context, 500), 0);
    assert_int_equal(shuffled.sleeps - sleeps, 1);
    assert_in_range(shuffled.polls - polls, 1, 4);
    shuffled.is_holding = false;
    must_end(request, TRESOR_OK);
    fake_world_close(&world);
}

/* A close ends them all, however many there are, without a word from the host. */
static void a_close_with_many_requests(void **state)
{
    (void)state;
    for (uint32_t count = 1; count < 64; count += 6) {
        fake_world_init(&world);
        world.options.requests_max = 64;
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        for (uint32_t i = 0; i < count; i++)
            load(session_all(&world.session), TRESOR_STRATEGY_MMAP + i % 2, false);
        struct tresor_request close = close_source(world.session.source);
        world.session.request_count--; /* its end is taken here */
        assert_error(tresor_finish(world.session.context, close, 0, NULL), TRESOR_OK);
        fake_world_end(&world);
    }
}

static void a_finish_while_another_source_drains(void **state)
{
    struct tresor_request evict = {0};
    (void)state;
    fake_world_init(&world);
    world.options.waits_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_context *context = world.session.context;
    struct tresor_source first = world.session.source;
    struct tresor_item item = session_all(&world.session);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, 0), TRESOR_OK);
    assert_error(tresor_acquire(context, item, NULL), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, 0), TRESOR_OK);
    struct tresor_request close = close_source(first);
    session_settle(&world.session);
    struct tresor_item other = session_all(&world.session);
    assert_error(tresor_evict(context, &other, 1, NULL, &evict), TRESOR_OK);
    assert_error(tresor_finish(context, evict, 0, NULL), TRESOR_OK);
    /* What waits for a pair does not sleep until that has drained. */
    struct tresor_request all = load(other, TRESOR_STRATEGY_READ, true);
    assert_error(tresor_finish(context, all, 0, NULL), TRESOR_ERROR_AGAIN);
    world.session.request_count--; /* its end is taken here */
    assert_error(tresor_finish(context, all, 1, NULL), TRESOR_OK);
    assert_null(session_end(&world.session, close));
    assert_error(tresor_release(context, item), TRESOR_OK);
    must_end(close, TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_requests_in_few_pairs),
        cmocka_unit_test(a_file_passes_its_block_on),
        cmocka_unit_test(a_finish_with_events_not_taken),
        cmocka_unit_test(an_extent_that_loses_its_users),
        cmocka_unit_test(no_room_for_effects),
        cmocka_unit_test(a_close_with_many_requests),
        cmocka_unit_test(a_finish_while_another_source_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
