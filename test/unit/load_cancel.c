/* SPDX-License-Identifier: MIT */
/* Reads that are taken back: at any step, with another request that wants the same bytes right behind. */
#include "support/test.h"

#include <string.h>

#include "context.h"
#include "support/fake_world.h"

enum {
    STEPS_MAX = 2000,
    COPY_BYTES = 200000,
};

static struct fake_world world;
static struct shuffled shuffled;

static void start(uint64_t seed)
{
    fake_world_init(&world);
    shuffled = (struct shuffled){.seed = seed};
    world.shuffled = &shuffled;
    world.options.direct = 1 + (uint32_t)seed % 3;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static struct tresor_request load(void)
{
    struct tresor_item all = session_all(&world.session);
    struct tresor_request request = {0};
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1, TRESOR_STRATEGY_READ,
                                &request),
                 TRESOR_OK);
    return request;
}

/* Dispatches without a sleep; true once the request has ended. */
static bool go(uint32_t steps, struct tresor_request request)
{
    for (uint32_t i = 0; i < steps; i++)
        session_pump(&world.session);
    return session_end(&world.session, request) != NULL;
}

static void who_comes_behind_has_its_bytes(void **state)
{
    (void)state;
    bool ended_first = false;
    for (uint32_t steps = 0; !ended_first; steps++) {
        assert_true(steps < STEPS_MAX);
        start(steps + 1);
        struct tresor_request first = load();
        ended_first = go(steps, first);
        if (!ended_first)
            assert_error(tresor_cancel(world.session.context, first), TRESOR_OK);
        for (uint32_t i = 0; i < steps % 5; i++)
            session_pump(&world.session);
        struct tresor_request second = load();
        assert_error(session_finish(&world.session, second, NULL), TRESOR_OK);
        session_settle(&world.session);
        fake_world_must_have(&world, FAKE_TENSORS);
        fake_world_close(&world);
    }
}

/* Whatever it has got by then is given back. */
static bool open_and_cancel(uint64_t seed, uint32_t steps)
{
    struct tresor_request request;
    fake_world_init(&world);
    shuffled = (struct shuffled){.seed = seed};
    world.shuffled = &shuffled;
    world.options.direct = TRESOR_DIRECT_ON;
    model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
    fake_world_start_context(&world);
    int32_t code = tresor_source_open(world.session.context, model_set_path(&world.set), 0,
                                      &world.session.source, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    bool ended_first = go(steps, request);
    if (!ended_first)
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
    code = session_finish(&world.session, request, NULL);
    assert_true(code == TRESOR_OK || (!ended_first && code == TRESOR_ERROR_CANCELLED));
    if (code == TRESOR_OK)
        assert_error(session_close(&world.session), TRESOR_OK);
    fake_world_end(&world);
    return ended_first;
}

static void an_open_at_any_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        for (uint32_t steps = 0; !open_and_cancel(seed, steps); steps++)
            assert_true(steps < STEPS_MAX);
}

static uint32_t blocks_in(uint32_t wanted)
{
    const struct tresor__io *io = &world.session.context->controller.io;
    uint32_t count = 0;
    for (uint32_t i = 0; i < io->block_count; i++)
        count += io->blocks[i].state == wanted;
    return count;
}

/* Everything is held: what was asked is asked to end, and is answered all the same. */
static void reads_in_flight_are_taken_back(void **state)
{
    (void)state;
    start(4);
    struct tresor_request request = load();
    for (uint32_t i = 0; i < STEPS_MAX && blocks_in(BLOCK_READING) == 0; i++)
        tresor_dispatch(world.session.context);
    uint32_t reading = blocks_in(BLOCK_READING);
    assert_true(reading > 0);
    shuffled.is_holding = true;
    assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
    for (uint32_t i = 0; i < 10; i++)
        tresor_dispatch(world.session.context);
    assert_int_equal(blocks_in(BLOCK_CANCELLING), reading);
    shuffled.is_holding = false;
    session_settle(&world.session);
    assert_int_equal(blocks_in(BLOCK_FREE), world.session.context->controller.io.block_count);
    session_verify(&world.session, &world.set);
    fake_world_close(&world);
}

static void a_copy_at_any_step(void **state)
{
    static uint8_t memory[COPY_BYTES];
    (void)state;
    bool ended_first = false;
    for (uint32_t steps = 0; !ended_first; steps++) {
        struct tresor_request request;
        start(steps + 1);
        int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, 2), 0,
                                   COPY_BYTES, memory, NULL, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        ended_first = go(steps, request);
        if (!ended_first)
            assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        code = session_finish(&world.session, request, NULL);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_CANCELLED);
        /* From now on the memory is the caller's. */
        memset(memory, 0x5a, sizeof memory);
        session_settle(&world.session);
        for (uint32_t i = 0; i < COPY_BYTES; i++)
            assert_int_equal(memory[i], 0x5a);
        fake_world_close(&world);
        assert_true(steps < STEPS_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_at_any_step),
        cmocka_unit_test(who_comes_behind_has_its_bytes),
        cmocka_unit_test(reads_in_flight_are_taken_back),
        cmocka_unit_test(a_copy_at_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
