/* SPDX-License-Identifier: MIT */
/* A context belongs to the thread that first dispatches: another one gets THREAD from every call but those for any
 * thread, and changes nothing. */
#include "support/test.h"

#include <pthread.h>

#include "support/fake_world.h"

enum { CALLS_MAX = 64 };

static struct fake_world world;

static struct {
    const char *name;
    int32_t code;
} calls[CALLS_MAX];

static uint32_t call_count;

#define CALL(function, ...)                                                                        \
    calls[call_count].name = #function;                                                            \
    calls[call_count++].code = function(__VA_ARGS__)

static void call_the_loop(struct tresor_context *context, struct tresor_request request)
{
    struct tresor_event event;
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    CALL(tresor_dispatch, context);
    CALL(tresor_next_event, context, &event);
    CALL(tresor_wait, context, 0);
    CALL(tresor_wait, context, -1);
    CALL(tresor_get_fd, context);
    CALL(tresor_set_backend, context, TRESOR_BACKEND_SYNC);
    CALL(tresor_finish, context, request, 1, &event);
    CALL(tresor_cancel, context, request);
    CALL(tresor_get_counters, context, &counters);
    CALL(tresor_context_destroy, context);
}

static void call_the_source(struct tresor_context *context, struct tresor_source source)
{
    struct tresor_source opened;
    struct tresor_request request;
    struct tresor_source_info info = {.size_bytes = sizeof info};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_metadata_info metadata = {.size_bytes = sizeof metadata};
    uint32_t index;
    CALL(tresor_source_open, context, model_set_path(&world.set), 0, &opened, &request);
    CALL(tresor_source_close, context, source, 0, &request);
    CALL(tresor_source_check, context, source, 0, &request);
    CALL(tresor_source_get_info, context, source, &info);
    CALL(tresor_source_get_file, context, source, 0, &file);
    CALL(tresor_source_get_tensor, context, source, 0, &tensor);
    CALL(tresor_source_get_metadata, context, source, 0, &metadata);
    CALL(tresor_source_find_tensor, context, source, "0", &index);
    CALL(tresor_source_find_metadata, context, source, "general.alignment", &index);
}

static void call_the_items(struct tresor_context *context, struct tresor_source source,
                           struct tresor_item item)
{
    static uint8_t destination[1];
    const uint32_t list[] = {0};
    struct tresor_request request;
    struct tresor_item made;
    uint32_t tensor;
    CALL(tresor_item_of_source, context, source, &made);
    CALL(tresor_item_of_tensor, context, source, 0, &made);
    CALL(tresor_item_of_pattern, context, source, "*", &made);
    CALL(tresor_item_of_list, context, source, list, 1, &made);
    CALL(tresor_item_measure, context, item, NULL, NULL);
    CALL(tresor_item_get_tensor, context, item, 0, &tensor);
    CALL(tresor_load, context, &item, 1, NULL, &request);
    CALL(tresor_evict, context, &item, 1, NULL, &request);
    CALL(tresor_lock, context, &item, 1, NULL, &request);
    CALL(tresor_unlock, context, &item, 1, NULL, &request);
    CALL(tresor_advise, context, &item, 1, TRESOR_ADVICE_NORMAL, NULL, &request);
    CALL(tresor_swap, context, &item, 1, TRESOR_STRATEGY_READ, NULL, &request);
    CALL(tresor_set_strategy, context, TRESOR_STRATEGY_READ);
    CALL(tresor_stream, context, &item, 1, NULL, &request);
    CALL(tresor_copy, context, item, 0, 1, destination, NULL, &request);
}

static void call_the_budget(struct tresor_context *context, struct tresor_item item, struct tresor_request request)
{
    struct tresor_request made;
    struct tresor_plan_info info = {.size_bytes = sizeof info};
    CALL(tresor_budget, context, 1, NULL, &made);
    CALL(tresor_set_policy, context, TRESOR_POLICY_PRIORITY);
    CALL(tresor_set_priority, context, item, 1);
    CALL(tresor_reset_priority, context, item);
    CALL(tresor_plan, context, &item, 1, NULL, &made);
    CALL(tresor_plan_seek, context, request, 0);
    CALL(tresor_plan_get_info, context, request, &info);
}

static void call_the_slices(struct tresor_context *context, struct tresor_source source, struct tresor_item item)
{
    const uint32_t list[] = {0};
    struct tresor_slice_info slice = {.size_bytes = sizeof slice};
    struct tresor_choice choice;
    struct tresor_item made;
    uint32_t index;
    CALL(tresor_split, context, source, list, 1);
    CALL(tresor_split_pattern, context, source, "*");
    CALL(tresor_source_get_slice, context, source, 0, 0, &slice);
    CALL(tresor_item_of_slice, context, source, 0, 0, &made);
    CALL(tresor_item_of_items, context, &item, 1, &made);
    CALL(tresor_item_get_piece, context, item, 0, &index, NULL);
    CALL(tresor_get_choice, context, item, &choice);
}

static void *call_all(void *request)
{
    struct tresor_context *context = world.session.context;
    call_the_loop(context, *(struct tresor_request *)request);
    call_the_source(context, world.session.source);
    struct tresor_item item = {world.session.items[0].item.value};
    call_the_items(context, world.session.source, item);
    call_the_budget(context, item, *(struct tresor_request *)request);
    call_the_slices(context, world.session.source, item);
    return NULL;
}

static void another_thread_is_refused(void **state)
{
    struct tresor_request request;
    pthread_t thread;
    (void)state;
    fake_world_open(&world);
    struct tresor_item all = session_all(&world.session);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_true(world.session.item_count > 0);
    assert_error(session_submit(&world.session, TRESOR_VERB_EVICT, &all, 1, 0, &request),
                 TRESOR_OK);
    struct tresor_counters before = fake_world_counters(&world);
    assert_int_equal(pthread_create(&thread, NULL, call_all, &request), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (uint32_t i = 0; i < call_count; i++)
        if (calls[i].code != TRESOR_ERROR_THREAD)
            fail_msg("%s answered %s", calls[i].name, tresor_error_name(calls[i].code));
    assert_int_equal(call_count, 48);
    struct tresor_counters after = fake_world_counters(&world);
    assert_memory_equal(&before, &after, sizeof before);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_thread_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
