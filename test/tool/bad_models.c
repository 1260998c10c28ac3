/* SPDX-License-Identifier: MIT */
/* What is no good model: every command that reads models says why, in one line, and ends with 3. */
#include "harness.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const commands[] = {
    "inspect", "inspect --json", "load", "load --strategy read --lock",
#ifdef TEST_HASH
    "hash",
#endif
};
static const size_t command_count = sizeof commands / sizeof commands[0];

static const struct spawn_limits no_rights = {.locked_bytes_max = SPAWN_NO_LIMIT};

static size_t count_lines(const struct spawn_text *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->length; i++)
        count += text->bytes[i] == '\n';
    return count;
}

static void check_errors(const char *line, const char *path, int32_t code)
{
    const char *errors = tool_result.errors.bytes;
    if (tool_result.exit_code != 3 || count_lines(&tool_result.errors) != 1 ||
        !strstr(errors, tresor_error_name(code)) || !strstr(errors, tresor_error_text(code)) ||
        !strstr(errors, tresor_error_advice(code)) || !strstr(errors, path))
        fail_msg("'%s' gave %d: %s", line, tool_result.exit_code, errors);
}

static void assert_zero(json_t *object, const char *key)
{
    assert_true(json_number_value(json_object_get(object, key)) == 0);
}

/** The report of a load that could not begin has the shape of any other. */
static void check_report(const char *line, int32_t code)
{
    json_t *report = json_loadb(tool_result.output.bytes, tool_result.output.length, 0, NULL);
    if (!report)
        fail_msg("'%s' printed %s", line, tool_result.output.bytes);
    json_t *tensors = json_object_get(report, "tensors");
    json_t *errors = json_object_get(report, "errors");
    assert_int_equal(json_object_size(tensors), 3);
    assert_zero(tensors, "requested");
    assert_zero(tensors, "loaded");
    assert_zero(tensors, "failed");
    assert_zero(report, "bytes");
    assert_zero(report, "seconds");
    assert_zero(report, "bytes_per_second");
    assert_zero(report, "locked_bytes");
    assert_string_equal(json_string_value(json_object_get(report, "strategy")), "mmap");
    assert_string_equal(json_string_value(json_object_get(report, "backend")), "sync");
    assert_int_equal(json_array_size(errors), 1);
    json_t *error = json_array_get(errors, 0);
    assert_true(json_is_null(json_object_get(error, "tensor")));
    assert_string_equal(json_string_value(json_object_get(error, "error")),
                        tresor_error_name(code));
    assert_non_null(
        strstr(json_string_value(json_object_get(error, "text")), tresor_error_text(code)));
    json_decref(report);
}

/** Every command refuses `path` with `code`, in a line that names `named`. */
static void check_refused(const char *path, const char *named, int32_t code,
                          const struct spawn_limits *limits)
{
    char line[128];
    for (size_t i = 0; i < command_count; i++) {
        snprintf(line, sizeof line, "%s %s", commands[i], path);
        tool_limited(line, limits);
        check_errors(line, named, code);
        assert_int_equal(tool_result.output.length, 0);
    }
    snprintf(line, sizeof line, "load --backend sync --json %s", path);
    tool_limited(line, limits);
    check_errors(line, named, code);
    check_report(line, code);
}

static void no_file_is_not_found(void **state)
{
    (void)state;
    check_refused("missing.gguf", "missing.gguf", TRESOR_ERROR_NOT_FOUND, NULL);
    check_refused("missing/missing.gguf", "missing.gguf", TRESOR_ERROR_NOT_FOUND, NULL);
    tool("load --json missing.gguf");
    assert_non_null(strstr(tool_result.output.bytes, "\"ENOENT\""));
}

static void what_is_not_a_file_is_refused_at_once(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder.gguf", 0755), 0);
    assert_int_equal(mkfifo("pipe.gguf", 0644), 0);
    check_refused("folder.gguf", "folder.gguf", TRESOR_ERROR_NOT_REGULAR, NULL);
    check_refused("pipe.gguf", "pipe.gguf", TRESOR_ERROR_NOT_REGULAR, NULL);
    check_refused("/dev/null", "/dev/null", TRESOR_ERROR_NOT_REGULAR, NULL);
}

static void file_that_may_not_be_read_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64K mine.gguf"), 0);
    assert_int_equal(chmod("mine.gguf", 0), 0);
    check_refused("mine.gguf", "mine.gguf", TRESOR_ERROR_PERMISSION, &no_rights);
    assert_int_equal(chmod("mine.gguf", 0644), 0);
    assert_int_equal(tool_limited("inspect mine.gguf", &no_rights), 0);
}

static void what_is_no_model_is_told(void **state)
{
    (void)state;
    struct bytes noise = {0};
    for (uint32_t i = 0; i < 1000; i++)
        bytes_put_u32(&noise, 0x9E3779B9u * (i + 1));
    write_file("noise.gguf", &noise);
    check_refused("noise.gguf", "noise.gguf", TRESOR_ERROR_FORMAT, NULL);
    bytes_free(&noise);

    struct bytes future = {0};
    gguf_put_header(&future, 99, 0, 0);
    bytes_pad(&future, 4096);
    write_file("future.gguf", &future);
    check_refused("future.gguf", "future.gguf", TRESOR_ERROR_VERSION, NULL);
    bytes_free(&future);
}

static void check_cut(const char *path)
{
    struct bytes whole = read_file(path);
    const size_t sizes_bytes[] = {0, 20, 500, whole.size / 2, whole.size - 64};
    for (size_t i = 0; i < sizeof sizes_bytes / sizeof sizes_bytes[0]; i++) {
        const struct bytes part = {.data = whole.data, .size = sizes_bytes[i]};
        write_file("cut", &part);
        check_refused("cut", "cut", TRESOR_ERROR_TRUNCATED, NULL);
    }
    bytes_free(&whole);
}

static void file_that_ends_early_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 256K whole.gguf"), 0);
    check_cut("whole.gguf");
#ifdef TEST_SAFETENSORS
    assert_int_equal(tool("generate --size 256K whole.safetensors"), 0);
    check_cut("whole.safetensors");
#endif
}

static void shard_that_is_missing_is_named(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 256K --shards 3 out.gguf"), 0);
    assert_int_equal(unlink("out-00002-of-00003.gguf"), 0);
    check_refused("out-00001-of-00003.gguf", "out-00002-of-00003.gguf", TRESOR_ERROR_SHARD, NULL);
    check_refused("out-00003-of-00003.gguf", "out-00002-of-00003.gguf", TRESOR_ERROR_SHARD, NULL);
#ifdef TEST_SAFETENSORS
    assert_int_equal(tool("generate --size 256K --shards 3 out.safetensors"), 0);
    assert_int_equal(unlink("out-00003-of-00003.safetensors"), 0);
    check_refused("out.safetensors.index.json", "out-00003-of-00003.safetensors",
                  TRESOR_ERROR_SHARD, NULL);
#endif
}

static void bad_usage_says_how_to_get_help(void **state)
{
    (void)state;
    static const char *const endings[] = {
        "", " ok.gguf ok.gguf", " --frobnicate ok.gguf", " -x ok.gguf", " ok.gguf --frobnicate=1",
    };
    assert_int_equal(tool("generate --size 64K ok.gguf"), 0);
    for (size_t i = 0; i < command_count; i++) {
        for (size_t j = 0; j < sizeof endings / sizeof endings[0]; j++) {
            char line[128];
            snprintf(line, sizeof line, "%s%s", commands[i], endings[j]);
            if (tool(line) != 2)
                fail_msg("'%s' gave %d", line, tool_result.exit_code);
            assert_int_equal(tool_result.output.length, 0);
            assert_non_null(strstr(tool_result.errors.bytes, "--help"));
        }
    }
}

static void help_explains_every_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        char line[128];
        snprintf(line, sizeof line, "%s --help", commands[i]);
        assert_int_equal(tool(line), 0);
        assert_non_null(strstr(tool_result.output.bytes, "Usage: tresor "));
        assert_int_equal(tool_result.errors.length, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(no_file_is_not_found),
        IN_FOLDER(what_is_not_a_file_is_refused_at_once),
        IN_FOLDER(file_that_may_not_be_read_is_told),
        IN_FOLDER(what_is_no_model_is_told),
        IN_FOLDER(file_that_ends_early_is_told),
        IN_FOLDER(shard_that_is_missing_is_named),
        IN_FOLDER(bad_usage_says_how_to_get_help),
        cmocka_unit_test(help_explains_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
