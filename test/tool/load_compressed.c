/* SPDX-License-Identifier: MIT */
/* The tool with compressed models: what it says of them, and how it ends with what is cut, damaged or too large. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "support/compressing.h"

static const uint32_t kinds[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};
#define MODEL "generate --size 4M --tensors 12 m.gguf"

enum {
    KINDS = sizeof kinds / sizeof kinds[0],
    BOMB_BYTES = 8 << 20,
};

/* "packed" from "m.gguf"; false where the build has not got it. */
static bool pack(uint32_t kind)
{
    struct bytes model = read_file("m.gguf");
    struct bytes file = {0};
    bool made = compress_frame(&file, kind, model.data, model.size);
    if (made)
        write_file("packed", &file);
    bytes_free(&model);
    bytes_free(&file);
    return made;
}

static void loads_and_says_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    for (size_t i = 0; i < KINDS; i++) {
        if (!pack(kinds[i]))
            continue;
        struct bytes model = read_file("m.gguf");
        struct bytes packed = read_file("packed");
        json_t *inspected = tool_json("inspect --json packed", 0);
        json_t *file = json_array_get(json_object_get(inspected, "files"), 0);
        assert_int_equal(integer_at(file, "size"), model.size);
        assert_int_equal(integer_at(file, "stored"), packed.size);
        assert_string_equal(json_string_value(json_object_get(file, "compression")), tresor_compression_name(kinds[i]));
        assert_int_equal(tool("inspect packed"), 0);
        assert_non_null(strstr(tool_result.output.bytes, tresor_compression_name(kinds[i])));
        json_t *report = tool_json("load --json packed", 0);
        check_keys(report);
        assert_int_equal(tensors_at(report, "loaded"), tensors_at(report, "requested"));
        assert_string_equal(json_string_value(json_object_get(report, "strategy")), "read");
        /* The time in which it was decoded is told: this is no rate of a memory's. */
        assert_true(json_real_value(json_object_get(report, "seconds")) > 0.001);
        json_decref(inspected);
        json_decref(report);
        bytes_free(&model);
        bytes_free(&packed);
    }
}

static void other_ways_in(void **state)
{
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    for (size_t i = 0; i < KINDS; i++) {
        if (!pack(kinds[i]))
            continue;
        assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" load --descriptor 0 <packed"), 0);
        assert_int_equal(tool_in_shell("cat packed | \"$TRESOR_TOOL\" load --descriptor 0"), 3);
        assert_int_equal(tool("load --backend sync packed"), 0);
        assert_int_equal(tool("load --strategy mmap packed"), 2);
        assert_int_equal(tool("load --cold packed"), 2);
        assert_int_equal(tool("load --trace trace packed"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "UNSUPPORTED"));
        assert_int_equal(tool("load --budget 1M packed"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "TOO_BIG"));
        /* A blob is what is there, as it is. */
        json_t *report = tool_json("load --json --blob packed", 0);
        struct bytes packed = read_file("packed");
        assert_int_equal(integer_at(report, "bytes"), packed.size);
        bytes_free(&packed);
        json_decref(report);
    }
}

static void limits(void **state)
{
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    assert_non_null(zeros);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes bomb = {0};
        if (!pack(kinds[i]))
            continue;
        assert_int_equal(tool("load --max-decoded 1M packed"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "LIMIT"));
        assert_int_equal(tool("inspect --max-decoded 1M packed"), 3);
        assert_int_equal(tool("load --max-decoded 4G --max-ratio 20 packed"), 0);
        assert_int_equal(tool("load --max-decoded 0 packed"), 2);
        assert_int_equal(tool("load --max-ratio 0 packed"), 2);
        compress_frame(&bomb, kinds[i], zeros, BOMB_BYTES);
        write_file("packed", &bomb);
        assert_int_equal(tool("load --max-ratio 20 packed"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "LIMIT"));
        bytes_free(&bomb);
    }
    free(zeros);
}

static void damage(void **state)
{
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    for (size_t i = 0; i < KINDS; i++) {
        if (!pack(kinds[i]))
            continue;
        assert_int_equal(tool_in_shell("head -c 50000 packed >cut"), 0);
        assert_int_equal(tool("load cut"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "TRUNCATED"));
        assert_non_null(strstr(tool_result.errors.bytes, "50000"));
        assert_int_equal(tool_in_shell("echo and some more bytes >>packed"), 0);
        assert_int_equal(tool("load packed"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "CORRUPT"));
    }
}

#ifdef TEST_HASH
static void hashes_as_the_model_does(void **state)
{
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    for (size_t i = 0; i < KINDS; i++)
        if (pack(kinds[i]))
            assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" hash m.gguf | cut -d' ' -f1 >one && "
                                           "\"$TRESOR_TOOL\" hash packed | cut -d' ' -f1 >other && cmp one other"),
                             0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(loads_and_says_what_it_is),
        IN_FOLDER(other_ways_in),
        IN_FOLDER(limits),
        IN_FOLDER(damage),
#ifdef TEST_HASH
        IN_FOLDER(hashes_as_the_model_does),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
