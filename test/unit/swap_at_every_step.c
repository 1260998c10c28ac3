/* SPDX-License-Identifier: MIT */
/* What meets a swap at each of its steps, and what a swap meets at each step of others. */
#include "support/test.h"

#include <string.h>

#include "context.h"
#include "io/swap/swap.h"
#include "support/fake_world.h"

enum {
    TENSORS = 5,
    LARGE = 2,
    STEPS_MAX = 2000,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},   {100, MODEL_NEXT, false},   {4500000, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false}, {70000, MODEL_NEXT, false},
};

static struct fake_world world;

/* One completion a dispatch, so that each step can be met. */
static void start(uint32_t direct)
{
    fake_world_init(&world);
    world.options.dispatch_max = 1;
    world.options.block_bytes = UINT64_C(1) << 20;
    world.options.direct = direct;
    fake_world_start(&world, tensors, TENSORS);
}

static int32_t all(enum tresor_verb verb, uint32_t strategy)
{
    return fake_world_all(&world, verb, strategy);
}

static struct tresor_request submit(enum tresor_verb verb, struct tresor_item item, uint32_t strategy)
{
    struct tresor_request request = {0};
    assert_error(session_submit(&world.session, verb, &item, 1, strategy, &request), TRESOR_OK);
    return request;
}

static struct tresor_request submit_all(enum tresor_verb verb, uint32_t strategy)
{
    return submit(verb, session_all(&world.session), strategy);
}

static int32_t finish(struct tresor_request request)
{
    return session_finish(&world.session, request, NULL);
}

/* True once the request has ended before that. */
static bool go(uint32_t steps, struct tresor_request request)
{
    for (uint32_t i = 0; i < steps && !session_end(&world.session, request); i++)
        session_pump(&world.session);
    return session_end(&world.session, request) != NULL;
}

static void check_all(void)
{
    struct tresor_counters counters = fake_world_counters(&world);
    uint64_t size = world.set.parts[0].bytes.size;
    uint64_t pages = (size + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    assert_int_equal(counters.mapped_bytes + counters.private_bytes, pages);
    assert_int_equal(counters.rejected, 0);
    fake_world_must_have(&world, TENSORS);
    tresor__ledger_check(&world.session.context->controller.slots[0].source.model.files[0].io.ledger);
}

static void must_be(uint32_t strategy)
{
    struct tresor_counters counters = fake_world_counters(&world);
    check_all();
    assert_int_equal(strategy == TRESOR_STRATEGY_READ ? counters.mapped_bytes : counters.private_bytes,
                     0);
}

/* Runs `meet` after every number of steps of a request, over a world of its own, until the request ends before. */
static uint32_t at_every_step(void (*meet)(uint32_t from, uint32_t to, uint32_t steps, bool *ended))
{
    uint32_t met = 0;
    for (uint32_t from = TRESOR_STRATEGY_MMAP; from <= TRESOR_STRATEGY_READ; from++) {
        bool ended = false;
        uint32_t to = from == TRESOR_STRATEGY_MMAP ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        for (uint32_t steps = 0; !ended; steps++) {
            assert_true(steps < STEPS_MAX);
            start(1 + steps % 3);
            meet(from, to, steps, &ended);
            assert_int_equal(fake_world_counters(&world).rejected, 0);
            fake_world_close(&world);
            met++;
        }
    }
    return met;
}

static void swap_in_a_load(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    struct tresor_request load = submit_all(TRESOR_VERB_LOAD, from);
    *ended = go(steps, load);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    assert_error(finish(swap), TRESOR_OK);
    assert_error(finish(load), TRESOR_OK);
    /* A tensor that was not in memory yet had nothing to move; all others are on the other side. */
    check_all();
    if (*ended)
        must_be(to);
}

static void a_swap_at_every_step_of_a_load(void **state)
{
    (void)state;
    assert_true(at_every_step(swap_in_a_load) > 20);
}

static uint64_t most_got; /* of the large tensor, by a cancelled swap */

/* How far it had come by then; the chunk under way may have been moved since. */
static void check_cancelled(const struct tresor_event *item, uint32_t to)
{
    struct tresor_counters counters = fake_world_counters(&world);
    uint64_t moved = to == TRESOR_STRATEGY_READ ? counters.private_bytes : counters.mapped_bytes;
    assert_error(item->error.code, TRESOR_ERROR_CANCELLED);
    assert_true(item->error.got <= item->error.wanted && item->error.got <= moved);
    most_got = item->error.got > most_got ? item->error.got : most_got;
}

static void cancel_a_swap(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap);
    tresor_cancel(world.session.context, swap);
    int32_t code = finish(swap);
    assert_true(code == TRESOR_OK ? steps > 4 : code == TRESOR_ERROR_CANCELLED && !*ended);
    session_settle(&world.session);
    check_all();
    const struct tresor_event *item = session_item(&world.session, LARGE);
    if (item->cancelled)
        check_cancelled(item, to);
    /* From wherever it stopped, on or back. */
    uint32_t next = steps % 2 ? to : from;
    assert_error(all(TRESOR_VERB_SWAP, next), TRESOR_OK);
    must_be(next);
}

static void a_cancel_at_every_step(void **state)
{
    (void)state;
    most_got = 0;
    assert_true(at_every_step(cancel_a_swap) > 20);
    assert_true(most_got >= TRESOR__SCRATCH_BYTES);
}

/* One of two that want the same is taken back: the other goes on. */
static void cancel_one_of_two(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request first = submit_all(TRESOR_VERB_SWAP, to);
    struct tresor_request second = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, first);
    tresor_cancel(world.session.context, steps % 2 ? first : second);
    finish(first);
    finish(second);
    session_settle(&world.session);
    must_be(to);
}

static void one_of_two_swaps_is_cancelled(void **state)
{
    (void)state;
    assert_true(at_every_step(cancel_one_of_two) > 20);
}

static void swap_back(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request there = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, there);
    struct tresor_request back = submit_all(TRESOR_VERB_SWAP, from);
    assert_error(finish(there), TRESOR_OK);
    assert_error(finish(back), TRESOR_OK);
    check_all();
    /* Of a page that two tensors share, who asks while the other moves it has no say. */
    assert_error(all(TRESOR_VERB_SWAP, from), TRESOR_OK);
    must_be(from);
}

static void a_swap_back_at_every_step(void **state)
{
    (void)state;
    assert_true(at_every_step(swap_back) > 20);
}

/* Refused while it moves, never half done, and loaded again at the same address. */
static void evict_in_a_swap(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap);
    struct tresor_request evict =
        submit(TRESOR_VERB_EVICT, session_tensor(&world.session, LARGE), 0);
    int32_t code = finish(evict);
    assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
    assert_error(finish(swap), TRESOR_OK);
    fake_world_must_have(&world, code == TRESOR_OK ? TENSORS - 1 : TENSORS);
    assert_error(all(TRESOR_VERB_EVICT, 0), TRESOR_OK);
    struct tresor_counters counters = fake_world_counters(&world);
    assert_int_equal(counters.mapped_bytes + counters.private_bytes, 0);
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    must_be(from);
}

static void an_eviction_at_every_step(void **state)
{
    (void)state;
    assert_true(at_every_step(evict_in_a_swap) > 20);
}

/* An eviction right behind a cancel waits for the chunk under way. */
static void evict_behind_a_cancel(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap);
    tresor_cancel(world.session.context, swap);
    finish(swap);
    assert_error(all(TRESOR_VERB_EVICT, 0), TRESOR_OK);
    fake_world_must_have(&world, 0);
    assert_error(all(TRESOR_VERB_LOAD, to), TRESOR_OK);
    must_be(to);
}

static void an_eviction_behind_a_cancel(void **state)
{
    (void)state;
    assert_true(at_every_step(evict_behind_a_cancel) > 20);
}

static bool is_locked(uint32_t tensor)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    uintptr_t start = (uintptr_t)info.address;
    return range_set_covers(&world.faulty.locked, (struct range){start, start + info.tensor_bytes});
}

/* The lock waits for its tensor's swap; a neighbour's pages that it shares stay locked whatever the swap does. */
static void lock_in_a_swap(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    uint32_t tensor = steps / 2 % TENSORS;
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_item one = session_tensor(&world.session, LARGE);
    struct tresor_request swap =
        steps % 2 ? submit(TRESOR_VERB_SWAP, one, to) : submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap) && steps % 2 == 0;
    struct tresor_request lock =
        submit(TRESOR_VERB_LOCK, session_tensor(&world.session, tensor), 0);
    assert_error(finish(lock), TRESOR_OK);
    assert_true(is_locked(tensor));
    finish(swap); /* BUSY, where it comes upon the locked tensor */
    session_settle(&world.session);
    assert_true(is_locked(tensor));
    check_all();
    struct tresor_counters counters = fake_world_counters(&world);
    assert_int_equal(counters.locked_bytes, range_set_bytes(&world.faulty.locked));
    assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, tensor, from), TRESOR_ERROR_BUSY);
    assert_error(all(TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
    assert_error(all(TRESOR_VERB_SWAP, to), TRESOR_OK);
    must_be(to);
}

static void a_lock_at_every_step(void **state)
{
    (void)state;
    assert_true(at_every_step(lock_in_a_swap) > 20);
}

/* Readable throughout, so a load has nothing to wait for, and users stay. */
static void use_in_a_swap(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    const void *data = NULL;
    struct tresor_item item = session_tensor(&world.session, LARGE);
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap);
    assert_error(tresor_acquire(world.session.context, item, &data), TRESOR_OK);
    struct tresor_request load = submit_all(TRESOR_VERB_LOAD, from);
    fake_world_must_have(&world, TENSORS);
    assert_error(finish(load), TRESOR_OK);
    assert_error(finish(swap), TRESOR_OK);
    must_be(to);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    assert_ptr_equal(data, fake_world_tensor(&world, LARGE).address);
}

static void users_at_every_step(void **state)
{
    (void)state;
    assert_true(at_every_step(use_in_a_swap) > 20);
}

/* What is under way is awaited; fake_world_close sees what is held. */
static void close_in_a_swap(uint32_t from, uint32_t to, uint32_t steps, bool *ended)
{
    assert_error(all(TRESOR_VERB_LOAD, from), TRESOR_OK);
    struct tresor_request swap = submit_all(TRESOR_VERB_SWAP, to);
    *ended = go(steps, swap);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_int_equal(world.session.context->controller.io.room.scratch_bytes, 0);
    finish(swap);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

static void a_close_at_every_step(void **state)
{
    (void)state;
    assert_true(at_every_step(close_in_a_swap) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_at_every_step_of_a_load),
        cmocka_unit_test(a_cancel_at_every_step),
        cmocka_unit_test(one_of_two_swaps_is_cancelled),
        cmocka_unit_test(a_swap_back_at_every_step),
        cmocka_unit_test(an_eviction_at_every_step),
        cmocka_unit_test(an_eviction_behind_a_cancel),
        cmocka_unit_test(a_lock_at_every_step),
        cmocka_unit_test(users_at_every_step),
        cmocka_unit_test(a_close_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
