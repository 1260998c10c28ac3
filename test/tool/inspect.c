/* SPDX-License-Identifier: MIT */
/* `tresor inspect`: what it prints is what is in the file, and always JSON where JSON was asked
 * for. */
#include "harness.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define REPLACEMENT "\xEF\xBF\xBD"

static json_t *inspect(const char *path)
{
    char line[128];
    snprintf(line, sizeof line, "inspect --json %s", path);
    json_t *json = tool_json(line, 0);
    assert_int_equal(tool_result.errors.length, 0);
    return json;
}

static const char *text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static int64_t file_bytes(const char *path)
{
    struct stat there;
    assert_int_equal(stat(path, &there), 0);
    return there.st_size;
}

/** What must hold for every model: keys, files, and tensors that lie in their files. Returns their
 * bytes. */
static int64_t check_model(json_t *model)
{
    static const char *const keys[] = {"format",   "version", "alignment",   "files",
                                       "metadata", "tensors", "shape_order", "overlaps"};
    size_t position = 0;
    const char *key;
    json_t *value;
    size_t index;
    int64_t sum = 0;
    json_object_foreach(model, key, value)
    {
        assert_true(position < sizeof keys / sizeof keys[0]);
        assert_string_equal(key, keys[position++]);
    }
    json_t *files = json_object_get(model, "files");
    json_array_foreach(files, index, value)
        assert_int_equal(integer_at(value, "size"), file_bytes(text_at(value, "path")));
    json_array_foreach(json_object_get(model, "tensors"), index, value)
    {
        json_t *file = json_array_get(files, (size_t)integer_at(value, "file"));
        assert_non_null(file);
        assert_int_equal(json_object_size(value), 6);
        assert_true(json_is_array(json_object_get(value, "shape")));
        assert_true(text_at(value, "dtype")[0] != '\0');
        assert_true(integer_at(value, "offset") > 0);
        assert_true(integer_at(value, "offset") + integer_at(value, "size") <=
                    integer_at(file, "size"));
        sum += integer_at(value, "size");
    }
    return sum;
}

static void gguf_is_told_in_full(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 --alignment 64 --vocabulary 300 m.gguf"),
                     0);
    json_t *model = inspect("m.gguf");
    assert_in_range(check_model(model), (1 << 20) * 0.98, (1 << 20) * 1.02);
    assert_string_equal(text_at(model, "format"), "gguf");
    assert_string_equal(text_at(model, "shape_order"), "innermost_first");
    assert_int_equal(integer_at(model, "version"), 3);
    assert_int_equal(integer_at(model, "alignment"), 64);
    assert_int_equal(integer_at(model, "overlaps"), 0);
    assert_int_equal(json_array_size(json_object_get(model, "files")), 1);
    assert_int_equal(json_array_size(json_object_get(model, "tensors")), 30);
    json_t *metadata = json_object_get(model, "metadata");
    json_t *tokens = json_object_get(metadata, "tokenizer.ggml.tokens");
    assert_string_equal(text_at(metadata, "general.architecture"), "llama");
    assert_int_equal(integer_at(metadata, "general.alignment"), 64);
    assert_int_equal(json_object_size(tokens), 2);
    assert_string_equal(text_at(tokens, "type"), "string");
    assert_int_equal(integer_at(tokens, "count"), 300);
    assert_true(
        fabs(json_real_value(json_object_get(metadata, "llama.attention.layer_norm_rms_epsilon")) -
             1e-5) < 1e-9);
    json_t *first = json_array_get(json_object_get(model, "tensors"), 0);
    assert_string_equal(text_at(first, "name"), "token_embd.weight");
    assert_int_equal(json_array_size(json_object_get(first, "shape")), 2);
    assert_int_equal(integer_at(first, "offset") % 64, 0);
    json_decref(model);
}

static void every_type_of_value_is_told(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const size_t header_bytes = gguf_put_good_file(&bytes);
    write_file("m.gguf", &bytes);
    json_t *model = inspect("m.gguf");
    json_t *metadata = json_object_get(model, "metadata");
    static const char types[] = "abcdefghklm";
    for (size_t i = 0; i < sizeof types - 1; i++) {
        char key[] = "scalar.x";
        char array_key[] = "array.x";
        key[7] = array_key[6] = types[i];
        json_t *value = json_object_get(metadata, key);
        const bool is_real = types[i] == 'g' || types[i] == 'm';
        assert_true(types[i] == 'h' ? json_is_true(value)
                    : is_real       ? json_real_value(value) > 0
                                    : json_integer_value(value) == 1);
        assert_int_equal(json_array_size(json_object_get(metadata, array_key)), 3);
    }
    json_t *tokens = json_object_get(metadata, "tokens");
    assert_string_equal(json_string_value(json_array_get(tokens, 0)), "a");
    assert_string_equal(json_string_value(json_array_get(tokens, 1)), "");
    assert_string_equal(json_string_value(json_array_get(tokens, 3)), "dddddddddddd");
    assert_int_equal(json_array_size(tokens), 4);
    assert_true(json_is_array(json_object_get(metadata, "nothing")));
    json_t *tensors = json_object_get(model, "tensors");
    assert_string_equal(text_at(json_array_get(tensors, 0), "dtype"), "q4_K");
    assert_int_equal(integer_at(json_array_get(tensors, 0), "offset"), header_bytes);
    assert_int_equal(json_array_size(json_object_get(json_array_get(tensors, 1), "shape")), 0);
    assert_int_equal(integer_at(json_array_get(tensors, 2), "size"), 0);
    json_decref(model);
    bytes_free(&bytes);
}

static void put_f64(struct bytes *bytes, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    gguf_put_key(bytes, key, 12);
    bytes_put_u64(bytes, bits);
}

/** A good GGUF file of values that JSON cannot hold and names that are not UTF-8. */
static void write_odd_model(const char *path)
{
    static const uint64_t shape[1] = {1};
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 2, 10);
    gguf_put_key(&bytes, "largest", 10);
    bytes_put_u64(&bytes, UINT64_MAX);
    gguf_put_key(&bytes, "large", 10);
    bytes_put_u64(&bytes, INT64_MAX);
    gguf_put_key(&bytes, "least", 11);
    bytes_put_u64(&bytes, (uint64_t)1 << 63);
    put_f64(&bytes, "nan", NAN);
    put_f64(&bytes, "infinity", INFINITY);
    put_f64(&bytes, "minus", -INFINITY);
    gguf_put_key_string(&bytes, "text", "a\xFF\xC3(\xED\xA0\x80 \xE2\x82\xAC \x1B[31m\n\\");
    gguf_put_key_string(&bytes, "key\xFE", "b");
    gguf_put_key(&bytes, "nul", 8);
    bytes_put_u64(&bytes, 3);
    bytes_put(&bytes, "x\0y", 3);
    gguf_put_key_array(&bytes, "long", 8, 17);
    for (int i = 0; i < 17; i++)
        gguf_put_string(&bytes, "\xFF");
    gguf_put_tensor(&bytes, "t\x80\x1B[2J", 1, shape, 24, 0);
    gguf_put_tensor(&bytes, "overlapping", 1, shape, 24, 0);
    bytes_pad(&bytes, 32);
    bytes_put_zeros(&bytes, 32);
    write_file(path, &bytes);
    bytes_free(&bytes);
}

static void odd_values_still_make_json(void **state)
{
    (void)state;
    write_odd_model("m.gguf");
    json_t *model = inspect("m.gguf");
    json_t *metadata = json_object_get(model, "metadata");
    assert_string_equal(text_at(metadata, "largest"), "18446744073709551615");
    assert_true(integer_at(metadata, "large") == INT64_MAX);
    assert_true(integer_at(metadata, "least") == INT64_MIN);
    assert_string_equal(text_at(metadata, "nan"), "NaN");
    assert_string_equal(text_at(metadata, "infinity"), "Infinity");
    assert_string_equal(text_at(metadata, "minus"), "-Infinity");
    assert_string_equal(text_at(metadata, "text"),
                        "a" REPLACEMENT REPLACEMENT "(" REPLACEMENT REPLACEMENT REPLACEMENT
                        " \xE2\x82\xAC \x1B[31m\n\\");
    assert_string_equal(text_at(metadata, "key" REPLACEMENT), "b");
    assert_int_equal(json_string_length(json_object_get(metadata, "nul")), 3);
    assert_int_equal(integer_at(json_object_get(metadata, "long"), "count"), 17);
    assert_string_equal(text_at(json_array_get(json_object_get(model, "tensors"), 0), "name"),
                        "t" REPLACEMENT "\x1B[2J");
    assert_int_equal(integer_at(model, "overlaps"), 1);
    json_decref(model);
}

static void text_has_nothing_a_terminal_obeys(void **state)
{
    (void)state;
    write_odd_model("m.gguf");
    assert_int_equal(tool("inspect m.gguf"), 0);
    for (size_t i = 0; i < tool_result.output.length; i++) {
        const char c = tool_result.output.bytes[i];
        assert_true(c == '\n' || (c >= 0x20 && c != 0x7F) || c < 0);
    }
    const char *text = tool_result.output.bytes;
    assert_non_null(
        strstr(text, "\"a\\xff\\xc3(\\xed\\xa0\\x80 \xE2\x82\xAC \\x1b[31m\\x0a\\x5c\""));
    assert_non_null(strstr(text, "t\\x80\\x1b[2J"));
    assert_non_null(strstr(text, "18446744073709551615"));
    assert_non_null(strstr(text, "1 tensor"));
    assert_non_null(strstr(text, "17 x string"));
}

static void errors_have_nothing_a_terminal_obeys(void **state)
{
    (void)state;
    write_odd_model("m.gguf");
    struct bytes whole = read_file("m.gguf");
    const struct bytes header = {.data = whole.data, .size = whole.size - 32};
    write_file("m.gguf", &header);
    bytes_free(&whole);
    assert_int_equal(tool("inspect m.gguf"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "t\\x80\\x1b[2J: TRUNCATED"));
    assert_null(strchr(tool_result.errors.bytes, 0x1B));
}

static void text_tells_what_matters(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("inspect m.gguf"), 0);
    static const char *const parts[] = {
        "gguf, version 3",      "aligned to 32 bytes", "m.gguf (1.0 MiB)",
        "general.architecture", "\"llama\"",           "259 x string",
        "token_embd.weight",    "output.weight",       "tensors (30)"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strstr(tool_result.output.bytes, parts[i]))
            fail_msg("no '%s' in %s", parts[i], tool_result.output.bytes);
    }
}

static json_t *inspect_shards(const char *path, const char *format)
{
    json_t *model = inspect(path);
    check_model(model);
    assert_string_equal(text_at(model, "format"), format);
    assert_int_equal(json_array_size(json_object_get(model, "files")), 3);
    json_t *tensors = json_object_get(model, "tensors");
    assert_int_equal(json_array_size(tensors), 30);
    assert_int_equal(integer_at(json_array_get(tensors, 0), "file"), 0);
    assert_int_equal(integer_at(json_array_get(tensors, 29), "file"), 2);
    return model;
}

static void shards_are_one_model(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 3 m.gguf"), 0);
    json_t *first = inspect_shards("m-00001-of-00003.gguf", "gguf");
    json_t *third = inspect_shards("m-00003-of-00003.gguf", "gguf");
    assert_true(json_equal(first, third));
    json_decref(first);
    json_decref(third);
}

#ifdef TEST_SAFETENSORS
static void safetensors_is_told_in_full(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.safetensors"), 0);
    json_t *model = inspect("m.safetensors");
    assert_int_equal(file_bytes("m.safetensors") - check_model(model),
                     integer_at(json_array_get(json_object_get(model, "tensors"), 0), "offset"));
    assert_string_equal(text_at(model, "format"), "safetensors");
    assert_string_equal(text_at(model, "shape_order"), "outermost_first");
    assert_int_equal(integer_at(model, "version"), 0);
    assert_int_equal(integer_at(model, "alignment"), 1);
    assert_string_equal(text_at(json_object_get(model, "metadata"), "format"), "pt");
    assert_int_equal(json_array_size(json_object_get(model, "tensors")), 30);
    json_decref(model);
}

static void safetensors_shards_are_one_model(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 3 m.safetensors"), 0);
    json_decref(inspect_shards("m.safetensors.index.json", "safetensors"));
}
#endif

static void tmai_is_told_in_full(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.tmai"), 0);
    json_t *model = inspect("m.tmai");
    assert_in_range(check_model(model), (1 << 20) - 32, 1 << 20);
    assert_string_equal(text_at(model, "format"), "tmai");
    assert_int_equal(integer_at(model, "version"), 1);
    assert_int_equal(integer_at(model, "alignment"), 1);
    assert_int_equal(json_array_size(json_object_get(model, "tensors")), 30);
    json_t *metadata = json_object_get(model, "metadata");
    assert_string_equal(text_at(metadata, "general.name"), "tresor generate");
    assert_int_equal(integer_at(metadata, "layer.0.precision"), 16);
    assert_int_equal(integer_at(metadata, "layer.29.precision"), 32);
    json_t *first = json_array_get(json_object_get(model, "tensors"), 0);
    assert_string_equal(text_at(first, "name"), "layer.0");
    assert_int_equal(integer_at(first, "offset"), 256 + 30 * 32);
    json_decref(model);
    assert_int_equal(tool("load m.tmai"), 0);
    assert_int_equal(tool("load --strategy read m.tmai"), 0);
}

static void lost_output_is_told(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\"$TRESOR_TOOL\" inspect m.gguf >/dev/full",
        "\"$TRESOR_TOOL\" inspect --json m.gguf >/dev/full",
        "(\"$TRESOR_TOOL\" inspect --json m.gguf; echo $? >code) | true; read c <code; exit \"$c\"",
        "\"$TRESOR_TOOL\" inspect m.gguf >&-",
    };
    assert_int_equal(tool("generate --size 1M --tensors 2000 m.gguf"), 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (tool_in_shell(lines[i]) != 3)
            fail_msg("%s gave %d", lines[i], tool_result.exit_code);
        assert_non_null(strstr(tool_result.errors.bytes, "cannot write"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(gguf_is_told_in_full),
        IN_FOLDER(every_type_of_value_is_told),
        IN_FOLDER(odd_values_still_make_json),
        IN_FOLDER(text_has_nothing_a_terminal_obeys),
        IN_FOLDER(errors_have_nothing_a_terminal_obeys),
        IN_FOLDER(text_tells_what_matters),
        IN_FOLDER(shards_are_one_model),
#ifdef TEST_SAFETENSORS
        IN_FOLDER(safetensors_is_told_in_full),
        IN_FOLDER(safetensors_shards_are_one_model),
#endif
        IN_FOLDER(tmai_is_told_in_full),
        IN_FOLDER(lost_output_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
