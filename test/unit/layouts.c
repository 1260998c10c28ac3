/* SPDX-License-Identifier: MIT */
/* Layouts: what they may say, and the models that they make of other files; and files that are one tensor each. */
#include "support/test.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "support/bytes.h"
#include "support/host_origin.h"
#include "support/parsing.h"

enum {
    FILE_BYTES = 20000,
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set; /* three files of any bytes, and the layout, which is opened */
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct session session;
} world;

#define ROW "{\"name\":\"a\",\"dtype\":\"f16\",\"shape\":[2,3],\"file\":\"x\",\"offset\":7,\"size\":12}"
#define LAYOUT(rows) "{\"tresor_layout\":1,\"tensors\":[" rows "]}"
#define WITH(name, dtype, shape, file, offset, size)                                               \
    LAYOUT("{\"name\":" name ",\"dtype\":" dtype ",\"shape\":" shape ",\"file\":" file             \
           ",\"offset\":" offset ",\"size\":" size "}")

/* --- texts --- */

static int32_t parse(struct tresor__directory *directory, const char *text,
                     struct tresor__parse_output *output)
{
    struct bytes bytes = {0};
    bytes_put_text(&bytes, text);
    parse_growing(&bytes, 0, 0, 0, directory, output);
    bytes_free(&bytes);
    return output->error.code;
}

static void every_field(void **state)
{
    struct tresor__directory directory;
    struct tresor__parse_output output;
    (void)state;
    directory_start(&directory, NULL);
    assert_error(parse(&directory, LAYOUT(ROW), &output), TRESOR_OK);
    assert_int_equal(output.format, TRESOR__FORMAT_LAYOUT);
    assert_int_equal(directory.entry_count, 1);
    const struct tresor__entry *entry = &directory.entries[0];
    assert_string_equal(directory.strings + entry->name_offset, "a");
    assert_int_equal(entry->dtype, TRESOR_DTYPE_F16);
    assert_int_equal(entry->rank, 2);
    assert_int_equal(entry->shape[0], 2);
    assert_int_equal(entry->shape[1], 3);
    assert_int_equal(entry->offset_bytes, 7);
    assert_int_equal(entry->size_bytes, 12);
    assert_int_equal(directory.shape_order, TRESOR_SHAPE_OUTERMOST_FIRST);
    assert_int_equal(directory.shard_count, 1);
    assert_string_equal(directory.shard_names[0], "x");
    assert_error(parse(&directory, LAYOUT(ROW), &output), TRESOR_ERROR_SHARD); /* twice */
    tresor__directory_free(&directory);
}

static void good_and_bad(void **state)
{
    static const struct {
        const char *text;
        int32_t code;
    } rows[] = {
        {LAYOUT(ROW) "\r\n\t ", TRESOR_OK},
        {WITH("\"a\"", "\"q4_0\"", "[2,32]", "\"x\"", "0", "36"), TRESOR_OK},
        {WITH("\"a\"", "\"f32\"", "[]", "\"x\"", "0", "4"), TRESOR_OK},
        {WITH("\"a\"", "\"u8\"", "[0,9]", "\"x\"", "99", "0"), TRESOR_OK},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"..x\"", "0", "1"), TRESOR_OK},
        {LAYOUT(ROW) "x", TRESOR_ERROR_MALFORMED},
        {LAYOUT(), TRESOR_ERROR_MALFORMED},
        {LAYOUT("1"), TRESOR_ERROR_MALFORMED},
        {LAYOUT("{}"), TRESOR_ERROR_MALFORMED},
        {"{\"tresor_layout\":1}  ", TRESOR_ERROR_MALFORMED},
        {"{\"tresor_layout\":1,\"tensors\":{}}", TRESOR_ERROR_MALFORMED},
        {"{\"tresor_layout\":\"1\",\"tensors\":[" ROW "]}", TRESOR_ERROR_MALFORMED},
        {"{\"tresor_layout\":2,\"tensors\":[" ROW "]}", TRESOR_ERROR_VERSION},
        {"{\"tresor_layout\":1,\"tensors\":[" ROW "],\"x\":1}", TRESOR_ERROR_MALFORMED},
        {LAYOUT("{\"name\":\"a\",\"dtype\":\"u8\",\"shape\":[1],\"file\":\"x\",\"offset\":0}"),
         TRESOR_ERROR_MALFORMED},
        {LAYOUT("{\"name\":\"a\",\"dtype\":\"u8\",\"shape\":[1],\"file\":\"x\",\"offset\":0,\"size\":1,\"y\":1}"),
         TRESOR_ERROR_MALFORMED},
        {LAYOUT(ROW "," ROW), TRESOR_ERROR_DUPLICATE},
        {WITH("1", "\"u8\"", "[1]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"\"", "\"u8\"", "[1]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\\u0000\"", "\"u8\"", "[1]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "8", "[1]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u9\"", "[1]", "\"x\"", "0", "1"), TRESOR_ERROR_UNSUPPORTED},
        {WITH("\"a\"", "\"u8\"", "1", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1.0]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[-1]", "\"x\"", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1,1,1,1,1,1,1,1,1]", "\"x\"", "0", "1"), TRESOR_ERROR_LIMIT},
        {WITH("\"a\"", "\"u8\"", "[4294967296,4294967296]", "\"x\"", "0", "0"),
         TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"q4_0\"", "[32,2]", "\"x\"", "0", "36"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "1", "0", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\".\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"..\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"../x\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"/etc/passwd\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"y\\u002fx\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"..\\\\x\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\\u0000\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "-1", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "\"0\"", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "9223372036854775807", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "18446744073709551616", "1"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "0", "2"), TRESOR_ERROR_MALFORMED},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"x\"", "0", "1.5"), TRESOR_ERROR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, NULL);
        int32_t code = parse(&directory, rows[i].text, &output);
        if (code != rows[i].code)
            print_message("# row %zu: %s\n", i, rows[i].text);
        assert_error(code, rows[i].code);
        tresor__directory_free(&directory);
    }
}

static void every_allocation(void **state)
{
    static const char text[] =
        LAYOUT(ROW ",{\"name\":\"b\",\"dtype\":\"u8\",\"shape\":[1],\"file\":\"b\",\"offset\":0,\"size\":1}");
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct failing_allocator memory = {.fail_call = nth};
        const struct tresor_allocator hooks = failing_allocator_hooks(&memory);
        struct tresor__directory directory;
        struct tresor__parse_output output;
        directory_start(&directory, &hooks);
        int32_t code = parse(&directory, text, &output);
        assert_error(code, memory.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        tresor__directory_free(&directory);
        assert_int_equal(memory.outstanding_bytes, 0);
        if (!memory.failed) {
            assert_true(nth > 5);
            return;
        }
    }
}

/* --- models --- */

static void make_files(const char *layout)
{
    static const char *const names[] = {"one.bin", "two.bin", "three.bin", "layout.json"};
    world.set = (struct model_set){.part_count = 4, .opened = 3};
    for (uint32_t i = 0; i < 4; i++) {
        struct model_part *part = &world.set.parts[i];
        snprintf(part->path, sizeof part->path, "%s/%s", world.folder, names[i]);
        if (i == 3)
            bytes_put_text(&part->bytes, layout);
        for (uint32_t k = 0; i < 3 && k < FILE_BYTES; k++) {
            uint8_t byte = (uint8_t)(k * 31 + k / 256 + i);
            bytes_put(&part->bytes, &byte, 1);
        }
    }
    model_set_write(&world.set);
}

static void start(const char *layout)
{
    struct tresor_context_options options = session_options(&world.memory);
    world.memory = (struct failing_allocator){0};
    make_files(layout);
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    world.faulty.has_workers = options.backend > TRESOR_BACKEND_SYNC;
    assert_error(session_create(&world.session, &world.faulty.sys, &options), TRESOR_OK);
}

static void end(void)
{
    assert_null(session_destroy(&world.session));
    assert_null(faulty_sys_check(&world.faulty));
    assert_int_equal(world.memory.outstanding_bytes, 0);
    model_set_free(&world.set);
}

static void check_info(uint32_t tensors, uint32_t files, const char *format)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    tresor_source_get_info(world.session.context, world.session.source, &info);
    assert_int_equal(info.tensor_count, tensors);
    assert_int_equal(info.file_count, files);
    assert_string_equal(info.format, format);
}

static void load_both_ways(uint32_t tensors)
{
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        assert_error(session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session),
                                strategy),
                     TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), tensors);
        assert_error(session_do(&world.session, TRESOR_VERB_EVICT, session_all(&world.session), 0),
                     TRESOR_OK);
    }
}

/* Tensors of several files, out of order, side by side in a page, one over the other, and one up to the end. */
static void loads(void **state)
{
    (void)state;
    start(LAYOUT(
        "{\"name\":\"c\",\"dtype\":\"u8\",\"shape\":[100],\"file\":\"two.bin\",\"offset\":19900,\"size\":100},"
        "{\"name\":\"a\",\"dtype\":\"f32\",\"shape\":[10,100],\"file\":\"one.bin\",\"offset\":5001,\"size\":4000},"
        "{\"name\":\"b\",\"dtype\":\"f16\",\"shape\":[7],\"file\":\"two.bin\",\"offset\":3,\"size\":14},"
        "{\"name\":\"e\",\"dtype\":\"u8\",\"shape\":[20000],\"file\":\"two.bin\",\"offset\":0,\"size\":20000},"
        "{\"name\":\"d\",\"dtype\":\"u8\",\"shape\":[3,0],\"file\":\"one.bin\",\"offset\":1,\"size\":0}"));
    uint64_t read = world.faulty.read_bytes;
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    /* Of the files themselves no more than their being there is looked at. */
    assert_in_range(world.faulty.read_bytes - read, 1,
                    world.set.parts[world.set.opened].bytes.size + 2);
    check_info(5, 2, "layout");
    struct tresor_source_info info = {.size_bytes = sizeof info};
    tresor_source_get_info(world.session.context, world.session.source, &info);
    assert_int_equal(info.overlap_count, 2);
    load_both_ways(5);
    assert_error(session_close(&world.session), TRESOR_OK);
    end();
}

static void what_is_not_there(void **state)
{
    static const struct {
        const char *layout;
        int32_t code;
    } rows[] = {
        {WITH("\"a\"", "\"u8\"", "[1]", "\"four.bin\"", "0", "1"), TRESOR_ERROR_SHARD},
        {WITH("\"a\"", "\"u8\"", "[1]", "\"one.bin\"", "20000", "1"), TRESOR_ERROR_TRUNCATED},
        {WITH("\"a\"", "\"u8\"", "[2]", "\"one.bin\"", "19999", "2"), TRESOR_ERROR_TRUNCATED},
        {WITH("\"a\"", "\"u8\"", "[20001]", "\"one.bin\"", "0", "20001"), TRESOR_ERROR_TRUNCATED},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start(rows[i].layout);
        assert_error(session_open(&world.session, model_set_path(&world.set)), rows[i].code);
        end();
    }
}

/* A layout has its files beside it, which nothing but a path has. */
static void not_from_memory(void **state)
{
    (void)state;
    start(LAYOUT(ROW));
    const struct bytes *bytes = &world.set.parts[world.set.opened].bytes;
    const struct tresor_source_origin origin = {.size_bytes = sizeof origin,
                                                .kind = TRESOR_ORIGIN_MEMORY,
                                                .memory = bytes->data,
                                                .length_bytes = bytes->size};
    struct tresor_request request = {0};
    assert_error(session_note(&world.session,
                              tresor_source_open_with(world.session.context, &origin, NULL,
                                                      &world.session.source, &request),
                              request),
                 TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_ERROR_UNSUPPORTED);
    end();
}

/* --- any file --- */

static int32_t open_blob(const struct tresor_source_origin *origin, uint32_t content)
{
    const struct tresor_source_options options = {
        .size_bytes = sizeof options, .content = content};
    struct tresor_request request = {0};
    int32_t code = session_note(&world.session,
                                tresor_source_open_with(world.session.context, origin, &options,
                                                        &world.session.source, &request),
                                request);
    return code == TRESOR_OK ? session_finish(&world.session, request, NULL) : code;
}

static void blobs(void **state)
{
    (void)state;
    for (uint32_t kind = TRESOR_ORIGIN_PATH; kind <= TRESOR_ORIGIN_MEMORY;
         kind += TRESOR_ORIGIN_MEMORY) {
        start(LAYOUT(ROW)); /* which is a file like any other here */
        const struct model_part *part = &world.set.parts[world.set.opened];
        bool is_path = kind == TRESOR_ORIGIN_PATH;
        const struct tresor_source_origin origin = {
            .size_bytes = sizeof origin,
            .kind = kind,
            .path = part->path,
            .memory = is_path ? NULL : part->bytes.data,
            .length_bytes = is_path ? 0 : part->bytes.size,
        };
        struct tresor_tensor_info info = {.size_bytes = sizeof info};
        assert_error(open_blob(&origin, TRESOR_CONTENT_BLOB + 1), TRESOR_ERROR_INVALID);
        assert_error(open_blob(&origin, TRESOR_CONTENT_BLOB), TRESOR_OK);
        check_info(1, 1, "blob");
        tresor_source_get_tensor(world.session.context, world.session.source, 0, &info);
        assert_string_equal(info.name, "layout.json");
        assert_int_equal(info.dtype, TRESOR_DTYPE_U8);
        assert_int_equal(info.rank, 1);
        assert_int_equal(info.shape[0], part->bytes.size);
        assert_int_equal(info.tensor_bytes, part->bytes.size);
        if (is_path)
            load_both_ways(1);
        else
            assert_error(session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session),
                                    TRESOR_STRATEGY_DEFAULT),
                         TRESOR_OK);
        assert_error(session_close(&world.session), TRESOR_OK);
        end();
    }
}

static int setup(void **state)
{
    (void)state;
    temporary_make(world.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(world.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field),       cmocka_unit_test(good_and_bad),
        cmocka_unit_test(every_allocation),  cmocka_unit_test(loads),
        cmocka_unit_test(what_is_not_there), cmocka_unit_test(not_from_memory),
        cmocka_unit_test(blobs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
