/* SPDX-License-Identifier: MIT */
/* PROGRESS events: how far a load has got, also inside one tensor. */
#include "support/test.h"

#include <errno.h>

#include "support/fake_world.h"

enum {
    BLOCK = 64 * 1024,
    LARGE = 1024 * 1024,
};

_Static_assert(sizeof(struct tresor_event) == 128,
               "an event is copied out, and a host may store it");

static struct fake_world world;

static const struct model_tensor large[] = {
    {LARGE, MODEL_NEXT, false},
    {LARGE + 32, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},
};

static void start(void)
{
    fake_world_init(&world);
    world.options.dispatch_max = 1;
    world.options.blocks_max = 2;
    fake_world_start(&world, large, 3);
}

static struct tresor_request load(struct tresor_item item, uint32_t strategy,
                                  uint64_t progress_bytes)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .cookie = 77,
                                             .strategy = strategy,
                                             .progress_bytes = progress_bytes};
    int32_t code = tresor_load(world.session.context, &item, 1, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

/* The PROGRESS events of a request, which must be so many bytes apart; how many, and the last. */
static uint32_t look(struct tresor_request request, uint64_t progress_bytes,
                     struct tresor_event *last)
{
    uint32_t count = 0;
    *last = (struct tresor_event){0};
    for (uint32_t i = 0; i < world.session.progress_count; i++) {
        const struct tresor_event *event = &world.session.progress[i];
        if (event->request.value != request.value)
            continue;
        count++;
        assert_true(event->bytes >= last->bytes + progress_bytes);
        assert_true(event->bytes <= event->total_bytes);
        assert_true(event->done >= last->done);
        assert_int_equal(event->verb, TRESOR_VERB_LOAD);
        assert_int_equal(event->cookie, 77);
        assert_error(event->error.code, TRESOR_OK);
        *last = *event;
    }
    return count;
}

static void inside_one_tensor(void **state)
{
    static const struct {
        uint64_t progress_bytes;
        uint32_t least;
        uint32_t most;
    } rows[] = {{1, 16, 18},       {BLOCK, 15, 16},    {4 * BLOCK, 3, 4}, {LARGE, 1, 1},
                {LARGE + 1, 0, 0}, {UINT64_MAX, 0, 0}, {0, 0, 0}};
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        uint64_t progress_bytes = rows[i / 2].progress_bytes;
        struct tresor_event last;
        start();
        struct tresor_request request =
            load(session_tensor(&world.session, 0),
                 i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP, progress_bytes);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_in_range(look(request, progress_bytes, &last), rows[i / 2].least, rows[i / 2].most);
        assert_int_equal(world.session.progress_count, look(request, progress_bytes, &last));
        if (progress_bytes == 1 || progress_bytes == LARGE) {
            assert_int_equal(last.bytes, LARGE);
            assert_int_equal(last.total_bytes, LARGE);
            assert_int_equal(last.total, 1);
        }
        fake_world_close(&world);
    }
}

static void of_many_tensors(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        struct tresor_event last;
        start();
        struct tresor_request request = load(session_all(&world.session), strategy, 1);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_true(look(request, 1, &last) >= 32);
        assert_int_equal(last.bytes, 2 * LARGE + 132);
        assert_int_equal(last.total_bytes, 2 * LARGE + 132);
        assert_int_equal(last.total, 3);
        /* What is there already has arrived at once. */
        request = load(session_all(&world.session), strategy, 1);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_in_range(look(request, 1, &last), 1, 3);
        assert_int_equal(last.bytes, 2 * LARGE + 132);
        fake_world_close(&world);
    }
}

/* Few bytes on both sides of where two blocks meet: their pages hold more than they do. */
static void bytes_beside_a_tensor(void **state)
{
    struct model_tensor across = {64, 0, false};
    (void)state;
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", &across, 1);
    across.offset_bytes = BLOCK - 32 - model_set_data_offset(&world.set);
    model_set_free(&world.set);
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        struct tresor_event last;
        fake_world_init(&world);
        world.options.dispatch_max = 1;
        fake_world_start(&world, &across, 1);
        assert_int_equal(fake_world_tensor(&world, 0).offset_bytes, BLOCK - 32);
        struct tresor_request request = load(session_all(&world.session), strategy, 1);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_int_equal(look(request, 1, &last), 1);
        assert_int_equal(last.bytes, 64);
        fake_world_close(&world);
    }
}

/* One joins the other's load, and learns of all its bytes; a third does not want to know. */
static void requests_that_share_a_tensor(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        struct tresor_event last;
        start();
        struct tresor_item item = session_tensor(&world.session, 1);
        struct tresor_request first = load(item, strategy, BLOCK);
        while (world.session.progress_count < 4 && session_pump(&world.session))
            continue;
        struct tresor_request second = load(item, strategy, 1);
        struct tresor_request third = load(item, strategy, 0);
        assert_error(session_finish(&world.session, first, NULL), TRESOR_OK);
        assert_error(session_finish(&world.session, second, NULL), TRESOR_OK);
        assert_error(session_finish(&world.session, third, NULL), TRESOR_OK);
        assert_in_range(look(first, BLOCK, &last), 14, 17);
        assert_in_range(look(second, 1, &last), 8, 14);
        assert_int_equal(last.bytes, LARGE + 32);
        assert_int_equal(look(third, 0, &last), 0);
        fake_world_close(&world);
    }
}

/* Cancelled at every step: nothing comes after the end, and the other's go on. */
static void cancelled(void **state)
{
    bool was_running = true;
    (void)state;
    for (uint32_t steps = 0; was_running; steps++) {
        struct tresor_event last;
        start();
        uint32_t strategy = steps % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        struct tresor_request one = load(session_all(&world.session), strategy, 1);
        struct tresor_request other = load(session_tensor(&world.session, 1), strategy, 1);
        for (uint32_t i = 0; i < steps && session_pump(&world.session); i++)
            continue;
        was_running = !session_end(&world.session, one);
        if (was_running)
            assert_error(tresor_cancel(world.session.context, one), TRESOR_OK);
        session_settle(&world.session);
        assert_error(session_end(&world.session, other)->error.code, TRESOR_OK);
        look(one, 1, &last);
        assert_true(look(other, 1, &last) >= 1);
        assert_int_equal(last.bytes, LARGE + 32);
        fake_world_close(&world);
    }
}

/* What has arrived of a tensor that fails stays counted. */
static void failed(void **state)
{
    struct tresor_event last;
    (void)state;
    start();
    uint64_t place = fake_world_tensor(&world, 0).offset_bytes + LARGE / 2;
    world.rules[0] =
        (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO, .has_place = true, .place = place};
    struct tresor_request request = load(session_all(&world.session), TRESOR_STRATEGY_READ, 1);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_ERROR_IO);
    assert_true(look(request, 1, &last) > 16);
    assert_in_range(last.bytes, LARGE + 132 + LARGE / 2 - 2 * BLOCK, LARGE + 132 + LARGE - 1);
    /* Again, without the fault: it begins anew. */
    world.rules[0].os_errno = 0;
    request = load(session_all(&world.session), TRESOR_STRATEGY_READ, 1);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    look(request, 1, &last);
    assert_int_equal(last.bytes, 2 * LARGE + 132);
    fake_world_close(&world);
}

/* One event stands for all that happened until it is taken. */
static void events_that_are_not_taken(void **state)
{
    struct tresor_event event;
    (void)state;
    start();
    struct tresor_request request =
        load(session_tensor(&world.session, 0), TRESOR_STRATEGY_READ, 1);
    while (tresor_dispatch(world.session.context) > 0)
        continue;
    assert_int_equal(tresor_next_event(world.session.context, &event), 1);
    assert_int_equal(event.type, TRESOR_EVENT_PROGRESS);
    assert_int_equal(event.bytes, LARGE);
    assert_int_equal(event.done, 1);
    assert_int_equal(tresor_next_event(world.session.context, &event), 1);
    assert_int_equal(event.type, TRESOR_EVENT_DONE);
    assert_int_equal(event.request.value, request.value);
    assert_int_equal(tresor_next_event(world.session.context, &event), 0);
    world.session.request_count--; /* its end was taken here */
    fake_world_close(&world);
}

/* The end that is taken out of its order takes them with it; others' stay. */
static void finishing(void **state)
{
    (void)state;
    for (int32_t discard = 0; discard < 2; discard++) {
        struct tresor_event event;
        start();
        struct tresor_request other =
            load(session_tensor(&world.session, 1), TRESOR_STRATEGY_READ, 1);
        struct tresor_request request =
            load(session_tensor(&world.session, 0), TRESOR_STRATEGY_READ, 1);
        assert_error(tresor_finish(world.session.context, request, discard, NULL), TRESOR_OK);
        world.session.request_count--;
        bool has_other = false;
        while (tresor_next_event(world.session.context, &event) == 1) {
            assert_int_equal(event.request.value, other.value);
            has_other = has_other || event.type == TRESOR_EVENT_PROGRESS;
            if (event.type == TRESOR_EVENT_DONE)
                world.session.request_count--;
        }
        session_settle(&world.session);
        assert_true(has_other);
        fake_world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside_one_tensor),
        cmocka_unit_test(of_many_tensors),
        cmocka_unit_test(bytes_beside_a_tensor),
        cmocka_unit_test(requests_that_share_a_tensor),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(failed),
        cmocka_unit_test(events_that_are_not_taken),
        cmocka_unit_test(finishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
