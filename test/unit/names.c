/* SPDX-License-Identifier: MIT */
/* What is found by its name, and what things are called. */
#include "support/test.h"

#include <string.h>

#include "core/effect.h"
#include "support/fake_world.h"

static struct fake_world world;

struct naming {
    const char *(*name)(uint32_t value);
    const char *const *names; /* of the values from the first on */
    uint32_t count;
    const char *other; /* of all others */
};

static void numbers_have_names(void **state)
{
    static const char *const strategies[] = {"default", "mmap", "read"};
    static const char *const policies[] = {"default", "lru", "lfru", "priority"};
    static const char *const reasons[] = {"none", "default", "request", "resident", "strategy",
                                          "size", "system",  "source"};
    static const char *const degradations[] = {"unknown", "backend", "direct", "readahead", "numa", "pressure"};
    static const char *const verbs[] = {"UNKNOWN", "OPEN",   "CLOSE",  "LOAD",   "COPY", "EVICT", "LOCK",
                                        "UNLOCK",  "ADVISE", "STREAM", "BUDGET", "PLAN", "SWAP",  "CHECK",
                                        "DIGEST"};
    static const struct naming namings[] = {
        {tresor_strategy_name, strategies, 3, "unknown"}, {tresor_policy_name, policies, 4, "unknown"},
        {tresor_reason_name, reasons, 8, "unknown"},      {tresor_degradation_name, degradations, 6, "unknown"},
        {tresor_verb_name, verbs, 15, "UNKNOWN"},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof namings / sizeof namings[0]; i++) {
        const struct naming *naming = &namings[i];
        for (uint32_t value = 0; value < naming->count; value++)
            assert_string_equal(naming->name(value), naming->names[value]);
        assert_string_equal(naming->name(naming->count), naming->other);
        assert_string_equal(naming->name(UINT32_MAX), naming->other);
    }
}

static void the_version_is_that_of_the_headers(void **state)
{
    char version[32];
    (void)state;
    snprintf(version, sizeof version, "%d.%d.%d", TRESOR_VERSION_MAJOR, TRESOR_VERSION_MINOR, TRESOR_VERSION_PATCH);
    assert_string_equal(tresor_version(), version);
}

static void effects_have_names(void **state)
{
    (void)state;
    assert_string_equal(tresor__effect_name(TRESOR__EFFECT_OPEN), "OPEN");
    assert_string_equal(tresor__effect_name(TRESOR__EFFECT_COUNT - 1), "SEAL");
    assert_string_equal(tresor__effect_name(TRESOR__EFFECT_COUNT), "UNKNOWN");
}

/* Up to the last of each, and nothing behind it. */
static void tables_end(void **state)
{
    struct tresor_machine_info machine;
    struct tresor_state_info found;
    struct tresor_rule_info rule;
    const uint32_t machines = tresor_machine_count();
    (void)state;
    assert_int_equal(machines, TRESOR__MACHINE_COUNT);
    assert_int_equal(tresor_machine_info(machines, &machine), 0);
    assert_int_equal(tresor_machine_state(machines, 0, &found), 0);
    assert_int_equal(tresor_machine_rule(machines, 0, 0, 0, &rule), 0);
    assert_null(tresor_machine_event(machines, 0));
    for (uint32_t i = 0; i < machines; i++) {
        assert_int_equal(tresor_machine_info(i, &machine), 1);
        assert_int_equal(tresor_machine_state(i, machine.state_count - 1, &found), 1);
        assert_int_equal(tresor_machine_state(i, machine.state_count, &found), 0);
        assert_non_null(tresor_machine_event(i, machine.event_count - 1));
        assert_null(tresor_machine_event(i, machine.event_count));
        assert_int_equal(tresor_machine_rule(i, machine.state_count, 0, 0, &rule), 0);
        assert_int_equal(tresor_machine_rule(i, 0, machine.event_count, 0, &rule), 0);
        assert_int_equal(tresor_machine_rule(i, 0, 0, 1000, &rule), 0);
    }
}

/* Each tensor and value by its name, and no other. */
static void tensors_and_values_are_found(void **state)
{
    struct tresor_source_info source = {.size_bytes = sizeof source};
    uint32_t found = 7;
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    assert_error(tresor_source_get_info(context, world.session.source, &source), TRESOR_OK);
    assert_true(source.metadata_count > 0);
    for (uint32_t i = 0; i < FAKE_TENSORS; i++) {
        assert_error(
            tresor_source_find_tensor(context, world.session.source, fake_world_tensor(&world, i).name, &found),
            TRESOR_OK);
        assert_int_equal(found, i);
    }
    for (uint32_t i = 0; i < source.metadata_count; i++) {
        struct tresor_metadata_info metadata = {.size_bytes = sizeof metadata};
        assert_error(tresor_source_get_metadata(context, world.session.source, i, &metadata), TRESOR_OK);
        assert_error(tresor_source_find_metadata(context, world.session.source, metadata.key, &found), TRESOR_OK);
        assert_int_equal(found, i);
    }
    found = 7;
    assert_error(tresor_source_find_tensor(context, world.session.source, "none", &found), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_source_find_tensor(context, world.session.source, "", &found), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_source_find_metadata(context, world.session.source, "none", &found), TRESOR_ERROR_NOT_FOUND);
    assert_int_equal(found, 7);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_names),
        cmocka_unit_test(the_version_is_that_of_the_headers),
        cmocka_unit_test(effects_have_names),
        cmocka_unit_test(tables_end),
        cmocka_unit_test(tensors_and_values_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
