/* SPDX-License-Identifier: MIT */
/* `tresor hash`: the hashes are those of the files' bytes, whichever way they came into memory. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define LINE_BYTES 512
#define SUMS_HEADER "tresor-sums 1 xxh128\n"

static void write_line(char *line, const uint8_t *data, size_t size_bytes, const char *name)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size_bytes));
    for (size_t i = 0; i < sizeof canonical.digest; i++)
        snprintf(line + 2 * i, LINE_BYTES - 2 * i, "%02x", canonical.digest[i]);
    snprintf(line + 32, LINE_BYTES - 32, "  %s\n", name);
}

/** What the tool must print, from the places that inspect tells. */
static struct bytes wanted_lines(const char *path)
{
    char line[LINE_BYTES];
    struct bytes files[3];
    struct bytes lines = {0};
    bytes_put_text(&lines, SUMS_HEADER);
    size_t index;
    json_t *value;
    snprintf(line, sizeof line, "inspect --json %s", path);
    json_t *model = tool_json(line, 0);
    json_t *paths = json_object_get(model, "files");
    assert_in_range(json_array_size(paths), 1, 3);
    json_array_foreach(paths, index, value) files[index] =
        read_file(json_string_value(json_object_get(value, "path")));
    json_array_foreach(json_object_get(model, "tensors"), index, value)
    {
        const struct bytes *file = &files[json_integer_value(json_object_get(value, "file"))];
        write_line(line, file->data + json_integer_value(json_object_get(value, "offset")),
                   (size_t)json_integer_value(json_object_get(value, "size")),
                   json_string_value(json_object_get(value, "name")));
        bytes_put_text(&lines, line);
    }
    bytes_put_u8(&lines, 0);
    for (size_t i = 0; i < json_array_size(paths); i++)
        bytes_free(&files[i]);
    json_decref(model);
    return lines;
}

static void check_hashes(const char *path)
{
    static const char *const options[] = {"", "--strategy mmap ", "--strategy read ",
                                          "--backend pool ", "--backend pool --strategy read ",
                                          "--backend uring --strategy read ",
                                          "--backend sync ", "--tensor * "};
    struct bytes wanted = wanted_lines(path);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "hash %s%s", options[i], path);
        if (tool(line) != 0)
            fail_msg("'%s' gave %d: %s", line, tool_result.exit_code, tool_result.errors.bytes);
        assert_int_equal(tool_result.errors.length, 0);
        assert_string_equal(tool_result.output.bytes, (const char *)wanted.data);
    }
    bytes_free(&wanted);
}

static void hashes_are_those_of_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 3M --tensors 30 m.gguf"), 0);
    check_hashes("m.gguf");
    assert_int_equal(tool("generate --size 3M --tensors 30 --shards 3 m.gguf"), 0);
    check_hashes("m-00001-of-00003.gguf");
#ifdef TEST_SAFETENSORS
    assert_int_equal(tool("generate --size 3M --tensors 30 m.safetensors"), 0);
    check_hashes("m.safetensors");
    assert_int_equal(tool("generate --size 3M --tensors 30 --shards 3 m.safetensors"), 0);
    check_hashes("m.safetensors.index.json");
#endif
}

/** Tensors without bytes, and tensors that share a page with others. */
static void odd_tensors_are_hashed(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const size_t header_bytes = gguf_put_good_file(&bytes);
    for (size_t i = header_bytes; i < bytes.size; i++)
        bytes.data[i] = (uint8_t)(i * 7);
    write_file("m.gguf", &bytes);
    check_hashes("m.gguf");
    assert_int_equal(tool("hash --tensor empty m.gguf"), 0);
    assert_string_equal(tool_result.output.bytes, SUMS_HEADER "99aa06d3014798d86001c324468d497f  empty\n");
    bytes_free(&bytes);
}

static size_t count_lines(void)
{
    size_t count = 0;
    for (const char *at = tool_result.output.bytes; (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

/** More tensors than are loaded at a time. */
static void many_tensors_are_hashed_in_groups(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 2M --tensors 3000 m.gguf"), 0);
    for (int i = 0; i < 2; i++) {
        static const char *const lines[] = {
            "\"$TRESOR_TOOL\" hash m.gguf >out0 && sort out0 | uniq -u | wc -l",
            "\"$TRESOR_TOOL\" hash --strategy read m.gguf >out1 && sort out1 | uniq -u | wc -l",
        };
        assert_int_equal(tool_in_shell(lines[i]), 0);
        assert_int_equal(atoi(tool_result.output.bytes), 3001);
    }
    assert_true(same_files("out0", "out1"));
}

static void patterns_choose_tensors_once(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("hash --tensor output* --tensor token_embd.weight --tensor o*t m.gguf"),
                     0);
    assert_int_equal(count_lines(), 4);
    /* In the order of the file, not of the patterns. */
    assert_int_equal(strncmp(tool_result.output.bytes + strlen(SUMS_HEADER) + 34, "token_embd.weight\n", 18), 0);
    assert_int_equal(tool("hash --tensor blk.[01].attn_? --tensor nothing m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "attn_?"));
    assert_int_equal(tool("hash --tensor output.* --tensor nothing m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "'nothing'"));
    assert_int_equal(tool_result.output.length, 0);
}

static void lost_output_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" hash m.gguf >/dev/full"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "cannot write"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(hashes_are_those_of_the_bytes),
        IN_FOLDER(odd_tensors_are_hashed),
        IN_FOLDER(many_tensors_are_hashed_in_groups),
        IN_FOLDER(patterns_choose_tensors_once),
        IN_FOLDER(lost_output_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
