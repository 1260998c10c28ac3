/* SPDX-License-Identifier: MIT */
/* What must not be NULL is refused where it is: nothing is accepted, and nothing is lost. */
#include "support/test.h"

#include "support/fake_world.h"

static struct fake_world world;

static void refuse(int32_t code)
{
    assert_error(code, TRESOR_ERROR_INVALID);
}

static void items(void **state)
{
    struct tresor_item item = {0};
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_source source = world.session.source;
    uint32_t list[] = {0};
    refuse(tresor_item_of_source(context, source, NULL));
    refuse(tresor_item_of_tensor(context, source, 0, NULL));
    refuse(tresor_item_of_pattern(context, source, NULL, &item));
    refuse(tresor_item_of_pattern(context, source, "*", NULL));
    refuse(tresor_item_of_list(context, source, NULL, 1, &item));
    refuse(tresor_item_of_list(context, source, list, 1, NULL));
    refuse(tresor_item_get_tensor(context, session_all(&world.session), 0, NULL));
    assert_error(tresor_item_measure(context, session_all(&world.session), NULL, NULL), TRESOR_OK);
    fake_world_close(&world);
}

static void sources(void **state)
{
    struct tresor_source opened = {0};
    struct tresor_request request = {0};
    uint32_t index;
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_source source = world.session.source;
    const char *path = model_set_path(&world.set);
    refuse(tresor_source_get_info(context, source, NULL));
    refuse(tresor_source_get_file(context, source, 0, NULL));
    refuse(tresor_source_get_tensor(context, source, 0, NULL));
    refuse(tresor_source_get_metadata(context, source, 0, NULL));
    refuse(tresor_source_find_tensor(context, source, NULL, &index));
    refuse(tresor_source_find_tensor(context, source, "0", NULL));
    refuse(tresor_source_find_metadata(context, source, NULL, &index));
    refuse(tresor_source_find_metadata(context, source, "general.alignment", NULL));
    refuse(tresor_source_open(context, NULL, 0, &opened, &request));
    refuse(tresor_source_open(context, path, 0, NULL, &request));
    refuse(tresor_source_open(context, path, 0, &opened, NULL));
    refuse(tresor_source_close(context, source, 0, NULL));
    refuse(tresor_source_check(context, source, 0, NULL));
    fake_world_close(&world);
}

static void requests(void **state)
{
    struct tresor_request request = {0};
    uint8_t byte;
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_item item = session_tensor(&world.session, 0);
    struct tresor_counters before = fake_world_counters(&world);
    refuse(tresor_load(context, NULL, 1, NULL, &request));
    refuse(tresor_load(context, &item, 0, NULL, &request));
    refuse(tresor_load(context, &item, 1, NULL, NULL));
    refuse(tresor_evict(context, &item, 1, NULL, NULL));
    refuse(tresor_lock(context, &item, 1, NULL, NULL));
    refuse(tresor_unlock(context, &item, 1, NULL, NULL));
    refuse(tresor_advise(context, &item, 1, TRESOR_ADVICE_NORMAL, NULL, NULL));
    refuse(tresor_swap(context, NULL, 1, TRESOR_STRATEGY_READ, NULL, &request));
    refuse(tresor_swap(context, &item, 0, TRESOR_STRATEGY_READ, NULL, &request));
    refuse(tresor_swap(context, &item, 1, TRESOR_STRATEGY_READ, NULL, NULL));
    refuse(tresor_copy(context, item, 0, 1, NULL, NULL, &request));
    refuse(tresor_copy(context, item, 0, 1, &byte, NULL, NULL));
    struct tresor_counters after = fake_world_counters(&world);
    assert_memory_equal(&before, &after, sizeof before);
    fake_world_close(&world);
}

/* An event that there is no place for stays. */
static void answers(void **state)
{
    struct tresor_request request = {0};
    (void)state;
    refuse(tresor_context_create(NULL, NULL));
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    struct tresor_item item = session_tensor(&world.session, 0);
    refuse(tresor_get_counters(context, NULL));
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &request),
                 TRESOR_OK);
    while (tresor_dispatch(context) == 1)
        continue;
    refuse(tresor_next_event(context, NULL));
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    char line[8] = "before";
    assert_int_equal(tresor_error_format(context, NULL, NULL, 0), 0);
    assert_int_equal(tresor_error_format(context, NULL, line, sizeof line), 0);
    assert_string_equal(line, "");
    assert_int_equal(tresor_machine_info(0, NULL), 0);
    assert_int_equal(tresor_machine_state(0, 0, NULL), 0);
    for (uint32_t event = 0; tresor_machine_event(0, event); event++)
        assert_int_equal(tresor_machine_rule(0, 0, event, 0, NULL), 0);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items),
        cmocka_unit_test(sources),
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
