/* SPDX-License-Identifier: MIT */
/* Pools of one or few: what is full is refused without a trace, what has to wait is not forgotten. */
#include "support/test.h"

#include <string.h>

#include "support/fake_world.h"

static struct fake_world world;

enum {
    MANY = 3,
    JOBS = 4,
};

static uint8_t memory[JOBS][300000];

static struct tresor_request submit(enum tresor_verb verb, uint32_t strategy)
{
    struct tresor_request request;
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, verb, &item, 1, strategy, &request), TRESOR_OK);
    return request;
}

static struct tresor_request submit_copy(uint32_t tensor, uint32_t place)
{
    struct tresor_request request = {0};
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, tensor), 0,
                               info.tensor_bytes, memory[place], NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static void must_end(struct tresor_request request, int32_t code)
{
    assert_error(session_finish(&world.session, request, NULL), code);
}

static void start_with_waits(uint32_t waits)
{
    fake_world_init(&world);
    world.options.waits_max = waits;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static void requests_that_are_too_many(void **state)
{
    struct tresor_request requests[MANY];
    struct tresor_request refused = {0};
    struct tresor_source source;
    (void)state;
    fake_world_init(&world);
    world.options.requests_max = MANY;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    for (uint32_t i = 0; i < MANY; i++)
        requests[i] = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP);
    struct tresor_counters before = fake_world_counters(&world);
    struct tresor_item item = session_all(&world.session);
    assert_error(tresor_load(world.session.context, &item, 1, NULL, &refused), TRESOR_ERROR_AGAIN);
    assert_error(tresor_copy(world.session.context, session_tensor(&world.session, 0), 0, 1, memory,
                             NULL, &refused),
                 TRESOR_ERROR_AGAIN);
    assert_error(tresor_source_open(world.session.context, model_set_path(&world.set), 0, &source,
                                    &refused),
                 TRESOR_ERROR_AGAIN);
    assert_error(tresor_source_close(world.session.context, world.session.source, 0, &refused),
                 TRESOR_ERROR_AGAIN);
    struct tresor_counters after = fake_world_counters(&world);
    assert_memory_equal(&before, &after, sizeof before);
    for (uint32_t i = 0; i < MANY; i++)
        must_end(requests[i], TRESOR_OK);
    fake_world_close(&world);
}

static void items_that_are_too_many(void **state)
{
    struct tresor_item items[MANY + 1];
    struct tresor_request request;
    (void)state;
    fake_world_init(&world);
    world.options.items_max = MANY;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    for (uint32_t i = 0; i <= MANY; i++)
        items[i] = session_tensor(&world.session, i);
    struct tresor_counters before = fake_world_counters(&world);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, items, MANY + 1,
                                TRESOR_STRATEGY_MMAP, &request),
                 TRESOR_ERROR_LIMIT);
    struct tresor_counters after = fake_world_counters(&world);
    assert_memory_equal(&before, &after, sizeof before);
    for (uint32_t i = 0; i < 3; i++) {
        assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, items, MANY,
                                    TRESOR_STRATEGY_MMAP, &request),
                     TRESOR_OK);
        must_end(request, TRESOR_OK);
    }
    fake_world_close(&world);
}

static void sources_that_are_too_many(void **state)
{
    struct tresor_request request;
    struct tresor_source source;
    (void)state;
    fake_world_init(&world);
    world.options.sources_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    assert_error(tresor_source_open(world.session.context, model_set_path(&world.set), 0, &source,
                                    &request),
                 TRESOR_ERROR_AGAIN);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    fake_world_close(&world);
}

/* Fewer pairs than tensors, down to one, under one request and under several. */
static void few_waits(void **state)
{
    (void)state;
    for (uint32_t waits = 1; waits <= FAKE_TENSORS + 1; waits++) {
        struct tresor_request requests[MANY];
        start_with_waits(waits);
        for (uint32_t i = 0; i < MANY; i++)
            requests[i] = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP + i % 2);
        for (uint32_t i = 0; i < MANY; i++)
            must_end(requests[i], TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        for (enum tresor_verb verb = TRESOR_VERB_EVICT; verb <= TRESOR_VERB_UNLOCK; verb++)
            requests[verb % MANY] = submit(verb, 0);
        session_settle(&world.session);
        fake_world_close(&world);
    }
}

/* Without ITEM events, so that a pair is free as soon as its tensor has settled. */
static struct tresor_request submit_quietly(void)
{
    struct tresor_request request;
    struct tresor_item item = session_all(&world.session);
    int32_t code = tresor_load(world.session.context, &item, 1, NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static void start_slowly(uint32_t waits, uint32_t blocks)
{
    fake_world_init(&world);
    world.options.waits_max = waits;
    world.options.blocks_max = blocks;
    world.options.dispatch_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static void pump(uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        session_pump(&world.session);
}

/* Loads that have one pair between them, after some steps. */
static void start_loads(struct tresor_request requests[MANY], uint32_t steps)
{
    start_slowly(1, 4);
    for (uint32_t i = 0; i < MANY; i++)
        requests[i] = submit_quietly();
    pump(steps);
}

/* Of requests that wait for a pair, any is cancelled: the pair goes to the next one. */
static void a_cancelled_request_that_waits_for_a_pair(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        for (uint32_t cancelled = 0; cancelled < MANY; cancelled++) {
            struct tresor_request requests[MANY];
            start_loads(requests, steps);
            tresor_cancel(world.session.context, requests[cancelled]);
            for (uint32_t i = 0; i < MANY; i++)
                session_finish(&world.session, requests[i], NULL);
            /* The slot that it had, taken again, is in no list twice. */
            struct tresor_request next[MANY];
            for (uint32_t i = 0; i < MANY; i++)
                next[i] = submit_quietly();
            for (uint32_t i = 0; i < MANY; i++)
                must_end(next[i], TRESOR_OK);
            fake_world_close(&world);
        }
    }
}

/* A slot is free while others still wait: who takes it must not cut them off. */
static void a_slot_that_is_taken_again_while_others_wait(void **state)
{
    (void)state;
    for (uint32_t steps = 1; steps < 12; steps++) {
        struct tresor_request requests[MANY];
        start_loads(requests, steps);
        tresor_cancel(world.session.context, requests[1]);
        session_pump(&world.session); /* takes its end */
        struct tresor_request next = submit_quietly();
        session_settle(&world.session);
        for (uint32_t i = 0; i < MANY; i++)
            assert_non_null(session_end(&world.session, requests[i]));
        must_end(next, TRESOR_OK);
        fake_world_close(&world);
    }
}

static void one_block(void **state)
{
    struct tresor_request requests[MANY];
    (void)state;
    fake_world_init(&world);
    world.options.blocks_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    requests[0] = submit_copy(2, 0);
    requests[1] = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ);
    requests[2] = submit_copy(3, 1);
    for (uint32_t i = 0; i < MANY; i++)
        must_end(requests[i], TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    const uint8_t *data = world.set.parts[0].bytes.data;
    assert_memory_equal(memory[0], data + fake_world_tensor(&world, 2).offset_bytes, 300000);
    assert_memory_equal(memory[1], data + fake_world_tensor(&world, 3).offset_bytes, 90000);
    fake_world_close(&world);
}

/* Of jobs that wait for a block, any is cancelled: the block goes to the next one. */
static void a_cancelled_job_that_waits_for_a_block(void **state)
{
    (void)state;
    for (uint32_t blocks = 1; blocks <= 2; blocks++) {
        for (uint32_t steps = 0; steps < 14; steps++) {
            for (uint32_t cancelled = 0; cancelled < MANY; cancelled++) {
                struct tresor_request requests[MANY];
                start_slowly(64, blocks);
                requests[0] = submit_copy(2, 0);
                requests[1] = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ);
                requests[2] = submit_copy(2, 1);
                pump(steps);
                tresor_cancel(world.session.context, requests[cancelled]);
                for (uint32_t i = 0; i < MANY; i++)
                    session_finish(&world.session, requests[i], NULL);
                fake_world_close(&world);
            }
        }
    }
}

/*
 * Of two sources the first loads, as the `place`th of some jobs, the second's copies are the others. After some steps
 * the first closes. Whether its load was still under way.
 */
static bool close_first(uint32_t blocks, uint32_t place, uint32_t steps)
{
    struct tresor_request open = {0};
    struct tresor_request close = {0};
    struct tresor_request requests[JOBS];
    start_slowly(64, blocks);
    struct tresor_context *context = world.session.context;
    struct tresor_source first = world.session.source;
    struct tresor_item all = session_all(&world.session);
    int32_t code = tresor_source_open(context, model_set_path(&world.set), 0,
                                      &world.session.source, &open);
    assert_error(session_note(&world.session, code, open), TRESOR_OK);
    must_end(open, TRESOR_OK);
    for (uint32_t i = 0; i < JOBS; i++) {
        if (i == place)
            assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1,
                                        TRESOR_STRATEGY_READ, &requests[i]),
                         TRESOR_OK);
        else
            requests[i] = submit_copy(2, i);
    }
    pump(steps);
    bool was_running = !session_end(&world.session, requests[place]);
    code = tresor_source_close(context, first, 0, &close);
    assert_error(session_note(&world.session, code, close), TRESOR_OK);
    must_end(close, TRESOR_OK);
    for (uint32_t i = 0; i < JOBS; i++)
        session_finish(&world.session, requests[i], NULL);
    fake_world_close(&world);
    return was_running;
}

/* A source closes while its job waits for a block that another source's copy has. */
static void a_source_that_closes_while_it_waits_for_a_block(void **state)
{
    (void)state;
    for (uint32_t blocks = 1; blocks <= 2; blocks++)
        for (uint32_t place = 0; place < JOBS; place++)
            for (uint32_t steps = 0; close_first(blocks, place, steps); steps++)
                continue;
}

/* Cancels are effects of reads that are under way, and shall find room however much else is. */
static void cancels_beside_all_that_is_asked(void **state)
{
    enum { SMALL = 3000, BLOCKS = 256, UNIT_BYTES = 64 * 1024 };
    static struct model_tensor tensors[SMALL + 1];
    static uint8_t large[BLOCKS * UNIT_BYTES];
    struct shuffled shuffled = {0};
    struct tresor_request copy = {0};
    (void)state;
    tensors[0] = (struct model_tensor){sizeof large, MODEL_NEXT, false};
    for (uint32_t i = 1; i <= SMALL; i++)
        tensors[i] = (struct model_tensor){32, MODEL_NEXT, false};
    fake_world_init(&world);
    world.shuffled = &shuffled;
    world.options.blocks_max = BLOCKS;
    world.options.waits_max = 2 * SMALL;
    world.options.dispatch_max = 64;
    fake_world_start(&world, tensors, SMALL + 1);
    shuffled.is_holding = true;
    int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, 0), 0,
                               sizeof large, large, NULL, &copy);
    assert_error(session_note(&world.session, code, copy), TRESOR_OK);
    while (tresor_dispatch(world.session.context) > 0)
        continue;
    assert_true(shuffled.asked >= BLOCKS - 1);
    struct tresor_request advise = submit(TRESOR_VERB_ADVISE, TRESOR_ADVICE_RANDOM);
    while (tresor_dispatch(world.session.context) > 0)
        continue;
    assert_true(shuffled.asked > 2 * BLOCKS); /* as many as there is room for */
    assert_error(tresor_cancel(world.session.context, copy), TRESOR_OK);
    shuffled.is_holding = false;
    shuffled.seed = 1; /* the advice may end before the reads */
    must_end(copy, TRESOR_ERROR_CANCELLED);
    must_end(advise, TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_are_too_many),
        cmocka_unit_test(items_that_are_too_many),
        cmocka_unit_test(sources_that_are_too_many),
        cmocka_unit_test(few_waits),
        cmocka_unit_test(a_cancelled_request_that_waits_for_a_pair),
        cmocka_unit_test(a_slot_that_is_taken_again_while_others_wait),
        cmocka_unit_test(one_block),
        cmocka_unit_test(a_cancelled_job_that_waits_for_a_block),
        cmocka_unit_test(a_source_that_closes_while_it_waits_for_a_block),
        cmocka_unit_test(cancels_beside_all_that_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
