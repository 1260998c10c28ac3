/* SPDX-License-Identifier: MIT */
/* `tresor load --lock` by a user who may lock little. */
#include "report.h"

#include <string.h>

#define LOCKED_BYTES_MAX 65536

static const struct spawn_limits limits = {.locked_bytes_max = LOCKED_BYTES_MAX};

static json_t *load(const char *line)
{
    assert_int_equal(tool_limited(line, &limits), 0);
    json_t *report = json_loads(tool_result.output.bytes, 0, NULL);
    check_keys(report);
    return report;
}

static void check_refused(const char *line)
{
    json_t *report = load(line);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_int_equal(tensors_at(report, "failed"), 0);
    assert_true(integer_at(report, "locked_bytes") <= LOCKED_BYTES_MAX);
    assert_true(error_count(report) > 0);
    assert_string_equal(error_name(report, 0), "LOCK_LIMIT");
    json_t *error = json_array_get(json_object_get(report, "errors"), 0);
    assert_true(json_is_string(json_object_get(error, "tensor")));
    assert_non_null(strstr(tool_result.errors.bytes, "LOCK_LIMIT"));
    assert_non_null(strstr(tool_result.errors.bytes, "warning"));
    json_decref(report);
}

static void refused_locks_leave_the_load(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    check_refused("load --json --lock m.gguf");
    check_refused("load --json --lock --strategy read m.gguf");
}

static void locks_are_counted(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 16K --tensors 3 m.gguf"), 0);
    json_t *report = load("load --json --lock m.gguf");
    assert_int_equal(error_count(report), 0);
    assert_in_range(integer_at(report, "locked_bytes"), integer_at(report, "bytes"),
                    LOCKED_BYTES_MAX);
    json_decref(report);
    assert_int_equal(tool_limited("load --lock m.gguf", &limits), 0);
    assert_non_null(strstr(tool_result.output.bytes, "locked: 3 of 3 tensors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(refused_locks_leave_the_load),
        IN_FOLDER(locks_are_counted),
    };
#ifdef TEST_ADDRESS_SANITIZER
    return skip_program("the address sanitizer replaces mlock by nothing");
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
