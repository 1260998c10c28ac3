/* SPDX-License-Identifier: MIT */
#include "report.h"

int64_t tensors_at(json_t *report, const char *key)
{
    return integer_at(json_object_get(report, "tensors"), key);
}

size_t error_count(json_t *report)
{
    json_t *errors = json_object_get(report, "errors");
    assert_true(json_is_array(errors));
    return json_array_size(errors);
}

const char *error_name(json_t *report, size_t index)
{
    json_t *error = json_array_get(json_object_get(report, "errors"), index);
    return json_string_value(json_object_get(error, "error"));
}

void check_keys(json_t *report)
{
    static const char *const keys[] = {
        "tensors", "bytes",        "seconds", "bytes_per_second", "strategy",
        "backend", "locked_bytes", "errors",  "machine",
    };
    const size_t key_count = sizeof keys / sizeof keys[0];
    assert_int_equal(json_object_size(report), key_count);
    for (size_t i = 0; i < key_count; i++)
        assert_non_null(json_object_get(report, keys[i]));
    json_t *machine = json_object_get(report, "machine");
    assert_true(integer_at(machine, "steps") > 0);
    assert_true(integer_at(machine, "events") >= 1);
}
