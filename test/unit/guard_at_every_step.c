/* SPDX-License-Identifier: MIT */
/*
 * A page is lost at every step of loads, evictions, swaps, locks and reloads. Whatever can be acquired then holds its file's
 * bytes, the books are right, and afterwards all can be loaded again.
 */
#include "support/test.h"

#include <string.h>

#include "context.h"
#include "support/fake_world.h"

enum {
    TENSORS = 5,
    STEPS_MAX = 4000,
    PLACES = 3,
    ARENA_BYTES = 16 * 1024 * 1024,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},  {100, MODEL_NEXT, false},   {400000, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false}, {70000, MODEL_NEXT, false},
};

/* So that a swap has two chunks. */
static const struct model_tensor larger_tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},  {100, MODEL_NEXT, false},   {2500000, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false}, {70000, MODEL_NEXT, false},
};

/* A page of two tensors, one in the large tensor's middle, and the last. */
static const struct {
    uint32_t tensor;
    uint64_t offset;
} places[PLACES] = {{1, 50}, {2, 250000}, {4, 69000}};

static struct fake_world world;

static void start(uint32_t steps, const struct model_tensor *list)
{
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    world.options.dispatch_max = 1;
    world.fake.arena_bytes = ARENA_BYTES;
    world.options.block_bytes = UINT64_C(1) << 18;
    world.options.direct = 1 + steps % 3;
    fake_world_start(&world, list, TENSORS);
}

static struct tresor_request submit(enum tresor_verb verb, uint32_t strategy)
{
    struct tresor_request request = {0};
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, verb, &item, 1, strategy, &request), TRESOR_OK);
    return request;
}

static void check_books(void)
{
    assert_int_equal(fake_world_counters(&world).rejected, 0);
    tresor__ledger_check(&world.session.context->controller.slots[0].source.model.files[0].io.ledger);
}

/* What a reload of all needs is that nobody has it. */
static void bring_all_back(void)
{
    fake_world_all(&world, TRESOR_VERB_UNLOCK, 0);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    check_books();
}

/* The verb under way when the page is lost, over tensors that were loaded by the strategy before, or by none. */
struct meeting {
    enum tresor_verb verb;
    uint32_t before;
    uint32_t strategy;
};

static bool meet(const struct meeting *meeting, uint32_t steps, uint32_t place)
{
    start(steps, meeting->verb == TRESOR_VERB_SWAP ? larger_tensors : tensors);
    if (meeting->before != TRESOR_STRATEGY_DEFAULT)
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, meeting->before), TRESOR_OK);
    if (meeting->verb == TRESOR_VERB_UNLOCK)
        assert_error(fake_world_all(&world, TRESOR_VERB_LOCK, 0), TRESOR_OK);
    struct tresor_request request = submit(meeting->verb, meeting->strategy);
    for (uint32_t i = 0; i < steps && !session_end(&world.session, request); i++)
        session_pump(&world.session);
    bool ended = session_end(&world.session, request) != NULL;
    fake_sys_fault(&world.fake, (void *)(uintptr_t)fake_world_place(&world, places[place].tensor,
                                                                    places[place].offset));
    while (session_pump(&world.session)) {
        check_books();
        session_verify(&world.session, &world.set);
    }
    assert_non_null(session_end(&world.session, request));
    bring_all_back();
    fake_world_close(&world);
    return ended;
}

static uint32_t at_every_step(const struct meeting *meeting)
{
    uint32_t met = 0;
    for (uint32_t place = 0; place < PLACES; place++) {
        bool ended = false;
        for (uint32_t steps = 0; !ended; steps++, met++) {
            assert_true(steps < STEPS_MAX);
            ended = meet(meeting, steps, place);
        }
    }
    return met;
}

static void loads(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++)
        assert_true(at_every_step(&(struct meeting){TRESOR_VERB_LOAD, 0, strategy}) > 4 * PLACES);
}

static void evictions(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++)
        assert_true(at_every_step(&(struct meeting){TRESOR_VERB_EVICT, strategy, 0}) > 2 * PLACES);
}

static void swaps(void **state)
{
    (void)state;
    for (uint32_t from = TRESOR_STRATEGY_MMAP; from <= TRESOR_STRATEGY_READ; from++) {
        uint32_t to = from == TRESOR_STRATEGY_MMAP ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        assert_true(at_every_step(&(struct meeting){TRESOR_VERB_SWAP, from, to}) > 4 * PLACES);
    }
}

static void locks(void **state)
{
    (void)state;
    assert_true(at_every_step(&(struct meeting){TRESOR_VERB_LOCK, TRESOR_STRATEGY_MMAP, 0}) > 2 * PLACES);
    assert_true(at_every_step(&(struct meeting){TRESOR_VERB_UNLOCK, TRESOR_STRATEGY_MMAP, 0}) > PLACES);
}

/* Poisoned before and during the load that brings it back. */
static void reloads(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < PLACES; place++) {
        bool ended = false;
        for (uint32_t steps = 0; !ended; steps++) {
            start(steps, tensors);
            assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
            void *address = (void *)(uintptr_t)fake_world_place(&world, places[place].tensor,
                                                               places[place].offset);
            assert_true(fake_sys_fault(&world.fake, address));
            session_settle(&world.session);
            assert_true(session_verify(&world.session, &world.set) < TENSORS);
            struct tresor_request request = submit(TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ);
            for (uint32_t i = 0; i < steps && !session_end(&world.session, request); i++)
                session_pump(&world.session);
            ended = session_end(&world.session, request) != NULL;
            assert_true(fake_sys_fault(&world.fake, address));
            while (session_pump(&world.session)) {
                check_books();
                session_verify(&world.session, &world.set);
            }
            assert_non_null(session_end(&world.session, request));
            bring_all_back();
            fake_world_close(&world);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads), cmocka_unit_test(evictions), cmocka_unit_test(swaps),
        cmocka_unit_test(locks), cmocka_unit_test(reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
