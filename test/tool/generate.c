/* SPDX-License-Identifier: MIT */
/* `tresor generate` from outside: exit codes, files, and what is in them. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static json_t *safetensors_header(const struct bytes *file, uint64_t *data_start)
{
    const uint64_t length = number_at(file->data, 8);
    assert_int_equal(length % 8, 0);
    assert_true(length <= file->size - 8);
    json_t *header = json_loadb((const char *)file->data + 8, (size_t)length, 0, NULL);
    assert_non_null(header);
    *data_start = 8 + length;
    return header;
}

static void good_usage_prints_to_the_output(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--help", "-h", "help", "--version", "help generate", "help help", "generate --help",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(tool(lines[i]), 0);
        assert_true(tool_result.output.length > 0);
        assert_int_equal(tool_result.errors.length, 0);
    }
    tool("help generate");
    assert_non_null(strstr(tool_result.output.bytes, "--vocabulary N"));
}

static void bad_usage_says_how_to_get_help(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "frobnicate",
        "--frobnicate",
        "--version please",
        "help frobnicate",
        "help generate more",
        "generate",
        "generate one.gguf two.gguf",
        "generate no-format",
        "generate --format onnx out.gguf",
        "generate --frobnicate out.gguf",
        "generate -x out.gguf",
        "generate --s 1 out.gguf",
        "generate out.gguf --size",
        "generate --size -1 out.gguf",
        "generate --size 0 out.gguf",
        "generate --size 1X out.gguf",
        "generate --size 1.5 out.gguf",
        "generate --size 1.G out.gguf",
        "generate --size .5G out.gguf",
        "generate --size 1.0000001G out.gguf",
        "generate --size 1GG out.gguf",
        "generate --size 18446744073709551616 out.gguf",
        "generate --size 16777216T out.gguf",
        "generate --tensors 0 out.gguf",
        "generate --tensors 4294967296 out.gguf",
        "generate --tensors 1K out.gguf",
        "generate --shards 0 out.gguf",
        "generate --tensors 2 --shards 3 out.gguf",
        "generate --seed 18446744073709551616 out.gguf",
        "generate --alignment 48 out.gguf",
        "generate --alignment 2M out.gguf",
        "generate --alignment 64 out.safetensors",
        "generate --vocabulary 300 out.safetensors",
        "generate --experts 1 out.gguf",
        "generate --experts 8 out.tmai",
        "generate --shards 2 out.tmai",
        "generate --vocabulary 300 out.tmai",
        "generate --alignment 8K out.tmai",
        "generate --size 4G out.tmai",
        "generate --experts 4097 out.gguf",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (tool(lines[i]) != 2)
            fail_msg("'%s' gave %d", lines[i], tool_result.exit_code);
        assert_int_equal(tool_result.output.length, 0);
        assert_non_null(strstr(tool_result.errors.bytes, "--help"));
    }
    assert_int_equal(count_files(false), 0);
}

static void seed_decides_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 3M --seed 7 one.gguf"), 0);
    assert_int_equal(tool("generate --size 3M --seed 7 two.gguf"), 0);
    assert_int_equal(tool("generate --size 3M --seed 8 three.gguf"), 0);
    assert_true(same_files("one.gguf", "two.gguf"));
    assert_false(same_files("one.gguf", "three.gguf"));
    assert_int_equal(tool("generate --size 3M --seed 7 one.safetensors"), 0);
    assert_int_equal(tool("generate --size 3M --seed 7 two.safetensors"), 0);
    assert_int_equal(tool("generate --size 3M --seed 8 three.safetensors"), 0);
    assert_true(same_files("one.safetensors", "two.safetensors"));
    assert_false(same_files("one.safetensors", "three.safetensors"));
}

static void sizes_are_near_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        double size_bytes;
    } cases[] = {
        {"--size 1M", 0x1p20},
        {"--size 1048576 --tensors 1", 0x1p20},
        {"--size 1024K --tensors 2", 0x1p20},
        {"--size 1.5m --tensors 3", 0x1.8p20},
        {"--size 2M --tensors 4", 0x1p21},
        {"--size 2M --tensors 11", 0x1p21},
        {"--size 5M --tensors 50", 0x1.4p22},
        {"--size 20M --tensors 1000", 0x1.4p24},
        {"--size 16M", 0x1p24},
        {"--size 16M --experts 8", 0x1p24},
        {"--size 64M --experts 128", 0x1p26},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[128];
        uint64_t data_start;
        snprintf(line, sizeof line, "generate %s out.safetensors", cases[i].options);
        assert_int_equal(tool(line), 0);
        struct bytes file = read_file("out.safetensors");
        json_decref(safetensors_header(&file, &data_start));
        assert_true(fabs((double)(file.size - data_start) / cases[i].size_bytes - 1) < 0.02);
        bytes_free(&file);

        snprintf(line, sizeof line, "generate %s --vocabulary 3 out.gguf",
                 cases[i].options);
        assert_int_equal(tool(line), 0);
        file = read_file("out.gguf");
        /* The header is 1 KiB and about 80 bytes per tensor, and there is padding. */
        const double header_bytes = 1024 + 100.0 * (double)number_at(file.data + 8, 8);
        assert_true((double)file.size > cases[i].size_bytes * 0.98);
        assert_true((double)file.size < cases[i].size_bytes * 1.02 + header_bytes);
        bytes_free(&file);
    }
}

static void small_models_are_made_too(void **state)
{
    (void)state;
    for (unsigned tensors = 1; tensors <= 13; tensors++) {
        char line[128];
        snprintf(line, sizeof line, "generate --size 4K --tensors %u out.gguf", tensors);
        assert_int_equal(tool(line), 0);
        struct bytes file = read_file("out.gguf");
        assert_int_equal(number_at(file.data + 8, 8), tensors);
        assert_in_range(file.size, 4096, 4096 + 16384);
        bytes_free(&file);
    }
    assert_int_equal(tool("generate --size 1 --tensors 1000 one.gguf"), 0);
}

static void gguf_header_is_as_specified(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 --alignment 4K out.gguf"), 0);
    struct bytes file = read_file("out.gguf");
    assert_memory_equal(file.data, "GGUF", 4);
    assert_int_equal(number_at(file.data + 4, 4), 3);
    assert_int_equal(number_at(file.data + 8, 8), 30);
    assert_in_range(number_at(file.data + 16, 8), 10, 40);
    assert_int_equal(file.size % 4096, 0);
    bytes_free(&file);
}

static void existing_files_are_replaced(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64K --seed 1 out.gguf"), 0);
    assert_int_equal(tool("generate --size 64K --seed 1 copy.gguf"), 0);
    assert_int_equal(tool("generate --size 64K --seed 2 out.gguf"), 0);
    assert_false(same_files("out.gguf", "copy.gguf"));
    assert_int_equal(tool("generate --size 64K --seed 1 out.gguf"), 0);
    assert_true(same_files("out.gguf", "copy.gguf"));
    assert_int_equal(count_files(false), 2);
}

static void what_is_not_a_file_stays(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out.gguf", 0777), 0);
    assert_int_equal(tool("generate --size 64K out.gguf"), 3);
    assert_int_equal(tool("generate --format gguf --size 64K /dev/full"), 3);
    assert_int_equal(tool("generate --size 64K nowhere/out.gguf"), 3);
    assert_int_equal(count_files(false), 1);
}

static void one_shard_in_the_way_refuses_all(void **state)
{
    (void)state;
    assert_int_equal(mkdir("out-00003-of-00003.gguf", 0777), 0);
    assert_int_equal(tool("generate --size 64K --shards 3 out.gguf"), 3);
    assert_int_equal(count_files(false), 1);
}

static void failed_writes_leave_nothing(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = 100000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int alone = tool("generate --size 1M out.gguf");
    const int sharded = tool("generate --size 1M --tensors 3 --shards 3 out.safetensors");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(alone, 3);
    assert_int_equal(sharded, 3);
    assert_non_null(strstr(tool_result.errors.bytes, "cannot write"));
    assert_int_equal(count_files(false), 0);
}

static void lost_output_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" --help >/dev/full"), 3);
    assert_true(tool_result.errors.length > 0);
}

static void gguf_shards_hold_all_tensors(void **state)
{
    (void)state;
    static const char *const names[] = {"out-00001-of-00003.gguf", "out-00002-of-00003.gguf",
                                        "out-00003-of-00003.gguf"};
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 3 out.gguf"), 0);
    uint64_t tensors = 0;
    for (size_t i = 0; i < 3; i++) {
        struct bytes file = read_file(names[i]);
        assert_non_null(strstr(tool_result.output.bytes, names[i]));
        assert_true(number_at(file.data + 8, 8) > 0);
        tensors += number_at(file.data + 8, 8);
        if (i > 0)
            assert_int_equal(number_at(file.data + 16, 8), 4);
        bytes_free(&file);
    }
    assert_int_equal(tensors, 30);
    assert_int_equal(count_files(false), 3);
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 30 each.gguf"), 0);
    assert_int_equal(count_files(false), 33);
}

static uint64_t element_bytes(const char *type)
{
    if (strcmp(type, "F32") == 0)
        return 4;
    assert_true(strcmp(type, "F16") == 0 || strcmp(type, "BF16") == 0);
    return 2;
}

/** An entry begins where the last ended and is as long as its shape says. Returns its end. */
static uint64_t check_entry(json_t *entry, uint64_t begin)
{
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_t *shape = json_object_get(entry, "shape");
    uint64_t bytes = element_bytes(json_string_value(json_object_get(entry, "dtype")));
    for (size_t i = 0; i < json_array_size(shape); i++)
        bytes *= (uint64_t)json_integer_value(json_array_get(shape, i));
    assert_int_equal(json_integer_value(json_array_get(offsets, 0)), begin);
    assert_int_equal(json_integer_value(json_array_get(offsets, 1)), begin + bytes);
    return begin + bytes;
}

/** Every value of a float type has an exponent other than that of infinity. */
static void check_finite(const uint8_t *data, size_t size_bytes, const char *type)
{
    const size_t bytes = (size_t)element_bytes(type);
    const uint64_t exponent = strcmp(type, "F32") == 0   ? 0x7F800000
                              : strcmp(type, "F16") == 0 ? 0x7C00
                                                         : 0x7F80;
    for (size_t i = 0; i < size_bytes; i += bytes)
        assert_true((number_at(data + i, bytes) & exponent) != exponent);
}

/** Check a whole file; a map, if given, must map its tensors to this name. Returns their count. */
static size_t check_safetensors(const char *path, json_t *map)
{
    struct bytes file = read_file(path);
    uint64_t data_start;
    json_t *header = safetensors_header(&file, &data_start);
    const char *name;
    json_t *entry;
    uint64_t end = 0;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        const uint64_t begin = end;
        end = check_entry(entry, begin);
        assert_true(data_start + end <= file.size);
        check_finite(file.data + data_start + begin, (size_t)(end - begin),
                     json_string_value(json_object_get(entry, "dtype")));
        if (map)
            assert_string_equal(json_string_value(json_object_get(map, name)), path);
    }
    assert_int_equal(data_start + end, file.size);
    const size_t count = json_object_size(header) - 1;
    json_decref(header);
    bytes_free(&file);
    return count;
}

static void safetensors_file_is_fully_covered(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 out.safetensors"), 0);
    assert_int_equal(check_safetensors("out.safetensors", NULL), 30);
}

static void safetensors_index_names_every_tensor(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 2 out.safetensors"), 0);
    json_t *index = json_load_file("out.safetensors.index.json", 0, NULL);
    json_t *map = json_object_get(index, "weight_map");
    assert_int_equal(json_object_size(map), 30);
    assert_int_equal(check_safetensors("out-00001-of-00002.safetensors", map) +
                         check_safetensors("out-00002-of-00002.safetensors", map),
                     30);
    json_decref(index);
    assert_int_equal(count_files(false), 3);
}

/* The tensor of that name, as `tresor inspect` tells it. */
static json_t *tensor_of(json_t *report, const char *name)
{
    size_t i;
    json_t *tensor;
    json_array_foreach(json_object_get(report, "tensors"), i, tensor)
    {
        if (strcmp(json_string_value(json_object_get(tensor, "name")), name) == 0)
            return tensor;
    }
    return NULL;
}

static int64_t extent_of(json_t *tensor, size_t dimension)
{
    assert_non_null(tensor);
    return json_integer_value(json_array_get(json_object_get(tensor, "shape"), dimension));
}

/* One tensor of all experts each: the shapes of the formats are each other's reverse. */
static void check_experts(const char *path, const char *const names[3], bool innermost_first)
{
    char line[128];
    snprintf(line, sizeof line, "generate --size 16M --experts 6 %s", path);
    assert_int_equal(tool(line), 0);
    snprintf(line, sizeof line, "inspect --json %s", path);
    json_t *report = tool_json(line, 0);
    const size_t inner = innermost_first ? 0 : 2;
    for (size_t i = 0; i < 3; i++) {
        json_t *tensor = tensor_of(report, names[i]);
        assert_non_null(tensor);
        assert_int_equal(json_array_size(json_object_get(tensor, "shape")), 3);
        assert_int_equal(extent_of(tensor, 2 - inner), 6);
    }
    assert_int_equal(extent_of(tensor_of(report, names[0]), inner),
                     extent_of(tensor_of(report, names[2]), 1));
    assert_int_equal(extent_of(tensor_of(report, names[0]), 1),
                     extent_of(tensor_of(report, names[2]), inner));
    json_decref(report);
}

/* Every layer, and nothing that is not one but padding, at the alignment that was asked for. */
static void check_tmai(uint32_t layers, uint64_t alignment)
{
    struct bytes file = read_file("out.tmai");
    uint64_t end = 256 + layers * UINT64_C(32);
    assert_memory_equal(file.data, "IAMT", 4);
    assert_int_equal(number_at(file.data + 4, 4), 1);
    assert_int_equal(number_at(file.data + 8, 4), layers);
    for (uint32_t i = 0; i < layers; i++) {
        const uint8_t *layer = file.data + 256 + 32 * i;
        const uint64_t offset = number_at(layer, 4), bits = number_at(layer + 8, 4);
        assert_int_equal(offset, (end + alignment - 1) / alignment * alignment);
        assert_int_equal(bits, i == layers - 1 ? 32 : i == 0 ? 16 : 4);
        end = offset + number_at(layer + 4, 4);
    }
    assert_int_equal(file.size, (end + alignment - 1) / alignment * alignment);
    bytes_free(&file);
}

static void tmai_has_layers_one_behind_the_other(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 7 out.tmai"), 0);
    check_tmai(7, 32);
    assert_int_equal(tool("generate --size 100K --tensors 5 --alignment 4K --format tmai out.tmai"), 0);
    check_tmai(5, 4096);
    assert_int_equal(tool("generate --size 1 --tensors 300 out.tmai"), 0);
    check_tmai(300, 32);
    assert_int_equal(tool("generate --size 1 --tensors 1 out.tmai"), 0);
    check_tmai(1, 32);
    assert_int_equal(tool("generate --size 1M --seed 7 one.tmai"), 0);
    assert_int_equal(tool("generate --size 1M --seed 7 two.tmai"), 0);
    assert_int_equal(tool("generate --size 1M --seed 8 three.tmai"), 0);
    assert_true(same_files("one.tmai", "two.tmai"));
    assert_false(same_files("one.tmai", "three.tmai"));
}

static void experts_have_a_dimension_of_their_own(void **state)
{
    static const char *const gguf[] = {"blk.0.ffn_gate_exps.weight", "blk.1.ffn_up_exps.weight",
                                       "blk.0.ffn_down_exps.weight"};
    (void)state;
    check_experts("m.gguf", gguf, true);
#ifdef TEST_SAFETENSORS
    static const char *const safetensors[] = {"model.layers.0.mlp.experts.gate_proj.weight",
                                              "model.layers.1.mlp.experts.up_proj.weight",
                                              "model.layers.0.mlp.experts.down_proj.weight"};
    check_experts("m.safetensors", safetensors, false);
    check_safetensors("m.safetensors", NULL);
#endif
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    json_t *report = tool_json("inspect --json m.gguf", 0);
    assert_null(tensor_of(report, gguf[0]));
    assert_non_null(tensor_of(report, "blk.0.ffn_gate.weight"));
    json_decref(report);
}

static void shards_do_not_change_the_data(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 8M --tensors 4 --seed 5 out.safetensors"), 0);
    assert_int_equal(tool("generate --size 8M --tensors 4 --seed 5 --shards 2 out.safetensors"), 0);
    static const char *const names[] = {"out-00001-of-00002.safetensors",
                                        "out-00002-of-00002.safetensors"};
    struct bytes whole = read_file("out.safetensors");
    uint64_t position;
    json_decref(safetensors_header(&whole, &position));
    for (size_t i = 0; i < 2; i++) {
        uint64_t start;
        struct bytes part = read_file(names[i]);
        json_decref(safetensors_header(&part, &start));
        const size_t bytes = part.size - (size_t)start;
        assert_true(position + bytes <= whole.size);
        assert_memory_equal(whole.data + position, part.data + start, bytes);
        position += bytes;
        bytes_free(&part);
    }
    assert_int_equal(position, whole.size);
    bytes_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(good_usage_prints_to_the_output),
        IN_FOLDER(bad_usage_says_how_to_get_help),
        IN_FOLDER(seed_decides_the_bytes),
        IN_FOLDER(sizes_are_near_what_was_asked),
        IN_FOLDER(small_models_are_made_too),
        IN_FOLDER(gguf_header_is_as_specified),
        IN_FOLDER(existing_files_are_replaced),
        IN_FOLDER(what_is_not_a_file_stays),
        IN_FOLDER(one_shard_in_the_way_refuses_all),
        IN_FOLDER(failed_writes_leave_nothing),
        IN_FOLDER(lost_output_is_told),
        IN_FOLDER(gguf_shards_hold_all_tensors),
        IN_FOLDER(safetensors_file_is_fully_covered),
        IN_FOLDER(safetensors_index_names_every_tensor),
        IN_FOLDER(tmai_has_layers_one_behind_the_other),
        IN_FOLDER(experts_have_a_dimension_of_their_own),
        IN_FOLDER(shards_do_not_change_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
