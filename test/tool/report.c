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

static double real_at(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_real(value));
    return json_real_value(value);
}

static void check_dispatch(json_t *dispatch)
{
    static const char *const rising[] = {"p50_us", "p99_us", "p999_us", "max_us"};
    assert_int_equal(json_object_size(dispatch), 6);
    assert_true(integer_at(dispatch, "calls") >= 0);
    assert_true(real_at(dispatch, rising[0]) >= 0);
    for (size_t i = 1; i < sizeof rising / sizeof rising[0]; i++)
        assert_true(real_at(dispatch, rising[i - 1]) <= real_at(dispatch, rising[i]));
    assert_true(real_at(dispatch, "max_cpu_us") >= 0);
    if (integer_at(dispatch, "calls") > 0)
        assert_true(real_at(dispatch, "max_us") > 0 && real_at(dispatch, "max_cpu_us") > 0);
    else
        assert_true(real_at(dispatch, "max_us") <= 0);
}

void check_keys(json_t *report)
{
    static const char *const keys[] = {
        "tensors",  "bytes",    "seconds", "bytes_per_second", "cpu_seconds",
        "strategy", "backend",  "direct",  "locked_bytes",     "cold",
        "dispatch", "degraded", "errors",  "machine",
    };
    const size_t key_count = sizeof keys / sizeof keys[0];
    assert_int_equal(json_object_size(report), key_count);
    for (size_t i = 0; i < key_count; i++)
        assert_non_null(json_object_get(report, keys[i]));
    json_t *machine = json_object_get(report, "machine");
    assert_true(integer_at(machine, "steps") > 0);
    assert_true(integer_at(machine, "events") >= 1);
    assert_true(json_is_boolean(json_object_get(report, "direct")));
    assert_true(json_is_array(json_object_get(report, "degraded")));
    assert_true(real_at(report, "cpu_seconds") >= 0);
    check_dispatch(json_object_get(report, "dispatch"));
}
