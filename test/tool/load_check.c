/* SPDX-License-Identifier: MIT */
/* `tresor load --check` and `--finite`: what `tresor hash` has written is held against what is loaded. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define TENSORS 30

static const char *const ways[] = {"--strategy mmap", "--strategy read", "--strategy read --backend pool",
                                   "--strategy mmap --backend sync", "--strategy read --backend sync"};

static void make_model(void)
{
    assert_int_equal(tool("generate --size 3M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" hash m.gguf >SUMS"), 0);
}

static int load(const char *way, const char *more)
{
    char line[256];
    snprintf(line, sizeof line, "load --json %s %s m.gguf", way, more);
    return tool(line);
}

static void must_have_loaded(int64_t loaded, size_t failures)
{
    json_t *report = json_loads(tool_result.output.bytes, 0, NULL);
    assert_non_null(report);
    assert_int_equal(integer_at(json_object_get(report, "tensors"), "loaded"), loaded);
    assert_int_equal(json_array_size(json_object_get(report, "errors")), failures);
    json_decref(report);
}

static void what_was_hashed_is_loaded(void **state)
{
    (void)state;
    make_model();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(load(ways[i], "--check SUMS --finite"), 0);
        must_have_loaded(TENSORS, 0);
    }
    assert_int_equal(load("", "--check SUMS --tensor blk.0.*"), 0);
}

/* A byte of the file changes: the one tensor that has it is told. */
static void what_has_changed_is_told(void **state)
{
    (void)state;
    make_model();
    struct bytes file = read_file("m.gguf");
    file.data[file.size - 100] ^= 4;
    write_file("m.gguf", &file);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(load(ways[i], "--check SUMS"), 1);
        must_have_loaded(TENSORS - 1, 1);
        assert_non_null(strstr(tool_result.output.bytes, "\"CORRUPT\""));
        assert_int_equal(load(ways[i], ""), 0);
    }
    bytes_free(&file);
}

static void floats_are_looked_at(void **state)
{
    struct bytes bytes = {0};
    const uint64_t shape[] = {3000};
    (void)state;
    gguf_put_header(&bytes, 3, 2, 0);
    gguf_put_tensor(&bytes, "good", 1, shape, 0, 0);
    gguf_put_tensor(&bytes, "bad", 1, shape, 0, 12000);
    bytes_pad(&bytes, 32);
    const size_t data = bytes.size;
    bytes_put_zeros(&bytes, 24000);
    bytes.data[data + 12000 + (size_t)4 * 1234 + 3] = 0xff; /* an infinity, with the byte before it */
    bytes.data[data + 12000 + (size_t)4 * 1234 + 2] = 0x80;
    write_file("m.gguf", &bytes);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(load(ways[i], "--finite"), 1);
        must_have_loaded(1, 1);
        assert_non_null(strstr(tool_result.errors.bytes, "bad: NOT_FINITE"));
        assert_non_null(strstr(tool_result.errors.bytes, ", at element 1234;"));
    }
    bytes_free(&bytes);
}

/* Files that are no sums of this model, and where. */
static void other_sums_are_refused(void **state)
{
    static const struct {
        const char *script;
        const char *words;
    } rows[] = {
        {"sed 5d SUMS", "no line is for the tensor"},
        {"cat SUMS; echo 0123456789abcdef0123456789abcdef '' nobody", "line 32: the model has no such tensor"},
        {"cat SUMS; tail -n 1 SUMS", "line 32: the tensor was named before"},
        {"sed '7s/^./g/' SUMS", "line 7: it does not begin with 32"},
        {"sed '9s/  / /' SUMS", "line 9: there are no two spaces"},
        {"tail -n +2 SUMS", "line 1: it is not 'tresor-sums 1 xxh128'"},
        {"head -c 200 SUMS", "the file is cut off"},
        {"true", "line 1"},
        {"cat m.gguf", "line 1"},
    };
    (void)state;
    make_model();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[256];
        snprintf(script, sizeof script, "{ %s; } >OTHER", rows[i].script);
        assert_int_equal(tool_in_shell(script), 0);
        assert_int_equal(tool("load --check OTHER m.gguf"), 2);
        if (!strstr(tool_result.errors.bytes, rows[i].words))
            fail_msg("row %zu: %s", i, tool_result.errors.bytes);
        assert_int_equal(tool_result.output.length, 0);
    }
    assert_int_equal(tool("load --check nothing m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "No such file"));
    assert_int_equal(tool("load --check . m.gguf"), 2);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    make_model();
    assert_int_equal(tool("load --check SUMS --split m.gguf"), 2);
    assert_int_equal(tool("load --check SUMS --budget 1M m.gguf"), 2);
    assert_int_equal(tool("load --finite --passes 2 m.gguf"), 2);
    assert_int_equal(tool("load --check m.gguf"), 2);
    assert_int_equal(tool("load --finite --split m.gguf"), 0);
}

/* Its digests are in the trace, so that the same tensors fail again without the model. */
static void a_checked_load_is_replayed(void **state)
{
    (void)state;
    make_model();
    assert_int_equal(tool_in_shell("sed '8,12s/^..../0000/' SUMS >WRONG"), 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(load(ways[i], "--check WRONG --finite --trace t.json"), 1);
        remove("m.gguf");
        assert_int_equal(tool("replay t.json"), 0);
        assert_int_equal(tool("generate --size 3M --tensors 30 m.gguf"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_was_hashed_is_loaded),
        IN_FOLDER(what_has_changed_is_told),
        IN_FOLDER(floats_are_looked_at),
        IN_FOLDER(other_sums_are_refused),
        IN_FOLDER(what_makes_no_sense_is_refused),
        IN_FOLDER(a_checked_load_is_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
