/* SPDX-License-Identifier: MIT */
/* Plans: that they load as little as can be done, ahead of use, in the order that was declared. */
#include <tresor/tresor.h>

#include <string.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/random.h"
#include "support/shuffled_backend.h"
#include "support/test.h"

enum {
    TENSORS = 6,
    TENSOR_BYTES = 16 * 4096,
    STRIDE_BYTES = TENSOR_BYTES + 2 * 4096, /* so that no page is shared */
    PIECE_BYTES = TENSOR_BYTES + 4096,
    STEPS_MAX = 14,
    TRACES = 120,
};

static struct fake_world world;
static struct shuffled shuffled;
static uint64_t limit;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void start_with(uint32_t capacity, struct shuffled *backend)
{
    struct model_tensor tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){.offset_bytes = (uint64_t)i * STRIDE_BYTES,
                                           .size_bytes = TENSOR_BYTES};
    fake_world_init(&world);
    limit = (uint64_t)capacity * PIECE_BYTES;
    world.options.budget_bytes = limit;
    world.shuffled = backend;
    fake_world_start(&world, tensors, TENSORS);
}

static void start(uint32_t capacity)
{
    start_with(capacity, NULL);
}

static void settle(void)
{
    do
        assert_true(fake_world_counters(&world).charged_bytes <= limit);
    while (session_pump(&world.session));
}

static bool is_resident(uint32_t tensor)
{
    return context()->controller.slots[0].pieces[tensor].tensor.state == TENSOR_RESIDENT;
}

static uint32_t waits_of_plan(void)
{
    const struct tresor__controller *controller = &context()->controller;
    return controller->requests[controller->plans[0]->request].unsettled;
}

static struct tresor_request submit(const uint32_t *trace, uint32_t count, uint64_t window_bytes,
                                    uint32_t flags)
{
    struct tresor_item items[STEPS_MAX];
    struct tresor_request request = {0};
    struct tresor_plan_options options = {
        .size_bytes = sizeof options, .flags = flags, .window_bytes = window_bytes,
        .strategy = TRESOR_STRATEGY_READ};
    for (uint32_t i = 0; i < count; i++)
        items[i] = session_tensor(&world.session, trace[i]);
    int32_t code = tresor_plan(context(), items, count, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

/* Whether it was there at once. */
static bool use(uint32_t tensor)
{
    struct tresor_item item = session_tensor(&world.session, tensor);
    int32_t code = tresor_acquire(context(), item, NULL);
    bool was_there = code == TRESOR_OK;
    if (!was_there) {
        assert_error(code, TRESOR_ERROR_NOT_RESIDENT);
        settle();
        assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    }
    settle();
    assert_error(tresor_release(context(), item), TRESOR_OK);
    return was_there;
}

static struct tresor_event cancel(struct tresor_request request)
{
    assert_error(tresor_cancel(context(), request), TRESOR_OK);
    settle();
    const struct tresor_event *end = session_end(&world.session, request);
    assert_non_null(end);
    return *end;
}

/* The least that can be loaded, by trying everything: who is in memory is a bit each. */
static uint32_t least_loads(const uint32_t *trace, uint32_t count, uint32_t capacity)
{
    uint32_t least[1 << TENSORS];
    uint32_t next[1 << TENSORS];
    memset(least, 0xff, sizeof least);
    least[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t used = UINT32_C(1) << trace[i];
        memset(next, 0xff, sizeof next);
        for (uint32_t set = 0; set < 1 << TENSORS; set++) {
            if (least[set] == UINT32_MAX)
                continue;
            uint32_t with = set | used;
            uint32_t loads = least[set] + !(set & used);
            for (uint32_t kept = with; kept; kept = (kept - 1) & with)
                if (kept & used && (uint32_t)__builtin_popcount(kept) <= capacity &&
                    loads < next[kept])
                    next[kept] = loads;
        }
        memcpy(least, next, sizeof least);
    }
    uint32_t best = UINT32_MAX;
    for (uint32_t set = 0; set < 1 << TENSORS; set++)
        best = least[set] < best ? least[set] : best;
    return best;
}

static void loads_as_little_as_can_be(void **state)
{
    uint64_t seed = 20240229;
    (void)state;
    for (uint32_t round = 0; round < TRACES; round++) {
        uint32_t trace[STEPS_MAX];
        uint32_t count = 1 + random_below(&seed, STEPS_MAX);
        uint32_t capacity = 1 + random_below(&seed, TENSORS);
        for (uint32_t i = 0; i < count; i++)
            trace[i] = random_below(&seed, TENSORS);
        start(capacity);
        struct tresor_request plan = submit(trace, count, 1, 0);
        settle();
        for (uint32_t i = 0; i < count; i++) {
            use(trace[i]);
            settle();
        }
        const struct tresor_event *end = session_end(&world.session, plan);
        assert_non_null(end);
        assert_error(end->error.code, TRESOR_OK);
        assert_int_equal(end->done, least_loads(trace, count, capacity));
        fake_world_close(&world);
    }
}

static uint32_t loads_of(uint32_t passes, uint32_t capacity, uint64_t window_bytes, bool *on_time)
{
    uint32_t trace[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        trace[i] = i;
    start(capacity);
    struct tresor_request plan = submit(trace, TENSORS, window_bytes, TRESOR_PLAN_CYCLIC);
    settle();
    *on_time = true;
    for (uint32_t i = 0; i < passes * TENSORS; i++) {
        *on_time = use(i % TENSORS) && *on_time;
        settle();
    }
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_OK);
    assert_int_equal(info.passes, passes);
    assert_int_equal(info.step_count, TENSORS);
    struct tresor_event end = cancel(plan);
    assert_error(end.error.code, TRESOR_ERROR_CANCELLED);
    fake_world_close(&world);
    return end.done;
}

/* Belady's rule on a cycle of n with room for k loads n(n - k)/(n - 1) a pass, and what is loaded ahead costs no more than
 * the room of its window. */
static void keeps_what_it_can_of_a_cycle(void **state)
{
    enum { PASSES = 10 };
    (void)state;
    for (uint32_t capacity = 2; capacity <= TENSORS; capacity++) {
        bool on_time = false;
        uint32_t demand = loads_of(PASSES, capacity, 1, &on_time);
        uint32_t ahead = loads_of(PASSES, capacity, TENSOR_BYTES + 1, &on_time);
        uint32_t least = TENSORS + (PASSES - 1) * TENSORS * (TENSORS - capacity) / (TENSORS - 1);
        print_message("# capacity %u: %u loads on demand, %u ahead, %u by the rule\n", capacity, demand,
                      ahead, least);
        uint32_t passing = TENSORS - capacity + 2 < TENSORS ? TENSORS - capacity + 2 : TENSORS;
        uint32_t streamed = TENSORS + PASSES * (capacity < TENSORS ? passing : 0);
        assert_true(demand <= least + 1);
        assert_true(ahead <= streamed);
        assert_true(on_time);
    }
}

static void what_comes_next_is_loaded_ahead(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 3, 4, 5};
    (void)state;
    start(4);
    struct tresor_request plan = submit(trace, TENSORS, 2 * TENSOR_BYTES + 1, 0);
    settle();
    assert_true(is_resident(0) && is_resident(1) && is_resident(2) && !is_resident(3));
    assert_true(use(0));
    settle();
    assert_true(is_resident(3));
    /* A step that is used is passed with all before it. */
    assert_true(use(2));
    settle();
    assert_true(is_resident(3) && is_resident(4) && is_resident(5));
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_OK);
    assert_int_equal(info.step, 3);
    for (uint32_t i = 3; i < TENSORS; i++)
        assert_true(use(i));
    settle();
    assert_error(session_end(&world.session, plan)->error.code, TRESOR_OK);
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_ERROR_STALE);
    fake_world_close(&world);
}

static void seeks(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 3, 4, 5};
    (void)state;
    for (uint32_t steps = 0; steps < 30; steps++) {
        start(3);
        struct tresor_request plan = submit(trace, TENSORS, 2 * TENSOR_BYTES, TRESOR_PLAN_CYCLIC);
        for (uint32_t i = 0; i < steps; i++)
            session_pump(&world.session);
        assert_error(tresor_plan_seek(context(), plan, TENSORS), TRESOR_ERROR_INVALID);
        assert_error(tresor_plan_seek(context(), plan, 4), TRESOR_OK);
        settle();
        assert_true(is_resident(4) && is_resident(5));
        assert_true(use(4));
        settle();
        assert_true(use(5));
        settle();
        assert_true(use(0));
        cancel(plan);
        fake_world_close(&world);
    }
}

/* What is on its way already is waited for once, however often the plan begins anew. */
static void a_seek_asks_for_nothing_twice(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 3, 4, 5};
    (void)state;
    shuffled = (struct shuffled){0};
    start_with(TENSORS, &shuffled);
    struct tresor_request plan = submit(trace, TENSORS, TENSORS * TENSOR_BYTES, 0);
    shuffled.is_holding = true;
    for (uint32_t i = 0; i < 20; i++) {
        tresor_dispatch(context());
        assert_int_equal(waits_of_plan(), TENSORS);
        assert_error(tresor_plan_seek(context(), plan, 0), TRESOR_OK);
    }
    shuffled.is_holding = false;
    settle();
    assert_int_equal(waits_of_plan(), 0);
    cancel(plan);
    fake_world_close(&world);
}

/* Both at once: what the plan needs soon stays, the others are ranked. */
static void others_are_ranked(void **state)
{
    static const uint32_t trace[] = {0, 1, 2};
    (void)state;
    start(4);
    struct tresor_request plan = submit(trace, 3, 3 * TENSOR_BYTES, TRESOR_PLAN_CYCLIC);
    settle();
    for (uint32_t i = 0; i < 12; i++) {
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 3 + i % 3, TRESOR_STRATEGY_READ),
                     TRESOR_OK);
        settle();
        assert_true(is_resident(0) && is_resident(1) && is_resident(2));
        assert_true(use(i % 3));
    }
    cancel(plan);
    /* Named by none any more, they are ranked like the others: the one of them that was used first goes. */
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 3, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_true(!is_resident(0) && is_resident(1) && is_resident(2) && is_resident(5));
    fake_world_close(&world);
}

/* Others find no room there, and do not wait for it. */
static void what_is_needed_within_the_window_stays(void **state)
{
    static const uint32_t trace[] = {0, 1, 2};
    (void)state;
    start(3);
    struct tresor_request plan = submit(trace, 3, 3 * TENSOR_BYTES, TRESOR_PLAN_CYCLIC);
    for (uint32_t i = 0; i < 6; i++) {
        settle();
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 3, TRESOR_STRATEGY_READ), TRESOR_ERROR_BUSY);
        assert_true(use(i % 3));
    }
    cancel(plan);
    fake_world_close(&world);
}

/* What was on its way for the place before is nobody's any more. */
static void a_seek_takes_back_what_is_far(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 3, 4, 5};
    (void)state;
    shuffled = (struct shuffled){0};
    start_with(TENSORS, &shuffled);
    struct tresor_request plan = submit(trace, TENSORS, 2 * TENSOR_BYTES, TRESOR_PLAN_CYCLIC);
    shuffled.is_holding = true;
    for (uint32_t i = 0; i < 4; i++)
        tresor_dispatch(context());
    assert_int_equal(waits_of_plan(), 2);
    assert_error(tresor_plan_seek(context(), plan, 4), TRESOR_OK);
    for (uint32_t i = 0; i < 4; i++)
        tresor_dispatch(context());
    assert_int_equal(waits_of_plan(), 2);
    shuffled.is_holding = false;
    settle();
    assert_true(!is_resident(0) && !is_resident(1) && is_resident(4) && is_resident(5));
    cancel(plan);
    fake_world_close(&world);
}

/* With locks on a part, the rest of the cycle passes through what is left, by the page cache too. */
static void what_is_locked_stays(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 3, 4, 5};
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        start(4);
        for (uint32_t i = 0; i < 2; i++) {
            assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, i, strategy), TRESOR_OK);
            assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, i, 0), TRESOR_OK);
        }
        struct tresor_request plan = submit(trace, TENSORS, TENSOR_BYTES + 1, TRESOR_PLAN_CYCLIC);
        for (uint32_t i = 0; i < 3 * TENSORS; i++) {
            settle();
            assert_true(use(i % TENSORS));
            assert_true(is_resident(0) && is_resident(1));
        }
        cancel(plan);
        for (uint32_t i = 0; i < 2; i++)
            assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, i, 0), TRESOR_OK);
        fake_world_close(&world);
    }
}

/* All is in memory, and nobody looks until the last was used. */
static void ends_after_steps_that_nobody_saw(void **state)
{
    uint32_t trace[STEPS_MAX];
    (void)state;
    for (uint32_t period = 2; period <= TENSORS; period++) {
        start(TENSORS);
        for (uint32_t i = 0; i < STEPS_MAX; i++)
            trace[i] = i % period;
        struct tresor_request plan = submit(trace, STEPS_MAX, TENSORS * TENSOR_BYTES, 0);
        settle();
        for (uint32_t i = 0; i < STEPS_MAX; i++) {
            struct tresor_item item = session_tensor(&world.session, trace[i]);
            assert_null(session_end(&world.session, plan));
            assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
            assert_error(tresor_release(context(), item), TRESOR_OK);
        }
        settle();
        assert_non_null(session_end(&world.session, plan));
        assert_error(session_end(&world.session, plan)->error.code, TRESOR_OK);
        fake_world_close(&world);
    }
}

/* What is held while later steps are used is one step's use all the same. */
static void a_late_release_is_no_later_step(void **state)
{
    static const uint32_t trace[] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    (void)state;
    start(TENSORS);
    struct tresor_request plan = submit(trace, 9, TENSORS * TENSOR_BYTES, 0);
    struct tresor_item held = session_tensor(&world.session, 0);
    settle();
    assert_error(tresor_acquire(context(), held, NULL), TRESOR_OK);
    assert_true(use(1));
    assert_true(use(2));
    settle();
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_OK);
    assert_int_equal(info.step, 3);
    assert_error(tresor_release(context(), held), TRESOR_OK);
    settle();
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_OK);
    assert_int_equal(info.step, 3);
    assert_true(use(0));
    settle();
    assert_error(tresor_plan_get_info(context(), plan, &info), TRESOR_OK);
    assert_int_equal(info.step, 4);
    cancel(plan);
    fake_world_close(&world);
}

static void a_piece_has_one_plan(void **state)
{
    static const uint32_t trace[] = {0, 1, 2};
    struct tresor_request request;
    (void)state;
    start(2);
    struct tresor_request plan = submit(trace, 3, 0, 0);
    struct tresor_item item = session_tensor(&world.session, 1);
    assert_error(tresor_plan(context(), &item, 1, NULL, &request), TRESOR_ERROR_BUSY);
    item = session_all(&world.session);
    assert_error(tresor_plan(context(), &item, 1, NULL, &request), TRESOR_ERROR_TOO_BIG);
    assert_error(tresor_plan(context(), &item, 0, NULL, &request), TRESOR_ERROR_INVALID);
    assert_error(tresor_plan_seek(context(), (struct tresor_request){0}, 0), TRESOR_ERROR_STALE);
    cancel(plan);
    assert_error(tresor_plan_seek(context(), plan, 0), TRESOR_ERROR_STALE);
    fake_world_close(&world);
}

/* A turn asks for 256 tensors, and for no more than there are waits for; those that are left come in others. */
static void a_plan_of_more_tensors_than_one_turn_asks_for(void **state)
{
    enum { MANY = 700 };
    static const uint32_t waits[] = {1024, 16};
    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        struct model_tensor tensors[MANY];
        struct tresor_request request = {0};
        struct tresor_event done;
        for (uint32_t i = 0; i < MANY; i++)
            tensors[i] = (struct model_tensor){.size_bytes = 64, .offset_bytes = MODEL_NEXT};
        fake_world_init(&world);
        world.options.waits_max = waits[k];
        fake_world_start(&world, tensors, MANY);
        struct tresor_item all = session_all(&world.session);
        assert_error(session_note(&world.session, tresor_plan(context(), &all, 1, NULL, &request), request), TRESOR_OK);
        session_settle(&world.session);
        fake_world_must_have(&world, MANY);
        assert_error(session_finish(&world.session, request, &done), TRESOR_OK);
        assert_int_equal(done.done, MANY);
        fake_world_close(&world);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_as_little_as_can_be),
        cmocka_unit_test(keeps_what_it_can_of_a_cycle),
        cmocka_unit_test(what_comes_next_is_loaded_ahead),
        cmocka_unit_test(seeks),
        cmocka_unit_test(a_seek_asks_for_nothing_twice),
        cmocka_unit_test(others_are_ranked),
        cmocka_unit_test(what_is_needed_within_the_window_stays),
        cmocka_unit_test(a_seek_takes_back_what_is_far),
        cmocka_unit_test(what_is_locked_stays),
        cmocka_unit_test(ends_after_steps_that_nobody_saw),
        cmocka_unit_test(a_late_release_is_no_later_step),
        cmocka_unit_test(a_piece_has_one_plan),
        cmocka_unit_test(a_plan_of_more_tensors_than_one_turn_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
