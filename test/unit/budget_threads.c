/* SPDX-License-Identifier: MIT */
/* Two sources under one budget: threads go through a plan over one of them, holding what they read, while the other is
 * loaded, read and evicted. What is acquired has its bytes, and no more than the budget is ever in use. */
#include <tresor/tresor.h>

#include <pthread.h>
#include <string.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/random.h"
#include "support/test.h"

enum {
    TENSORS = 8,
    TENSOR_BYTES = 16 * 4096,
    STRIDE_BYTES = TENSOR_BYTES + 2 * 4096,
    PIECE_BYTES = TENSOR_BYTES + 4096,
    USERS = 3,
    PASSES = 12,
    REQUESTS_MAX = 200,
    ROUNDS = 20, /* of what depends on how threads meet */
};

static struct fake_world world;
static struct tresor_source other;

/* Steps are acquired in the plan's order, and released in any. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static uint32_t next_step;
static _Atomic uint32_t wrong;
static _Atomic uint32_t running;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void start(uint32_t backend)
{
    struct model_tensor tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){.offset_bytes = (uint64_t)i * STRIDE_BYTES,
                                           .size_bytes = TENSOR_BYTES};
    fake_world_init(&world);
    world.options.backend = backend;
    world.options.budget_bytes = (USERS + 2) * PIECE_BYTES;
    world.options.sources_max = 2;
    world.faulty.has_workers = world.fake.has_workers = backend != TRESOR_BACKEND_SYNC;
    fake_world_start(&world, tensors, TENSORS);
    struct tresor_request request;
    int32_t code = tresor_source_open(context(), model_set_path(&world.set), 0, &other, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    next_step = 0;
    wrong = 0;
}

static bool holds_its_bytes(uint32_t tensor, const void *data)
{
    const struct model_part *part = &world.set.parts[0];
    const uint8_t *bytes = part->bytes.data + world.data_offset + (uint64_t)tensor * STRIDE_BYTES;
    return memcmp(data, bytes, TENSOR_BYTES) == 0;
}

static void *use(void *cookie)
{
    const struct tresor_item *items = cookie;
    for (;;) {
        const void *data = NULL;
        pthread_mutex_lock(&order);
        uint32_t step = next_step;
        bool is_over = step == PASSES * TENSORS || wrong > 0;
        int32_t code = is_over ? TRESOR_OK
                               : tresor_acquire_wait(context(), items[step % TENSORS], -1, &data);
        next_step += is_over ? 0 : 1;
        pthread_mutex_unlock(&order);
        if (is_over)
            break;
        wrong += code != TRESOR_OK;
        if (code != TRESOR_OK)
            continue;
        wrong += !holds_its_bytes(step % TENSORS, data);
        wrong += tresor_release(context(), items[step % TENSORS]) != TRESOR_OK;
    }
    running--;
    tresor_wake(context());
    return NULL;
}

static void check_room(void)
{
    struct tresor_counters counters = fake_world_counters(&world);
    assert_true(counters.charged_bytes <= counters.budget_bytes);
    assert_true(counters.committed_bytes <= counters.budget_bytes);
}

/* The end of one of the other source's requests; those of the plan's loads have no events. */
static bool take_end(uint64_t request, int32_t *code)
{
    struct tresor_event event;
    bool found = false;
    while (tresor_next_event(context(), &event) == 1) {
        if (event.type != TRESOR_EVENT_DONE || event.request.value != request)
            continue;
        *code = event.error.code;
        found = true;
    }
    return found;
}

static int32_t finish(struct tresor_request request)
{
    int32_t code = TRESOR_OK;
    while (!take_end(request.value, &code)) {
        assert_true(tresor_wait(context(), -1) >= 0);
        check_room();
    }
    return code;
}

/* What the plan needs soon does not go for it, so it may be told that there is no room. */
static void use_other(uint64_t *seed)
{
    uint32_t tensor = random_below(seed, TENSORS);
    struct tresor_item item;
    struct tresor_request request;
    const void *data = NULL;
    struct tresor_request_options options = {
        .size_bytes = sizeof options, .strategy = 1 + random_below(seed, TRESOR_STRATEGY_READ)};
    assert_error(tresor_item_of_tensor(context(), other, tensor, &item), TRESOR_OK);
    assert_error(tresor_load(context(), &item, 1, &options, &request), TRESOR_OK);
    int32_t code = finish(request);
    assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
    if (tresor_acquire(context(), item, &data) == TRESOR_OK) {
        assert_true(holds_its_bytes(tensor, data));
        assert_error(tresor_release(context(), item), TRESOR_OK);
    }
    if (random_below(seed, 2) == 0) {
        assert_error(tresor_evict(context(), &item, 1, NULL, &request), TRESOR_OK);
        assert_error(finish(request), TRESOR_OK);
    }
}

static void run(uint32_t backend)
{
    struct tresor_item items[TENSORS];
    struct tresor_request plan;
    struct tresor_plan_options options = {.size_bytes = sizeof options,
                                          .flags = TRESOR_PLAN_CYCLIC,
                                          .window_bytes = TENSOR_BYTES,
                                          .strategy = TRESOR_STRATEGY_READ};
    pthread_t threads[USERS];
    uint64_t seed = 40 + backend;
    start(backend);
    for (uint32_t i = 0; i < TENSORS; i++)
        items[i] = session_tensor(&world.session, i);
    assert_error(tresor_plan(context(), items, TENSORS, &options, &plan), TRESOR_OK);
    running = USERS;
    for (uint32_t i = 0; i < USERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, items), 0);
    for (uint32_t i = 0; running > 0; i++) {
        if (i < REQUESTS_MAX)
            use_other(&seed);
        else
            tresor_wait(context(), -1);
        check_room();
    }
    for (uint32_t i = 0; i < USERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_error(tresor_cancel(context(), plan), TRESOR_OK);
    assert_error(finish(plan), TRESOR_ERROR_CANCELLED);
    struct tresor_request closing;
    assert_error(tresor_source_close(context(), other, 0, &closing), TRESOR_OK);
    assert_error(finish(closing), TRESOR_OK);
    check_room();
    world.session.request_count = 0; /* ends were taken here */
    fake_world_close(&world);
}

static void threads_use_a_plan_beside_another_source(void **state)
{
    (void)state;
    run(TRESOR_BACKEND_POOL);
}

static void and_with_one_thread_for_all_reads(void **state)
{
    (void)state;
    run(TRESOR_BACKEND_SYNC);
}

/* --- a thread holds what another waits for --- */

static struct tresor_item held;

static void *release_held(void *cookie)
{
    (void)cookie;
    if (tresor_release(context(), held) != TRESOR_OK)
        wrong++;
    return NULL;
}

/* The wait sleeps until the room is given back by somebody else, whatever waits for it. */
static void a_wait_sleeps_until_another_thread_releases(void **state)
{
    static const enum tresor_verb verbs[] = {TRESOR_VERB_LOAD, TRESOR_VERB_BUDGET};
    (void)state;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        struct tresor_request request;
        struct tresor_event end;
        struct tresor_request_options options = {.size_bytes = sizeof options,
                                                 .flags = TRESOR_REQUEST_WAIT};
        start(TRESOR_BACKEND_POOL);
        struct tresor_item wanted = session_tensor(&world.session, 7);
        held = session_tensor(&world.session, 0);
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 0, TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_error(tresor_acquire(context(), held, NULL), TRESOR_OK);
        int32_t code = tresor_budget(context(), PIECE_BYTES, NULL, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        code = verbs[i % 2] == TRESOR_VERB_LOAD ? tresor_load(context(), &wanted, 1, &options, &request)
                                            : tresor_budget(context(), 4096, &options, &request);
        assert_error(code, TRESOR_OK);
        while (tresor_dispatch(context()) > 0)
            continue;
        assert_int_equal(pthread_create(&thread, NULL, release_held, NULL), 0);
        assert_error(tresor_finish(context(), request, 1, &end), TRESOR_OK);
        pthread_join(thread, NULL);
        check_room();
        assert_error(tresor_source_close(context(), other, 0, &request), TRESOR_OK);
        assert_error(tresor_finish(context(), request, 1, NULL), TRESOR_OK);
        assert_int_equal(wrong, 0);
        fake_world_close(&world);
    }
}

/* The plan's own request may be waited for while threads go through it. */
static void finish_plan(void)
{
    struct tresor_item items[PASSES * TENSORS];
    struct tresor_request plan;
    pthread_t threads[USERS];
    start(TRESOR_BACKEND_POOL);
    for (uint32_t i = 0; i < PASSES * TENSORS; i++)
        items[i] = session_tensor(&world.session, i % TENSORS);
    assert_error(tresor_plan(context(), items, PASSES * TENSORS, NULL, &plan), TRESOR_OK);
    running = USERS;
    for (uint32_t i = 0; i < USERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, items), 0);
    struct tresor_event end;
    assert_error(tresor_finish(context(), plan, 1, &end), TRESOR_OK);
    for (uint32_t i = 0; i < USERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_true(end.done >= TENSORS);
    check_room();
    struct tresor_request closing;
    assert_error(tresor_source_close(context(), other, 0, &closing), TRESOR_OK);
    assert_error(tresor_finish(context(), closing, 1, NULL), TRESOR_OK);
    fake_world_close(&world);
}

static void a_plan_is_finished_by_other_threads(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ROUNDS; i++)
        finish_plan();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_use_a_plan_beside_another_source),
        cmocka_unit_test(and_with_one_thread_for_all_reads),
        cmocka_unit_test(a_wait_sleeps_until_another_thread_releases),
        cmocka_unit_test(a_plan_is_finished_by_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
