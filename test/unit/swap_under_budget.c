/* SPDX-License-Identifier: MIT */
/* Swaps under a budget: a chunk is in memory twice while it moves, so others go for it, or it fails. */
#include <tresor/tresor.h>

#include "context.h"
#include "io/swap/swap.h"
#include "support/fake_world.h"
#include "support/test.h"

enum {
    TENSORS = 8,
    TENSOR_BYTES = 64 * 1024,
    PIECE_BYTES = TENSOR_BYTES + 4096, /* with the page that it shares with the next */
};

static struct fake_world world;
static uint64_t limit; /* that must hold at every step */

static struct tresor_context *context(void)
{
    return world.session.context;
}

static struct tresor_item item_of(uint32_t tensor)
{
    return session_tensor(&world.session, tensor);
}

static void start(uint64_t budget_bytes)
{
    struct model_tensor tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){.offset_bytes = (uint64_t)i * TENSOR_BYTES,
                                           .size_bytes = TENSOR_BYTES};
    fake_world_init(&world);
    world.options.budget_bytes = budget_bytes;
    limit = budget_bytes > 0 ? budget_bytes : UINT64_MAX;
    fake_world_start(&world, tensors, TENSORS);
}

static struct tresor_counters counters(void)
{
    return fake_world_counters(&world);
}

static void check(void)
{
    assert_true(counters().charged_bytes <= limit);
    tresor__ledger_check(&context()->controller.slots[0].source.model.files[0].io.ledger);
}

static void settle(void)
{
    do
        check();
    while (session_pump(&world.session));
    check();
}

static int32_t finish(struct tresor_request request)
{
    settle();
    const struct tresor_event *end = session_end(&world.session, request);
    assert_non_null(end);
    return end->error.code;
}

static struct tresor_request ask_by(enum tresor_verb verb, uint32_t tensors, uint32_t flags,
                                    uint32_t strategy)
{
    struct tresor_item items[TENSORS];
    struct tresor_request request = {0};
    struct tresor_request_options options = {
        .size_bytes = sizeof options, .strategy = strategy, .flags = flags};
    uint32_t count = 0;
    for (uint32_t i = 0; i < TENSORS; i++)
        if (tensors >> i & 1)
            items[count++] = item_of(i);
    int32_t code = verb == TRESOR_VERB_LOAD
                       ? tresor_load(context(), items, count, &options, &request)
                       : tresor_swap(context(), items, count, TRESOR_STRATEGY_READ, &options,
                                     &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static struct tresor_request ask(enum tresor_verb verb, uint32_t tensors, uint32_t flags)
{
    return ask_by(verb, tensors, flags, TRESOR_STRATEGY_MMAP);
}

static int32_t load(uint32_t tensors)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        if (tensors >> i & 1)
            assert_error(finish(ask(TRESOR_VERB_LOAD, UINT32_C(1) << i, 0)), TRESOR_OK);
    return TRESOR_OK;
}

static uint32_t resident(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < TENSORS; i++)
        found |= (uint32_t)(context()->controller.slots[0].pieces[i].tensor.state ==
                            TENSOR_RESIDENT) << i;
    return found;
}

static void acquire(uint32_t tensors, bool acquires)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        if (tensors >> i & 1)
            assert_error(acquires ? tresor_acquire(context(), item_of(i), NULL)
                                  : tresor_release(context(), item_of(i)),
                         TRESOR_OK);
}

/* The whole of a swap is as large as its pages, which are one chunk. */
static bool is_private(uint32_t count)
{
    uint64_t bytes = counters().private_bytes;
    return bytes >= (uint64_t)count * TENSOR_BYTES && bytes <= (uint64_t)count * PIECE_BYTES;
}

static void others_go_for_a_chunk(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES);
    load(0x0f);
    assert_error(finish(ask(TRESOR_VERB_SWAP, 0x08, 0)), TRESOR_OK);
    assert_true(is_private(1));
    assert_int_equal(resident() & 0x0c, 0x0c); /* not who was used last */
    assert_int_not_equal(resident(), 0x0f);
    assert_int_equal(counters().committed_bytes, counters().charged_bytes);
    assert_error(finish(ask(TRESOR_VERB_LOAD, 0x0f, 0)), TRESOR_OK); /* the room is theirs again */
    assert_int_equal(resident(), 0x0f);
    fake_world_must_have(&world, 4);
    fake_world_close(&world);
}

static void what_fits_goes_nobodys_way(void **state)
{
    (void)state;
    start(5 * PIECE_BYTES);
    load(0x0f);
    assert_error(finish(ask(TRESOR_VERB_SWAP, 0x02, 0)), TRESOR_OK);
    assert_int_equal(resident(), 0x0f);
    assert_int_equal(counters().evicted, 0);
    fake_world_close(&world);
}

/* Nobody is left that could go for it. */
static void all_that_there_is_fails(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES);
    load(0x0f);
    struct tresor_request request = ask(TRESOR_VERB_SWAP, 0x0f, 0);
    assert_error(finish(request), TRESOR_ERROR_BUSY);
    assert_int_equal(resident(), 0x0f);
    assert_int_equal(counters().private_bytes, 0);
    load(0x10); /* and nothing is kept for it any more */
    assert_true(resident() & 0x10);
    fake_world_must_have(&world, 4);
    fake_world_close(&world);
}

static void what_is_in_use_stays(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES);
    load(0x0f);
    acquire(0x0f, true);
    assert_error(finish(ask(TRESOR_VERB_SWAP, 0x01, 0)), TRESOR_ERROR_BUSY);
    assert_int_equal(counters().private_bytes, 0);
    acquire(0x0e, false);
    assert_error(finish(ask(TRESOR_VERB_SWAP, 0x01, 0)), TRESOR_OK);
    assert_true(is_private(1));
    acquire(0x01, false);
    fake_world_close(&world);
}

/* What waits for room neither keeps a swap from it nor loses its own by one. */
static void a_load_waits_beside_swaps(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES);
    load(0x0f);
    acquire(0x0f, true);
    struct tresor_request waiting = ask(TRESOR_VERB_LOAD, 0x40, TRESOR_REQUEST_WAIT);
    settle();
    assert_error(finish(ask(TRESOR_VERB_SWAP, 0x01, 0)), TRESOR_ERROR_BUSY);
    assert_null(session_end(&world.session, waiting));
    acquire(0x0f, false);
    assert_error(finish(waiting), TRESOR_OK);
    assert_true(resident() & 0x40);
    fake_world_close(&world);
}

static void a_swap_may_be_cancelled_while_it_awaits_room(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        start(4 * PIECE_BYTES);
        load(0x0f);
        struct tresor_request request = ask(TRESOR_VERB_SWAP, 0x0f, 0);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        if (!session_end(&world.session, request))
            assert_error(tresor_cancel(context(), request), TRESOR_OK);
        int32_t code = finish(request);
        assert_true(code == TRESOR_ERROR_CANCELLED || code == TRESOR_ERROR_BUSY);
        assert_int_equal(resident(), 0x0f);
        assert_int_equal(context()->controller.io.awaited_scratch_bytes, 0);
        assert_int_equal(context()->controller.io.swaps_awaiting_room, 0);
        assert_error(finish(ask(TRESOR_VERB_LOAD, 0xf0, 0)), TRESOR_OK);
        fake_world_close(&world);
    }
}

static struct tresor_request swap_to(uint32_t first, uint32_t last, uint32_t strategy)
{
    struct tresor_request request = {0};
    const struct tresor_item items[] = {item_of(first), item_of(last)};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = TRESOR_REQUEST_ITEMS};
    int32_t code = tresor_swap(context(), items, first == last ? 1 : 2, strategy, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

/*
 * Two swaps await room, and a request wants one of them to end and the other's tensor to come back behind its own. When it
 * is cancelled the last of them leaves the queue, and at once the other tensor is where the same request wanted it: which
 * is told once, as what it is.
 */
static void a_cancelled_swap_may_bring_about_another_of_its_request(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 40; steps++) {
        start(4 * PIECE_BYTES);
        world.session.context->dispatch_max = 1;
        load(0x07);
        assert_error(finish(ask_by(TRESOR_VERB_LOAD, 0x08, 0, TRESOR_STRATEGY_READ)), TRESOR_OK);
        struct tresor_request there = swap_to(0, 0, TRESOR_STRATEGY_READ);
        struct tresor_request back = swap_to(0, 3, TRESOR_STRATEGY_MMAP);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        tresor_cancel(context(), there);
        tresor_cancel(context(), back);
        settle();
        assert_non_null(session_end(&world.session, there));
        assert_non_null(session_end(&world.session, back));
        assert_string_equal(world.session.violation, "");
        fake_world_close(&world);
    }
}

/* A patient eviction of what is in use does not hold up its swap, and comes behind it. */
static void a_patient_eviction_comes_behind(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        struct tresor_request swapping = {0};
        struct tresor_request evicting = {0};
        struct tresor_item item;
        struct tresor_request_options waits = {.size_bytes = sizeof waits,
                                               .flags = TRESOR_REQUEST_WAIT};
        start(0);
        load(0x0f);
        acquire(0x02, true);
        item = item_of(1);
        for (uint32_t turn = 0; turn < 2; turn++) {
            if (turn == steps % 2)
                swapping = ask(TRESOR_VERB_SWAP, 0x02, 0);
            else
                assert_error(session_note(&world.session,
                                          tresor_evict(context(), &item, 1, &waits, &evicting),
                                          evicting),
                             TRESOR_OK);
            for (uint32_t i = 0; i < steps / 2; i++)
                session_pump(&world.session);
        }
        assert_error(finish(swapping), TRESOR_OK);
        assert_true(is_private(1));
        assert_null(session_end(&world.session, evicting));
        acquire(0x02, false);
        assert_error(finish(evicting), TRESOR_OK);
        assert_int_equal(resident(), 0x0d);
        fake_world_close(&world);
    }
}

/* Asked for while it is loaded, or while it awaits room to be. */
static void what_comes_is_swapped_when_it_is_there(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 30; steps++) {
        start(4 * PIECE_BYTES);
        load(0x07);
        struct tresor_request loading = ask(TRESOR_VERB_LOAD, 0x30, 0);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        struct tresor_request swapping = ask(TRESOR_VERB_SWAP, 0x10, 0);
        assert_error(finish(loading), TRESOR_OK);
        assert_error(finish(swapping), TRESOR_OK);
        assert_int_equal(resident() & 0x10, 0x10);
        assert_int_equal(context()->controller.budget.swapping, 0);
        fake_world_close(&world);
    }
}

/* Room that was asked for and not given leaves no swap behind. */
static void what_does_not_come_has_nothing_to_move(void **state)
{
    (void)state;
    start(2 * PIECE_BYTES);
    load(0x03);
    acquire(0x03, true);
    struct tresor_request loading = ask(TRESOR_VERB_LOAD, 0x10, TRESOR_REQUEST_WAIT);
    settle();
    struct tresor_request swapping = ask(TRESOR_VERB_SWAP, 0x10, 0);
    settle();
    assert_null(session_end(&world.session, swapping));
    assert_error(tresor_cancel(context(), loading), TRESOR_OK);
    assert_error(finish(swapping), TRESOR_OK);
    assert_error(finish(loading), TRESOR_ERROR_CANCELLED);
    acquire(0x03, false);
    fake_world_close(&world);
}

/* A budget that is set while pages move finds who may go afterwards. */
static void a_budget_may_be_set_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 20; steps++) {
        start(0);
        load(0x0f);
        struct tresor_request request = ask(TRESOR_VERB_SWAP, 0x03, 0);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        struct tresor_request lower = {0};
        int32_t code = tresor_budget(context(), 5 * PIECE_BYTES / 2, NULL, &lower);
        assert_error(session_note(&world.session, code, lower), TRESOR_OK);
        assert_error(finish(lower), TRESOR_OK);
        limit = 5 * PIECE_BYTES / 2;
        settle();
        assert_non_null(session_end(&world.session, request));
        load(0x30);
        assert_int_equal(resident(), 0x30);
        fake_world_close(&world);
    }
}

/* Whatever moves and comes at the same time ends, and no more is ever in memory. */
static void swaps_and_loads_at_once(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 60; steps++) {
        start(7 * PIECE_BYTES);
        load(0x0f);
        struct tresor_request swapping = ask(TRESOR_VERB_SWAP, 0x03, 0);
        for (uint32_t i = 0; i < steps % 20; i++)
            session_pump(&world.session);
        struct tresor_request loading = ask(TRESOR_VERB_LOAD, 0x70, steps < 20 ? TRESOR_REQUEST_WAIT : 0);
        struct tresor_request second = ask(TRESOR_VERB_SWAP, 0x70, 0);
        settle();
        int32_t code = finish(second);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
        code = finish(swapping);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
        assert_error(finish(loading), TRESOR_OK);
        assert_int_equal(context()->controller.budget.swapping, 0);
        assert_int_equal(context()->controller.io.room.scratch_bytes, 0);
        assert_int_equal(context()->controller.io.awaited_scratch_bytes, 0);
        fake_world_close(&world);
    }
}

/* While one swap is withdrawn, what it brings about tells that the one behind it has ended already. */
static void an_end_is_told_while_others_are_withdrawn(void **state)
{
    struct tresor_request request = {0};
    (void)state;
    start(2 * PIECE_BYTES);
    load(3);
    acquire(3, true);
    const struct tresor_item items[] = {item_of(1), item_of(0)};
    int32_t code = tresor_swap(context(), items, 2, TRESOR_STRATEGY_READ, NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    struct tresor__controller *controller = &context()->controller;
    while (controller->io.swaps_awaiting_room == 0)
        tresor__controller_run(controller, 1);
    tresor__ledger_stop_swap(&controller->slots[0].source.model.files[0].io.ledger, 1);
    assert_error(tresor_cancel(context(), request), TRESOR_OK);
    assert_error(finish(request), TRESOR_ERROR_CANCELLED);
    const struct tresor_event *end = session_end(&world.session, request);
    assert_int_equal(end->done, 1);
    assert_int_equal(end->cancelled, 1);
    assert_int_equal(controller->free_pair_count, controller->limits.pairs);
    acquire(3, false);
    fake_world_close(&world);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_go_for_a_chunk),
        cmocka_unit_test(what_fits_goes_nobodys_way),
        cmocka_unit_test(all_that_there_is_fails),
        cmocka_unit_test(what_is_in_use_stays),
        cmocka_unit_test(a_load_waits_beside_swaps),
        cmocka_unit_test(a_swap_may_be_cancelled_while_it_awaits_room),
        cmocka_unit_test(a_cancelled_swap_may_bring_about_another_of_its_request),
        cmocka_unit_test(a_patient_eviction_comes_behind),
        cmocka_unit_test(what_comes_is_swapped_when_it_is_there),
        cmocka_unit_test(what_does_not_come_has_nothing_to_move),
        cmocka_unit_test(a_budget_may_be_set_at_any_moment),
        cmocka_unit_test(swaps_and_loads_at_once),
        cmocka_unit_test(an_end_is_told_while_others_are_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
