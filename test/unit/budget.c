/* SPDX-License-Identifier: MIT */
/* Loads under a budget: what goes, what stays, what is refused, and that no more is ever in memory. */
#include <errno.h>

#include <tresor/tresor.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/test.h"
#include "tensor/pins.h"

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

static void start(uint64_t budget_bytes, uint32_t policy)
{
    struct model_tensor tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){.offset_bytes = (uint64_t)i * TENSOR_BYTES,
                                           .size_bytes = TENSOR_BYTES};
    fake_world_init(&world);
    world.options.budget_bytes = budget_bytes;
    world.options.policy = policy;
    limit = budget_bytes > 0 ? budget_bytes : UINT64_MAX;
    fake_world_start(&world, tensors, TENSORS);
}

static struct tresor_counters counters(void)
{
    return fake_world_counters(&world);
}

/* Every step is looked at. */
static void settle(void)
{
    do
        assert_true(counters().charged_bytes <= limit);
    while (session_pump(&world.session));
    assert_true(counters().charged_bytes <= limit);
    assert_true(counters().committed_bytes + context()->controller.io.room.staged_bytes <= limit);
}

static int32_t finish(struct tresor_request request)
{
    settle();
    const struct tresor_event *end = session_end(&world.session, request);
    assert_non_null(end);
    return end->error.code;
}

static struct tresor_request ask(const uint32_t *tensors, uint32_t count, uint32_t strategy,
                                 uint32_t flags)
{
    struct tresor_item items[TENSORS];
    struct tresor_request request = {0};
    struct tresor_request_options options = {
        .size_bytes = sizeof options, .strategy = strategy, .flags = flags};
    for (uint32_t i = 0; i < count; i++)
        items[i] = session_tensor(&world.session, tensors[i]);
    int32_t code = tresor_load(context(), items, count, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static int32_t load(uint32_t tensor)
{
    return finish(ask(&tensor, 1, TRESOR_STRATEGY_READ, 0));
}

static struct tresor_request ask_budget(uint64_t budget_bytes, uint32_t flags)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = flags};
    int32_t code = tresor_budget(context(), budget_bytes, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static bool is_resident(uint32_t tensor)
{
    return context()->controller.slots[0].pieces[tensor].tensor.state == TENSOR_RESIDENT;
}

/* A bit a tensor. */
static uint32_t resident(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < TENSORS; i++)
        found |= (uint32_t)is_resident(i) << i;
    return found;
}

static void use(uint32_t tensor)
{
    struct tresor_item item = session_tensor(&world.session, tensor);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    assert_error(tresor_release(context(), item), TRESOR_OK);
}

static void who_was_used_longest_ago_goes(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LRU);
    for (uint32_t i = 0; i < 4; i++)
        assert_error(load(i), TRESOR_OK);
    assert_int_equal(resident(), 0x0f);
    use(0);
    assert_error(load(2), TRESOR_OK); /* a use too */
    assert_error(load(4), TRESOR_OK);
    assert_int_equal(resident(), 0x1d);
    assert_error(load(5), TRESOR_OK);
    assert_int_equal(resident(), 0x35);
    fake_world_must_have(&world, 4);
    assert_int_equal(counters().evicted, 2);
    assert_int_equal(counters().wasted, 0); /* no plan had brought them in */
    fake_world_close(&world);
}

static void a_page_that_two_share_counts_once(void **state)
{
    (void)state;
    start(2 * PIECE_BYTES - 4096, TRESOR_POLICY_LRU);
    assert_error(load(0), TRESOR_OK);
    assert_error(load(1), TRESOR_OK);
    assert_int_equal(resident(), 0x03);
    assert_int_equal(counters().evicted, 0);
    fake_world_close(&world);
}

static void who_is_used_least_often_goes(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LFRU);
    for (uint32_t i = 0; i < 4; i++)
        assert_error(load(i), TRESOR_OK);
    for (uint32_t i = 0; i < 5; i++)
        use(0);
    for (uint32_t i = 0; i < 3; i++)
        use(1);
    use(3);
    use(2);
    use(2);
    assert_error(load(4), TRESOR_OK);
    assert_int_equal(resident(), 0x17);
    assert_error(load(5), TRESOR_OK);
    assert_int_equal(resident(), 0x27); /* the newcomer itself */
    assert_error(tresor_set_policy(context(), TRESOR_POLICY_LRU), TRESOR_OK);
    assert_error(load(6), TRESOR_OK);
    assert_int_equal(resident(), 0x66);
    fake_world_close(&world);
}

static void who_matters_least_goes(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_PRIORITY);
    for (uint32_t i = 0; i < 4; i++) {
        assert_error(load(i), TRESOR_OK);
        assert_error(tresor_set_priority(context(), session_tensor(&world.session, i),
                                         i == 2 ? -1 : 10 - (int32_t)i),
                     TRESOR_OK);
    }
    assert_error(load(4), TRESOR_OK);
    assert_int_equal(resident(), 0x1b);
    assert_error(load(5), TRESOR_OK);
    assert_int_equal(resident(), 0x2b); /* whose priority is none */
    assert_error(tresor_reset_priority(context(), session_all(&world.session)), TRESOR_OK);
    assert_error(load(6), TRESOR_OK);
    assert_int_equal(resident(), 0x6a);
    fake_world_close(&world);
}

static void what_never_fits_is_refused_at_once(void **state)
{
    struct tresor_request request;
    struct tresor_item all;
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LRU);
    for (uint32_t i = 0; i < 4; i++)
        assert_error(load(i), TRESOR_OK);
    all = session_all(&world.session);
    assert_error(tresor_load(context(), &all, 1, NULL, &request), TRESOR_ERROR_TOO_BIG);
    settle();
    assert_int_equal(resident(), 0x0f);
    /* Four neighbours share pages and fit; five do not. */
    uint32_t five[] = {3, 4, 5, 6, 7};
    struct tresor_item items[5];
    for (uint32_t i = 0; i < 5; i++)
        items[i] = session_tensor(&world.session, five[i]);
    assert_error(tresor_load(context(), items, 5, NULL, &request), TRESOR_ERROR_TOO_BIG);
    assert_error(finish(ask(five + 1, 4, TRESOR_STRATEGY_READ, 0)), TRESOR_OK);
    assert_int_equal(resident(), 0xf0);
    fake_world_close(&world);
}

/* All of one request are there in the end, though each alone would rather have the one before it go. */
static void a_request_keeps_its_own(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_PRIORITY);
    uint32_t first[] = {0, 1, 2};
    uint32_t second[] = {4, 5, 6, 7};
    assert_error(finish(ask(first, 3, TRESOR_STRATEGY_MMAP, 0)), TRESOR_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_error(tresor_set_priority(context(), session_tensor(&world.session, i), 5),
                     TRESOR_OK);
    assert_error(finish(ask(second, 4, TRESOR_STRATEGY_MMAP, 0)), TRESOR_OK);
    assert_int_equal(resident(), 0xf0);
    fake_world_must_have(&world, 4);
    fake_world_close(&world);
}

static void what_is_in_use_stays(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LRU);
    struct tresor_item items[4];
    for (uint32_t i = 0; i < 4; i++) {
        assert_error(load(i), TRESOR_OK);
        items[i] = session_tensor(&world.session, i);
        assert_error(tresor_acquire(context(), items[i], NULL), TRESOR_OK);
    }
    assert_error(load(4), TRESOR_ERROR_BUSY);
    assert_int_equal(resident(), 0x0f);
    uint32_t tensor = 5;
    struct tresor_request waiting = ask(&tensor, 1, TRESOR_STRATEGY_READ, TRESOR_REQUEST_WAIT);
    settle();
    assert_null(session_end(&world.session, waiting));
    assert_error(tresor_release(context(), items[2]), TRESOR_OK);
    assert_error(finish(waiting), TRESOR_OK);
    assert_int_equal(resident(), 0x2b);
    /* One waits, is cancelled, and nobody goes for it afterwards. */
    tensor = 6;
    assert_error(tresor_acquire(context(), session_tensor(&world.session, 5), NULL), TRESOR_OK);
    waiting = ask(&tensor, 1, TRESOR_STRATEGY_READ, TRESOR_REQUEST_WAIT);
    settle();
    assert_error(tresor_cancel(context(), waiting), TRESOR_OK);
    assert_error(finish(waiting), TRESOR_ERROR_CANCELLED);
    for (uint32_t i = 0; i < 4; i++)
        if (i != 2)
            assert_error(tresor_release(context(), items[i]), TRESOR_OK);
    assert_error(tresor_release(context(), session_tensor(&world.session, 5)), TRESOR_OK);
    settle();
    assert_int_equal(resident(), 0x2b);
    fake_world_close(&world);
}

static void locked_ones_stay(void **state)
{
    (void)state;
    start(2 * PIECE_BYTES, TRESOR_POLICY_LRU);
    assert_error(load(0), TRESOR_OK);
    assert_error(load(1), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, 0, 0), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, 1, 0), TRESOR_OK);
    assert_error(load(2), TRESOR_ERROR_BUSY);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 1, 0), TRESOR_OK);
    assert_error(load(2), TRESOR_OK);
    assert_int_equal(resident(), 0x05);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    fake_world_close(&world);
}

static void a_lower_budget_evicts(void **state)
{
    (void)state;
    start(0, TRESOR_POLICY_LRU);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    use(3);
    assert_error(finish(ask_budget(3 * PIECE_BYTES, 0)), TRESOR_OK);
    limit = 3 * PIECE_BYTES;
    settle();
    assert_true(is_resident(3));
    assert_int_equal(counters().budget_bytes, limit);
    struct tresor_item item = session_tensor(&world.session, 3);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    assert_error(finish(ask_budget(4096, 0)), TRESOR_ERROR_BUSY);
    assert_int_equal(resident(), 0x08);
    struct tresor_request waiting = ask_budget(8192, TRESOR_REQUEST_WAIT);
    settle();
    assert_null(session_end(&world.session, waiting));
    assert_error(tresor_release(context(), item), TRESOR_OK);
    assert_error(finish(waiting), TRESOR_OK);
    assert_int_equal(counters().charged_bytes, 0);
    assert_error(finish(ask_budget(0, 0)), TRESOR_OK);
    limit = UINT64_MAX;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

/* In flight when the budget falls: it arrives, and then it goes. */
static void a_budget_may_fall_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 40; steps++) {
        uint32_t six[] = {0, 1, 2, 3, 4, 5};
        start(6 * PIECE_BYTES, TRESOR_POLICY_LRU);
        struct tresor_request request = ask(six, 6, 1 + steps % 2, 0);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        assert_error(finish(ask_budget(2 * PIECE_BYTES, 0)), TRESOR_OK);
        limit = 2 * PIECE_BYTES;
        settle();
        assert_non_null(session_end(&world.session, request));
        assert_error(load(7), TRESOR_OK);
        fake_world_close(&world);
    }
}

static void streams_count(void **state)
{
    struct tresor_request request;
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LRU);
    for (uint32_t i = 0; i < 4; i++)
        assert_error(load(i), TRESOR_OK);
    struct tresor_item all = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_STREAM, &all, 1, 0, &request), TRESOR_OK);
    assert_error(finish(request), TRESOR_OK);
    assert_true(counters().charged_bytes > counters().committed_bytes);
    assert_true(counters().evicted > 0);
    /* A stage that was used stays, and beside it there is no room for a tensor. */
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(tresor_load(context(), &item, 1, NULL, &request), TRESOR_ERROR_TOO_BIG);
    fake_world_close(&world);
}

/* --- what random hosts have found --- */

static struct tresor_request submit(enum tresor_verb verb, struct tresor_item item)
{
    struct tresor_request request = {0};
    int32_t code = session_submit(&world.session, verb, &item, 1, 0, &request);
    assert_error(code, TRESOR_OK);
    return request;
}

static struct tresor_request wait_for(uint32_t tensor)
{
    struct tresor_request request = ask(&tensor, 1, TRESOR_STRATEGY_READ, TRESOR_REQUEST_WAIT);
    settle();
    assert_null(session_end(&world.session, request));
    return request;
}

static void lock(uint32_t tensor)
{
    assert_error(load(tensor), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, tensor, 0), TRESOR_OK);
}

static void those_who_wait_go_on_when_it_is_unlocked_or_lifted(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    struct tresor_request request = wait_for(2);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    assert_error(finish(request), TRESOR_OK);
    lock(2);
    request = wait_for(4);
    limit = UINT64_MAX;
    assert_error(finish(ask_budget(0, 0)), TRESOR_OK);
    assert_error(finish(request), TRESOR_OK);
    assert_int_equal(resident(), 0x14);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 2, 0), TRESOR_OK);
    fake_world_close(&world);
}

static void who_is_withdrawn_takes_nobody_along(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    struct tresor_request first = wait_for(2);
    struct tresor_request second = wait_for(4);
    struct tresor_request third = wait_for(6);
    assert_error(tresor_cancel(context(), second), TRESOR_OK);
    assert_error(finish(second), TRESOR_ERROR_CANCELLED);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    assert_error(finish(first), TRESOR_OK);
    assert_error(finish(third), TRESOR_OK);
    assert_int_equal(resident(), 0x40);
    fake_world_close(&world);
}

static void nobody_waits_for_a_load_that_failed(void **state)
{
    (void)state;
    start(2 * PIECE_BYTES, TRESOR_POLICY_LRU);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(load(0), TRESOR_ERROR_IO);
    fake_world_heal(&world);
    lock(2);
    lock(4);
    assert_error(load(6), TRESOR_ERROR_BUSY);
    fake_world_close(&world);
}

static void who_waits_for_more_than_there_will_be_is_too_big(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    struct tresor_request request = wait_for(2);
    limit = UINT64_MAX;
    assert_error(finish(ask_budget(PIECE_BYTES - 4096, 0)), TRESOR_ERROR_BUSY);
    assert_error(finish(request), TRESOR_ERROR_TOO_BIG);
    fake_world_close(&world);
}

/* The page between two neighbours is freed by the last of them only, and by it for sure. */
static void neighbours_go_together_for_their_page(void **state)
{
    struct model_tensor tensors[] = {{.offset_bytes = 0, .size_bytes = 64},
                                     {.offset_bytes = 64, .size_bytes = 64},
                                     {.offset_bytes = 3 * 4096, .size_bytes = 64}};
    (void)state;
    fake_world_init(&world);
    world.options.budget_bytes = limit = 4096;
    fake_world_start(&world, tensors, 3);
    assert_error(load(0), TRESOR_OK);
    assert_error(load(1), TRESOR_OK);
    assert_error(load(2), TRESOR_OK);
    assert_true(is_resident(2) && !is_resident(0) && !is_resident(1));
    fake_world_close(&world);
}

static void a_stage_takes_nobodys_room(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 30; steps++) {
        uint32_t three[] = {0, 1, 2};
        start(3 * PIECE_BYTES + 16 * 4096, TRESOR_POLICY_LRU);
        struct tresor_request loading = ask(three, 3, TRESOR_STRATEGY_READ, 0);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        struct tresor_request streaming = submit(TRESOR_VERB_STREAM, session_tensor(&world.session, 5));
        assert_error(finish(loading), TRESOR_OK);
        assert_non_null(session_end(&world.session, streaming));
        fake_world_close(&world);
    }
}

/* A stream that finds its memory taken fails like a load that may not wait, and no room is kept for it then. */
static void a_stage_that_finds_no_room_is_refused(void **state)
{
    (void)state;
    start(2 * PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    assert_error(finish(submit(TRESOR_VERB_STREAM, session_tensor(&world.session, 4))),
                 TRESOR_ERROR_BUSY);
    assert_error(load(2), TRESOR_OK);
    struct tresor_request streaming = submit(TRESOR_VERB_STREAM, session_tensor(&world.session, 4));
    limit = UINT64_MAX;
    assert_error(finish(ask_budget(PIECE_BYTES - 4096, 0)), TRESOR_ERROR_BUSY);
    assert_error(session_end(&world.session, streaming)->error.code, TRESOR_ERROR_TOO_BIG);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    fake_world_close(&world);
}

/* Stages keep their memory, so waiting for less would be for ever. */
static void a_budget_below_the_stages_is_busy(void **state)
{
    (void)state;
    start(4 * PIECE_BYTES, TRESOR_POLICY_LRU);
    assert_error(finish(submit(TRESOR_VERB_STREAM, session_tensor(&world.session, 4))), TRESOR_OK);
    limit = UINT64_MAX;
    assert_error(finish(ask_budget(4096, TRESOR_REQUEST_WAIT)), TRESOR_ERROR_BUSY);
    assert_error(finish(ask_budget(4096, 0)), TRESOR_ERROR_BUSY);
    assert_int_equal(counters().committed_bytes, 0);
    fake_world_close(&world);
}

/* What it has brought in stays, and the rest never finds room beside it. */
static void a_load_that_fits_no_more_fails(void **state)
{
    uint32_t three[] = {0, 2, 4};
    (void)state;
    start(3 * PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(6);
    struct tresor_request request = ask(three, 3, TRESOR_STRATEGY_READ, TRESOR_REQUEST_WAIT);
    settle();
    assert_null(session_end(&world.session, request));
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 6, 0), TRESOR_OK);
    limit = 3 * PIECE_BYTES;
    struct tresor_request lowering = ask_budget(2 * PIECE_BYTES, 0);
    settle();
    assert_non_null(session_end(&world.session, lowering));
    const struct tresor_event *end = session_end(&world.session, request);
    assert_non_null(end);
    assert_error(end->error.code, end->done == 3 ? TRESOR_OK : TRESOR_ERROR_TOO_BIG);
    fake_world_close(&world);
}

/* It joins one that waits, and is told at once what it would have been told alone. */
static void who_may_not_wait_is_refused_beside_one_who_does(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    struct tresor_request patient = wait_for(2);
    assert_error(load(2), TRESOR_ERROR_BUSY);
    assert_null(session_end(&world.session, patient));
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    assert_error(finish(patient), TRESOR_OK);
    fake_world_close(&world);
}

/* However many wait. */
static void many_who_wait_hide_nobody(void **state)
{
    enum { PIECES = 40 };
    struct model_tensor tensors[PIECES];
    struct tresor_request waiting[PIECES];
    (void)state;
    for (uint32_t i = 0; i < PIECES; i++)
        tensors[i] = (struct model_tensor){.offset_bytes = (uint64_t)i * 8192, .size_bytes = 4096};
    fake_world_init(&world);
    world.options.budget_bytes = 16 * 4096;
    world.options.requests_max = PIECES + 8;
    world.options.waits_max = PIECES + 8;
    limit = 16 * 4096;
    fake_world_start(&world, tensors, PIECES);
    for (uint32_t i = 0; i < 16 && counters().committed_bytes + 8192 <= limit; i++)
        lock(i);
    for (uint32_t i = 16; i + 1 < PIECES; i++)
        waiting[i] = wait_for(i);
    assert_error(load(PIECES - 1), TRESOR_ERROR_BUSY);
    for (uint32_t i = 16; i + 1 < PIECES; i++)
        assert_error(tresor_cancel(context(), waiting[i]), TRESOR_OK);
    settle();
    assert_error(fake_world_all(&world, TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
    fake_world_close(&world);
}

/* The host's own eviction finds it in use; when it is used no more, it goes for others like any. */
static void what_could_not_be_evicted_goes_later(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    assert_error(load(0), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 0, 0), TRESOR_ERROR_BUSY);
    assert_error(tresor_release(context(), item), TRESOR_OK);
    assert_error(load(2), TRESOR_OK);
    assert_int_equal(resident(), 0x04);
    fake_world_close(&world);
}

/* A load that was asked for behind an eviction when there was no budget is admitted by the one that has come. */
static void a_budget_comes_while_something_goes(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        start(0, TRESOR_POLICY_LRU);
        world.session.steps_max = 100000;
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        struct tresor_request evicting = submit(TRESOR_VERB_EVICT, session_all(&world.session));
        struct tresor_request loading = submit(TRESOR_VERB_LOAD, session_all(&world.session));
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        struct tresor_request lowering = ask_budget(2 * PIECE_BYTES, 0);
        settle();
        assert_non_null(session_end(&world.session, evicting));
        assert_non_null(session_end(&world.session, loading));
        assert_error(session_end(&world.session, lowering)->error.code, TRESOR_OK);
        limit = 2 * PIECE_BYTES;
        settle();
        fake_world_close(&world);
    }
}

/* What was refused is not on its way any more. */
static void what_was_refused_may_be_split(void **state)
{
    (void)state;
    start(PIECE_BYTES, TRESOR_POLICY_LRU);
    lock(0);
    assert_error(load(2), TRESOR_ERROR_BUSY);
    const struct tresor__pins *pins = atomic_load(&context()->controller.slots[0].pins);
    assert_int_equal(atomic_load(&pins->pins[2].word), atomic_load(&pins->pins[4].word));
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, 0, 0), TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_used_longest_ago_goes),
        cmocka_unit_test(a_page_that_two_share_counts_once),
        cmocka_unit_test(who_is_used_least_often_goes),
        cmocka_unit_test(who_matters_least_goes),
        cmocka_unit_test(what_never_fits_is_refused_at_once),
        cmocka_unit_test(a_request_keeps_its_own),
        cmocka_unit_test(what_is_in_use_stays),
        cmocka_unit_test(locked_ones_stay),
        cmocka_unit_test(a_lower_budget_evicts),
        cmocka_unit_test(a_budget_may_fall_at_any_moment),
        cmocka_unit_test(streams_count),
        cmocka_unit_test(those_who_wait_go_on_when_it_is_unlocked_or_lifted),
        cmocka_unit_test(who_is_withdrawn_takes_nobody_along),
        cmocka_unit_test(nobody_waits_for_a_load_that_failed),
        cmocka_unit_test(who_waits_for_more_than_there_will_be_is_too_big),
        cmocka_unit_test(neighbours_go_together_for_their_page),
        cmocka_unit_test(a_stage_takes_nobodys_room),
        cmocka_unit_test(a_stage_that_finds_no_room_is_refused),
        cmocka_unit_test(a_budget_below_the_stages_is_busy),
        cmocka_unit_test(a_load_that_fits_no_more_fails),
        cmocka_unit_test(who_may_not_wait_is_refused_beside_one_who_does),
        cmocka_unit_test(many_who_wait_hide_nobody),
        cmocka_unit_test(what_could_not_be_evicted_goes_later),
        cmocka_unit_test(a_budget_comes_while_something_goes),
        cmocka_unit_test(what_was_refused_may_be_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
