/* SPDX-License-Identifier: MIT */
/* A request is cancelled after every number of steps: it ends once, and nothing stays behind. */
#include "support/test.h"

#include "support/fake_world.h"

static struct fake_world world;
static uint8_t memory[300000];

static void start(bool load)
{
    fake_world_init(&world);
    world.options.dispatch_max = 1;
    world.options.blocks_max = 2;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    if (load)
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
}

static struct tresor_request submit(enum tresor_verb verb, uint32_t strategy)
{
    struct tresor_request request = {0};
    struct tresor_item item = session_all(&world.session);
    int32_t code;
    if (verb == TRESOR_VERB_COPY)
        code = session_note(&world.session,
                            tresor_copy(world.session.context, session_tensor(&world.session, 2), 0,
                                        sizeof memory, memory, NULL, &request),
                            request);
    else
        code = session_submit(&world.session, verb, &item, 1, strategy, &request);
    assert_error(code, TRESOR_OK);
    return request;
}

static void pump(uint32_t steps)
{
    for (uint32_t i = 0; i < steps && session_pump(&world.session); i++)
        continue;
}

/* Whether it was still under way; its end must be there after. */
static bool cancel(struct tresor_request request)
{
    bool was_running = !session_end(&world.session, request);
    assert_error(tresor_cancel(world.session.context, request),
                 was_running ? TRESOR_OK : TRESOR_ERROR_STALE);
    session_settle(&world.session);
    const struct tresor_event *end = session_end(&world.session, request);
    assert_non_null(end);
    if (end->error.code != TRESOR_ERROR_CANCELLED)
        assert_error(end->error.code, TRESOR_OK);
    else
        assert_true(end->cancelled > 0);
    return was_running;
}

static void at_every_step(enum tresor_verb verb, uint32_t strategy, bool load, bool lock)
{
    bool was_running = true;
    for (uint32_t steps = 0; was_running; steps++) {
        start(load);
        if (lock)
            assert_error(fake_world_all(&world, TRESOR_VERB_LOCK, 0), TRESOR_OK);
        struct tresor_request request = submit(verb, strategy);
        pump(steps);
        was_running = cancel(request);
        /* What was cancelled can be asked for again. */
        if (verb == TRESOR_VERB_LOAD) {
            session_verify(&world.session, &world.set);
            assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
            fake_world_must_have(&world, FAKE_TENSORS);
        }
        fake_world_close(&world);
    }
}

static void loads(void **state)
{
    (void)state;
    at_every_step(TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP, false, false);
    at_every_step(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ, false, false);
}

static void everything_else(void **state)
{
    (void)state;
    at_every_step(TRESOR_VERB_COPY, 0, false, false);
    at_every_step(TRESOR_VERB_EVICT, 0, true, false);
    at_every_step(TRESOR_VERB_LOCK, 0, true, false);
    at_every_step(TRESOR_VERB_UNLOCK, 0, true, true);
    at_every_step(TRESOR_VERB_ADVISE, TRESOR_ADVICE_WILLNEED, true, false);
}

static void opening(void **state)
{
    bool was_running = true;
    (void)state;
    for (uint32_t steps = 0; was_running; steps++) {
        struct tresor_request request = {0};
        fake_world_init(&world);
        world.options.dispatch_max = 1;
        model_set_make(&world.set, MODEL_SHARDS, "/fake");
        fake_world_start_context(&world);
        int32_t code = tresor_source_open(world.session.context, model_set_path(&world.set), 0,
                                          &world.session.source, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        pump(steps);
        was_running = cancel(request);
        if (session_end(&world.session, request)->error.code == TRESOR_OK)
            assert_error(session_close(&world.session), TRESOR_OK);
        else
            assert_error(session_close(&world.session), TRESOR_ERROR_STALE);
        fake_world_end(&world);
    }
}

/* Closing is a cancellation of all, at every step too. */
static void closing(void **state)
{
    bool was_running = true;
    (void)state;
    for (uint32_t steps = 0; was_running; steps++) {
        start(false);
        struct tresor_request load = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ);
        struct tresor_request copy = submit(TRESOR_VERB_COPY, 0);
        struct tresor_request lock = submit(TRESOR_VERB_LOCK, 0);
        pump(steps);
        was_running = !session_end(&world.session, load) || !session_end(&world.session, copy) ||
                      !session_end(&world.session, lock);
        fake_world_close(&world);
    }
}

static void one_of_two_that_share_a_load(void **state)
{
    bool was_running = true;
    (void)state;
    for (uint32_t steps = 0; was_running; steps++) {
        start(false);
        struct tresor_request first = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ);
        struct tresor_request second = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP);
        uint64_t before = world.faulty.read_bytes;
        pump(steps);
        was_running = cancel(steps % 2 ? first : second);
        struct tresor_request left = steps % 2 ? second : first;
        assert_error(session_finish(&world.session, left, NULL), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        assert_true(world.faulty.read_bytes - before <= world.set.parts[0].bytes.size);
        fake_world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads),   cmocka_unit_test(everything_else),
        cmocka_unit_test(opening), cmocka_unit_test(closing),
        cmocka_unit_test(one_of_two_that_share_a_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
