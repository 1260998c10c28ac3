/* SPDX-License-Identifier: MIT */
/* Numbers, flags and handles that cannot be meant, and pools and counts that are at their most: refused without a trace. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "support/fake_world.h"

enum {
    SLICES = 65536,   /* of one tensor, so that as many items are more pieces than can be counted */
    MANY = SLICES + 1,
    NO_SUCH = 1000,
};

static struct fake_world world;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static void refuse(int32_t code)
{
    assert_error(code, TRESOR_ERROR_INVALID);
}

static void must_be_as_before(const struct tresor_counters *before)
{
    struct tresor_counters after = fake_world_counters(&world);
    assert_memory_equal(before, &after, sizeof after);
}

static void numbers(void **state)
{
    struct tresor_file_info file = {.size_bytes = sizeof file};
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_metadata_info metadata = {.size_bytes = sizeof metadata};
    struct tresor_slice_info slice = {.size_bytes = sizeof slice};
    struct tresor_choice choice;
    struct tresor_request request = {0};
    struct tresor_item made = {0};
    const uint32_t list[] = {0, NO_SUCH};
    uint32_t index = 7;
    (void)state;
    fake_world_open(&world);
    struct tresor_source source = world.session.source;
    struct tresor_item item = session_tensor(&world.session, 0);
    struct tresor_counters before = fake_world_counters(&world);
    refuse(tresor_set_policy(context(), TRESOR_POLICY_PRIORITY + 1));
    refuse(tresor_set_strategy(context(), TRESOR_STRATEGY_READ + 1));
    refuse(tresor_advise(context(), &item, 1, TRESOR_ADVICE_DONTNEED + 1, NULL, &request));
    refuse(tresor_swap(context(), &item, 1, TRESOR_STRATEGY_READ + 1, NULL, &request));
    refuse(tresor_source_get_file(context(), source, 1, &file));
    refuse(tresor_source_get_tensor(context(), source, NO_SUCH, &tensor));
    refuse(tresor_source_get_metadata(context(), source, NO_SUCH, &metadata));
    refuse(tresor_source_get_slice(context(), source, 0, 0, &slice)); /* is not split */
    refuse(tresor_item_of_tensor(context(), source, NO_SUCH, &made));
    refuse(tresor_item_of_slice(context(), source, NO_SUCH, 0, &made));
    refuse(tresor_item_of_list(context(), source, list, 2, &made));
    refuse(tresor_item_get_tensor(context(), item, 1, &index));
    refuse(tresor_item_get_piece(context(), item, 1, &index, NULL));
    refuse(tresor_get_choice(context(), session_all(&world.session), &choice));
    refuse(tresor_split(context(), source, NULL, 1));
    refuse(tresor_split_pattern(context(), source, NULL));
    assert_int_equal(index, 7);
    assert_int_equal(made.value, 0);
    assert_int_equal(request.value, 0);
    must_be_as_before(&before);
    fake_world_close(&world);
}

static void missing_places(void **state)
{
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    struct tresor_request plan = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, 0);
    refuse(tresor_budget(context(), 0, NULL, NULL));
    refuse(tresor_plan(context(), &item, 1, NULL, NULL));
    refuse(tresor_get_choice(context(), item, NULL));
    refuse(tresor_item_of_items(context(), &item, 1, NULL));
    assert_error(session_note(&world.session, tresor_plan(context(), &item, 1, NULL, &plan), plan), TRESOR_OK);
    refuse(tresor_plan_get_info(context(), plan, NULL));
    info.size_bytes = 1;
    refuse(tresor_plan_get_info(context(), plan, &info));
    assert_error(tresor_cancel(context(), plan), TRESOR_OK);
    session_finish(&world.session, plan, NULL);
    fake_world_close(&world);
}

static int32_t load(struct tresor_request_options options)
{
    struct tresor_request request = {0};
    struct tresor_item item = session_tensor(&world.session, 0);
    options.size_bytes = sizeof options;
    return tresor_load(context(), &item, 1, &options, &request);
}

static int32_t plan(struct tresor_plan_options options)
{
    struct tresor_request request = {0};
    struct tresor_item item = session_tensor(&world.session, 0);
    options.size_bytes = sizeof options;
    return tresor_plan(context(), &item, 1, &options, &request);
}

static void options(void **state)
{
    const struct tresor_request_options pins = {.size_bytes = sizeof pins, .flags = TRESOR_REQUEST_PIN};
    struct tresor_request request = {0};
    uint8_t byte;
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, 0);
    struct tresor_counters before = fake_world_counters(&world);
    refuse(load((struct tresor_request_options){.flags = UINT32_C(1) << 31}));
    refuse(load((struct tresor_request_options){.strategy = TRESOR_STRATEGY_READ + 1}));
    refuse(load((struct tresor_request_options){.urgency = TRESOR_URGENCY_URGENT + 1}));
    refuse(load((struct tresor_request_options){.reserved = 1}));
    refuse(plan((struct tresor_plan_options){.flags = UINT32_C(1) << 31}));
    refuse(plan((struct tresor_plan_options){.strategy = TRESOR_STRATEGY_READ + 1}));
    /* Only a load hands over pins. */
    refuse(tresor_evict(context(), &item, 1, &pins, &request));
    refuse(tresor_lock(context(), &item, 1, &pins, &request));
    refuse(tresor_swap(context(), &item, 1, TRESOR_STRATEGY_READ, &pins, &request));
    refuse(tresor_budget(context(), 0, &pins, &request));
    refuse(tresor_copy(context(), item, 0, 1, &byte, &pins, &request));
    must_be_as_before(&before);
    fake_world_close(&world);
}

static int32_t copy(struct tresor_item item, uint64_t offset, uint64_t length)
{
    static uint8_t destination[8192];
    struct tresor_request request = {0};
    int32_t code = tresor_copy(context(), item, offset, length, destination, NULL, &request);
    session_note(&world.session, code, request);
    return code == TRESOR_OK ? session_finish(&world.session, request, NULL) : code;
}

/* Up to the end, and nothing at the end, is within. */
static void ranges_of_copies(void **state)
{
    struct tresor_request request = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, 0);
    uint64_t size = fake_world_tensors[0].size_bytes;
    assert_error(copy(item, 0, size), TRESOR_OK);
    assert_error(copy(item, size, 0), TRESOR_OK);
    refuse(copy(item, 0, size + 1));
    refuse(copy(item, 1, size));
    refuse(copy(item, size + 1, 0));
    refuse(copy(item, 1, UINT64_MAX));
    refuse(copy(session_all(&world.session), 0, 1));
    assert_error(session_note(&world.session, tresor_copy(context(), item, 5, 0, NULL, NULL, &request), request),
                 TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    fake_world_close(&world);
}

/* Handles of another kind, of no place, and of nothing. */
static void handles(void **state)
{
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    struct tresor_request request = {0};
    struct tresor_item made = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_source source = world.session.source;
    struct tresor_item all = session_all(&world.session);
    const uint64_t generation = tresor__handle_generation(source.value);
    const uint64_t values[] = {
        0,
        UINT64_MAX,
        source.value,
        all.value + 1,
        tresor__handle_make(TRESOR__KIND_ITEM_SOURCE, NO_SUCH, (uint32_t)generation),
        tresor__handle_of_item(TRESOR__KIND_ITEM_TENSOR, 0, NO_SUCH, (uint32_t)generation),
        tresor__handle_of_item(TRESOR__KIND_ITEM_TENSOR, 1, 0, (uint32_t)generation),
        tresor__handle_of_item(TRESOR__KIND_ITEM_SLICE, 0, NO_SUCH, (uint32_t)generation),
        tresor__handle_of_item(TRESOR__KIND_ITEM_GROUP, 0, 0, (uint32_t)generation),
        tresor__handle_of_item(TRESOR__KIND_ITEM_GROUP, 0, TRESOR__GROUPS_MAX, (uint32_t)generation),
    };
    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct tresor_item item = {values[i]};
        assert_error(tresor_load(context(), &item, 1, NULL, &request), TRESOR_ERROR_STALE);
        assert_error(tresor_acquire(context(), item, NULL), TRESOR_ERROR_STALE);
        assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_STALE);
        assert_error(tresor_release(context(), item), TRESOR_ERROR_STALE);
        assert_error(tresor_set_priority(context(), item, 1), TRESOR_ERROR_STALE);
        assert_error(tresor_item_of_items(context(), &item, 1, &made), TRESOR_ERROR_STALE);
        assert_error(tresor_chunk_return(context(), (struct tresor_stage){values[i]}), TRESOR_ERROR_STALE);
        assert_error(tresor_cancel(context(), (struct tresor_request){values[i]}), TRESOR_ERROR_STALE);
        assert_error(tresor_plan_get_info(context(), (struct tresor_request){values[i]}, &info), TRESOR_ERROR_STALE);
    }
    struct tresor_item forged = {tresor__handle_of_item(TRESOR__KIND_ITEM_SLICE, 0, 0, (uint32_t)generation)};
    assert_error(tresor_load(context(), &forged, 1, NULL, &request), TRESOR_ERROR_STALE);
    source.value = all.value;
    assert_error(tresor_source_get_tensor(context(), source, 0, &tensor), TRESOR_ERROR_STALE);
    assert_error(tresor_source_check(context(), source, 0, &request), TRESOR_ERROR_STALE);
    source.value = tresor__handle_make(TRESOR__KIND_SOURCE, NO_SUCH, (uint32_t)generation);
    assert_error(tresor_source_get_tensor(context(), source, 0, &tensor), TRESOR_ERROR_STALE);
    fake_world_close(&world);
}

/* A plan's request is no plan once it has ended, and others never are. */
static void requests_that_are_no_plans(void **state)
{
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    struct tresor_request request;
    (void)state;
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &request), TRESOR_OK);
    assert_error(tresor_plan_get_info(context(), request, &info), TRESOR_ERROR_STALE);
    assert_error(tresor_plan_seek(context(), request, 0), TRESOR_ERROR_STALE);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    fake_world_close(&world);
}

static void items_of_two_sources(void **state)
{
    struct tresor_request request = {0};
    struct tresor_item made = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_source first = world.session.source;
    struct tresor_item items[2] = {session_tensor(&world.session, 0)};
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    items[1] = session_tensor(&world.session, 0);
    refuse(tresor_load(context(), items, 2, NULL, &request));
    refuse(tresor_plan(context(), items, 2, NULL, &request));
    refuse(tresor_item_of_items(context(), items, 2, &made));
    assert_error(session_close(&world.session), TRESOR_OK);
    world.session.source = first;
    fake_world_close(&world);
}

static void no_request_is_left(void **state)
{
    struct tresor_request first;
    struct tresor_request request = {0};
    uint8_t byte;
    (void)state;
    fake_world_init(&world);
    world.options.requests_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &first), TRESOR_OK);
    assert_error(tresor_budget(context(), 0, NULL, &request), TRESOR_ERROR_AGAIN);
    assert_error(tresor_plan(context(), &item, 1, NULL, &request), TRESOR_ERROR_AGAIN);
    assert_error(tresor_copy(context(), item, 0, 1, &byte, NULL, &request), TRESOR_ERROR_AGAIN);
    assert_error(tresor_evict(context(), &item, 1, NULL, &request), TRESOR_ERROR_AGAIN);
    assert_error(tresor_source_check(context(), world.session.source, 0, &request), TRESOR_ERROR_AGAIN);
    assert_error(session_finish(&world.session, first, NULL), TRESOR_OK);
    fake_world_close(&world);
}

/* Also where their counts cannot be had in 32 bits, or are none. */
static void plans_that_cannot_be(void **state)
{
    struct tresor_request requests[TRESOR__PLANS_MAX];
    struct tresor_request request = {0};
    struct tresor_item nothing;
    static const struct model_tensor tensors[TRESOR__PLANS_MAX + 1] = {
        {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false},
        {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false},
        {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false},
        {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false}, {64, MODEL_NEXT, false},
        {64, MODEL_NEXT, false}};
    (void)state;
    fake_world_init(&world);
    world.options.requests_max = 2 * TRESOR__PLANS_MAX;
    fake_world_start(&world, tensors, TRESOR__PLANS_MAX + 1);
    assert_error(tresor_item_of_list(context(), world.session.source, NULL, 0, &nothing), TRESOR_OK);
    refuse(tresor_plan(context(), &nothing, 1, NULL, &request));
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++) {
        struct tresor_item item = session_tensor(&world.session, i);
        int32_t code = tresor_plan(context(), &item, 1, NULL, &requests[i]);
        assert_error(session_note(&world.session, code, requests[i]), TRESOR_OK);
    }
    struct tresor_item last = session_tensor(&world.session, TRESOR__PLANS_MAX);
    assert_error(tresor_plan(context(), &last, 1, NULL, &request), TRESOR_ERROR_LIMIT);
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++) {
        assert_error(tresor_cancel(context(), requests[i]), TRESOR_OK);
        session_finish(&world.session, requests[i], NULL);
    }
    fake_world_close(&world);
}

static void start_sliced(void)
{
    static const struct model_tensor tensor = {SLICES * 4, MODEL_NEXT, false};
    static const uint32_t slices = SLICES;
    fake_world_init(&world);
    world.options.items_max = 2 * SLICES;
    model_set_make_sliced(&world.set, "/fake", &tensor, &slices, 1);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

/* As many items of as many pieces as cannot be counted any more. */
static void more_pieces_than_can_be_counted(void **state)
{
    static uint32_t list[MANY]; /* of the first tensor, again and again */
    struct tresor_request request = {0};
    struct tresor_item made = {0};
    (void)state;
    start_sliced();
    struct tresor_item *items = calloc(MANY, sizeof *items);
    assert_non_null(items);
    assert_error(tresor_split_pattern(context(), world.session.source, "*"), TRESOR_OK);
    for (uint32_t i = 0; i < MANY; i++)
        items[i] = session_all(&world.session);
    struct tresor_counters before = fake_world_counters(&world);
    assert_error(tresor_load(context(), items, MANY, NULL, &request), TRESOR_ERROR_LIMIT);
    assert_error(tresor_plan(context(), items, MANY, NULL, &request), TRESOR_ERROR_LIMIT);
    assert_error(tresor_item_of_items(context(), items, MANY, &made), TRESOR_ERROR_LIMIT);
    assert_error(tresor_item_of_list(context(), world.session.source, list, MANY, &made), TRESOR_ERROR_LIMIT);
    assert_int_equal(made.value, 0);
    must_be_as_before(&before);
    free(items);
    fake_world_close(&world);
}

/* A group that would have so many when its tensor is split, which it is not then. */
static void a_split_of_too_many_pieces(void **state)
{
    static uint32_t list[MANY];
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_item made = {0};
    uint32_t count = 0;
    (void)state;
    start_sliced();
    assert_error(tresor_item_of_list(context(), world.session.source, list, MANY, &made), TRESOR_OK);
    assert_error(tresor_split(context(), world.session.source, list, 1), TRESOR_ERROR_LIMIT);
    assert_error(tresor_source_get_tensor(context(), world.session.source, 0, &tensor), TRESOR_OK);
    assert_int_equal(tensor.slice_count, 0);
    assert_error(tresor_item_measure(context(), made, &count, NULL), TRESOR_OK);
    assert_int_equal(count, MANY);
    fake_world_close(&world);
}

static void no_group_is_left(void **state)
{
    const uint32_t list[] = {1, 0};
    struct tresor_item made = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_source source = world.session.source;
    struct tresor_item item = session_tensor(&world.session, 0);
    for (uint32_t i = 0; i < TRESOR__GROUPS_MAX; i++)
        assert_error(tresor_item_of_list(context(), source, list, 2, &made), TRESOR_OK);
    struct tresor_item last = made;
    assert_error(tresor_item_of_list(context(), source, list, 2, &made), TRESOR_ERROR_LIMIT);
    assert_error(tresor_item_of_pattern(context(), source, "*", &made), TRESOR_ERROR_LIMIT);
    assert_error(tresor_item_of_items(context(), &item, 1, &made), TRESOR_ERROR_LIMIT);
    assert_int_equal(made.value, last.value);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, last, 0), TRESOR_OK);
    fake_world_must_have(&world, 2);
    fake_world_close(&world);
}

static void start_empty(void)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 0);
    fake_world_init(&world);
    world.set.part_count = 1;
    snprintf(world.set.parts[0].path, MODEL_PATH_BYTES, "/empty");
    world.set.parts[0].bytes = bytes;
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, "/empty"), TRESOR_OK);
}

static void a_model_without_tensors_has_nothing_to_choose(void **state)
{
    struct tresor_item made = {0};
    (void)state;
    start_empty();
    assert_error(tresor_split_pattern(context(), world.session.source, "*"), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_item_of_pattern(context(), world.session.source, "*", &made), TRESOR_ERROR_NOT_FOUND);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session), 0), TRESOR_OK);
    refuse(tresor_acquire(context(), session_all(&world.session), NULL)); /* whose address would it be? */
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(missing_places),
        cmocka_unit_test(options),
        cmocka_unit_test(ranges_of_copies),
        cmocka_unit_test(handles),
        cmocka_unit_test(requests_that_are_no_plans),
        cmocka_unit_test(items_of_two_sources),
        cmocka_unit_test(no_request_is_left),
        cmocka_unit_test(plans_that_cannot_be),
        cmocka_unit_test(more_pieces_than_can_be_counted),
        cmocka_unit_test(a_split_of_too_many_pieces),
        cmocka_unit_test(no_group_is_left),
        cmocka_unit_test(a_model_without_tensors_has_nothing_to_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
