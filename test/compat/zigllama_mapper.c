/* SPDX-License-Identifier: MIT */
/* Several files of one mapper, and models whose values and tensors are found by name, over the real system. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "compat/zigllama.h"
#include "context.h"
#include "support/mapped.h"
#include "support/model_set.h"

enum {
    FILES = 3,
    LOCK = TRESOR_ZIGLLAMA_LOAD_LOCK,
    PREFAULT = TRESOR_ZIGLLAMA_LOAD_PREFAULT,
};

static struct mapped world;
static struct model_set models[MODEL_KINDS];
static char typed_path[MAPPED_PATH_BYTES];
static char junk_path[MAPPED_PATH_BYTES];

static void put_typed(void)
{
    struct bytes bytes = {0};
    const float half = 0.5f;
    const double third = -0.25;
    gguf_put_header(&bytes, 3, 0, 17);
    gguf_put_key(&bytes, "u8", TRESOR_METADATA_U8);
    bytes_put_u8(&bytes, 200);
    gguf_put_key(&bytes, "i8", TRESOR_METADATA_I8);
    bytes_put_u8(&bytes, 200); /* -56 */
    gguf_put_key(&bytes, "u16", TRESOR_METADATA_U16);
    bytes_put(&bytes, (uint8_t[]){0x34, 0xf2}, 2);
    gguf_put_key(&bytes, "i16", TRESOR_METADATA_I16);
    bytes_put(&bytes, (uint8_t[]){0x34, 0x72}, 2);
    gguf_put_key_u32(&bytes, "u32", UINT32_MAX);
    gguf_put_key(&bytes, "i32", TRESOR_METADATA_I32);
    bytes_put_u32(&bytes, UINT32_MAX);
    gguf_put_key(&bytes, "u64", TRESOR_METADATA_U64);
    bytes_put_u64(&bytes, UINT64_MAX);
    gguf_put_key(&bytes, "i64", TRESOR_METADATA_I64);
    bytes_put_u64(&bytes, UINT64_C(1) << 63);
    gguf_put_key(&bytes, "f32", TRESOR_METADATA_F32);
    bytes_put(&bytes, &half, sizeof half);
    gguf_put_key(&bytes, "f64", TRESOR_METADATA_F64);
    bytes_put(&bytes, &third, sizeof third);
    gguf_put_key(&bytes, "yes", TRESOR_METADATA_BOOL);
    bytes_put_u8(&bytes, 1);
    gguf_put_key(&bytes, "no", TRESOR_METADATA_BOOL);
    bytes_put_u8(&bytes, 0);
    gguf_put_key_string(&bytes, "text", "llama");
    gguf_put_key_string(&bytes, "blank", "");
    gguf_put_key_array(&bytes, "numbers", TRESOR_METADATA_U32, 3);
    for (uint32_t i = 0; i < 3; i++)
        bytes_put_u32(&bytes, 7 + i);
    gguf_put_key_array(&bytes, "none", TRESOR_METADATA_F32, 0);
    gguf_put_key_array(&bytes, "words", TRESOR_METADATA_STRING, 2);
    gguf_put_string(&bytes, "a");
    gguf_put_string(&bytes, "bc");
    temporary_write(typed_path, bytes.data, bytes.size);
    bytes_free(&bytes);
}

static int setup(void **state)
{
    (void)state;
    mapped_make(&world);
    for (uint32_t i = 0; i < MODEL_KINDS; i++) {
        model_set_make(&models[i], (enum model_kind)i, world.folder);
        model_set_write(&models[i]);
    }
    snprintf(typed_path, sizeof typed_path, "%s/typed.gguf", world.folder);
    put_typed();
    snprintf(junk_path, sizeof junk_path, "%s/junk", world.folder);
    temporary_write(junk_path, "this is no model at all", 23);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MODEL_KINDS; i++)
        model_set_free(&models[i]);
    mapped_remove(&world);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    mapped_reset(&world);
    return 0;
}

static int32_t make_mapper(struct tresor_zigllama_mapper **mapper, struct tresor_error *error)
{
    struct tresor_context *context = NULL;
    struct tresor_context_options options = tresor__zigllama_context_options(&world.allocator, FILES);
    *mapper = NULL;
    int32_t code = tresor__context_create_over(&world.faulty.sys, &options, &context);
    if (code != TRESOR_OK) {
        *error = (struct tresor_error){.code = code};
        return code;
    }
    return tresor__zigllama_mapper_over(&world.faulty.sys, &world.allocator, FILES, context, mapper,
                                        error);
}

static struct tresor_zigllama_mapper *must_make(void)
{
    struct tresor_zigllama_mapper *mapper = NULL;
    struct tresor_error error = {0};
    assert_error(make_mapper(&mapper, &error), TRESOR_OK);
    return mapper;
}

static void must_destroy(struct tresor_zigllama_mapper **mapper)
{
    assert_error(tresor_zigllama_mapper_destroy(mapper, NULL), TRESOR_OK);
    assert_null(*mapper);
    mapped_must_be_clean(&world);
}

static struct tresor_zigllama_map *must_load(struct tresor_zigllama_mapper *mapper, uint32_t flags)
{
    struct tresor_zigllama_map *map = NULL;
    assert_error(tresor_zigllama_load_file(mapper, world.path, flags, &map, NULL), TRESOR_OK);
    return map;
}

static struct tresor_zigllama_model *must_open(struct tresor_zigllama_mapper *mapper,
                                               const char *path, uint32_t flags)
{
    struct tresor_zigllama_model *model = NULL;
    assert_error(tresor_zigllama_load_gguf(mapper, path, flags, &model, NULL), TRESOR_OK);
    return model;
}

static struct tresor_zigllama_stats usage_of(struct tresor_zigllama_mapper *mapper)
{
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    assert_error(tresor_zigllama_get_usage(mapper, &stats, NULL), TRESOR_OK);
    return stats;
}

/* --- files --- */

static void maps_stay_where_they_are(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_map *maps[FILES];
    struct tresor_zigllama_map *more = NULL;
    const void *first = NULL;
    const void *again = NULL;
    (void)state;
    for (uint32_t i = 0; i < FILES; i++) {
        maps[i] = must_load(mapper, 0);
        assert_error(tresor_zigllama_slice(maps[0], 0, world.size_bytes, 1, 1, &again, NULL), TRESOR_OK);
        first = first ? first : again;
        assert_ptr_equal(first, again);
        assert_memory_equal(first, world.bytes, world.size_bytes);
    }
    assert_error(tresor_zigllama_load_file(mapper, world.path, 0, &more, NULL), TRESOR_ERROR_AGAIN);
    assert_null(more);
    more = maps[1];
    assert_error(tresor_zigllama_unmap(&more, NULL), TRESOR_ERROR_INVALID);
    assert_ptr_equal(more, maps[1]);
    struct tresor_zigllama_stats usage = usage_of(mapper);
    assert_int_equal(usage.total_bytes, FILES * world.size_bytes);
    assert_int_equal(usage.page_count, FILES * (MAPPED_PAGES + 1));
    assert_int_equal(usage.is_resident_known, 1);
    assert_int_equal(usage.resident_bytes, FILES * (MAPPED_PAGES + 1) * world.page_bytes);
    assert_int_equal(usage.is_locked, 0);
    must_destroy(&mapper);
    assert_error(tresor_zigllama_mapper_destroy(&mapper, NULL), TRESOR_OK);
    assert_error(tresor_zigllama_mapper_destroy(NULL, NULL), TRESOR_OK);
}

static void an_empty_mapper_uses_nothing(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    (void)state;
    struct tresor_zigllama_stats usage = usage_of(mapper);
    assert_int_equal(usage.total_bytes + usage.page_count + usage.resident_bytes, 0);
    assert_int_equal(usage.is_resident_known, 1);
    assert_int_equal(usage.page_bytes, world.page_bytes);
    must_destroy(&mapper);
}

static void a_refused_lock_does_not_end_a_load(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    (void)state;
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_LOCK, .nth = 1, .os_errno = ENOMEM};
    struct tresor_zigllama_map *map = must_load(mapper, LOCK);
    assert_error(tresor_zigllama_get_stats(map, &stats, NULL), TRESOR_OK);
    assert_int_equal(stats.is_locked, 0);
    assert_error(stats.lock_code, TRESOR_ERROR_LOCK_LIMIT);
    assert_error(usage_of(mapper).lock_code, TRESOR_ERROR_LOCK_LIMIT);
    must_load(mapper, LOCK | PREFAULT);
    assert_int_equal(usage_of(mapper).is_locked, 1);
    assert_int_equal(range_set_bytes(&world.faulty.locked), (MAPPED_PAGES + 1) * world.page_bytes);
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_LOCK, .nth = 3, .persistent = true, .os_errno = ENOMEM};
    must_open(mapper, model_set_path(&models[MODEL_GGUF]), LOCK);
    assert_error(usage_of(mapper).lock_code, TRESOR_ERROR_LOCK_LIMIT);
    must_destroy(&mapper);
}

static void files_that_cannot_be_loaded(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_map *map = NULL;
    struct tresor_error error = {0};
    (void)state;
    assert_error(tresor_zigllama_load_file(mapper, world.empty, 0, &map, &error), TRESOR_ERROR_TRUNCATED);
    assert_error(tresor_zigllama_load_file(mapper, "/nowhere", 0, &map, &error), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_zigllama_load_file(mapper, world.path, 4, &map, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_file(mapper, NULL, 0, &map, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_file(mapper, world.path, 0, NULL, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_file(NULL, world.path, 0, &map, &error), TRESOR_ERROR_INVALID);
    world.faulty.plan = (struct faulty_plan){
        .row = FAULTY_ADVISE_MEMORY, .nth = world.faulty.counts[FAULTY_ADVISE_MEMORY] + 2, .os_errno = EIO};
    assert_error(tresor_zigllama_load_file(mapper, world.path, PREFAULT, &map, &error), TRESOR_ERROR_IO);
    assert_null(map);
    assert_int_equal(usage_of(mapper).total_bytes, 0);
    must_destroy(&mapper);
}

static void an_unmap_that_is_refused_may_be_tried_again(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_error error = {0};
    (void)state;
    struct tresor_zigllama_map *first = must_load(mapper, 0);
    must_load(mapper, 0);
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_UNMAP, .nth = 2, .os_errno = ENOMEM};
    assert_error(tresor_zigllama_mapper_destroy(&mapper, &error), TRESOR_ERROR_MAP_REFUSED);
    assert_non_null(mapper);
    const void *data = NULL;
    assert_error(tresor_zigllama_slice(first, 0, world.size_bytes, 1, 1, &data, NULL), TRESOR_OK);
    assert_memory_equal(data, world.bytes, world.size_bytes);
    must_destroy(&mapper);
}

/* --- models --- */

static void must_be_tensor(struct tresor_zigllama_model *model, const struct model_set *set, uint32_t tensor)
{
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    char name[16];
    snprintf(name, sizeof name, "%u", tensor);
    assert_error(tresor_zigllama_model_tensor(model, name, TRESOR_ADVICE_RANDOM, &view, NULL), TRESOR_OK);
    assert_error(tresor_source_get_file(model->mapper->context, model->source, view.file, &file), TRESOR_OK);
    const struct model_part *part = model_set_part(set, file.path);
    assert_non_null(part);
    assert_true(view.offset_bytes + view.data_bytes <= part->bytes.size);
    assert_memory_equal(view.data, part->bytes.data + view.offset_bytes, view.data_bytes);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < view.rank; i++)
        elements *= view.shape[i];
    assert_int_equal(view.element_count, elements);
    assert_int_equal(view.shape_order, TRESOR_SHAPE_INNERMOST_FIRST);
    assert_error(view.advice_code, TRESOR_OK);
    assert_int_equal(view.data_bytes, elements * (view.dtype == TRESOR_DTYPE_F32 ? 4 : 1));
}

static void tensors_are_found_by_name(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3 * 2; i++) {
        enum model_kind kind = i % 2 ? MODEL_SHARDS : MODEL_GGUF;
        uint32_t flags = i / 2 == 0 ? 0 : i / 2 == 1 ? PREFAULT : LOCK;
        mapped_reset(&world);
        struct tresor_zigllama_mapper *mapper = must_make();
        struct tresor_zigllama_model *model = must_open(mapper, model_set_path(&models[kind]), flags);
        struct tresor_source_info info = {.size_bytes = sizeof info};
        assert_error(tresor_zigllama_model_info(model, &info, NULL), TRESOR_OK);
        assert_int_equal(info.file_count, kind == MODEL_SHARDS ? 3 : 1);
        assert_true(info.tensor_count > 0);
        for (uint32_t k = 0; k < 2 * info.tensor_count; k++)
            must_be_tensor(model, &models[kind], k % info.tensor_count);
        assert_int_equal(usage_of(mapper).is_locked, flags == LOCK);
        must_destroy(&mapper);
    }
}

/* What is looked up stays in memory, and so counts, until the mapper ends. */
static void only_what_is_asked_for_is_brought_in(void **state)
{
    static const struct model_tensor large[] = {{100000, MODEL_NEXT, false}, {100000, MODEL_NEXT, false}};
    struct model_set set;
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    char folder[TEMPORARY_PATH_BYTES];
    (void)state;
    temporary_make(folder);
    model_set_make_gguf(&set, folder, large, 2);
    model_set_write(&set);
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, model_set_path(&set), 0);
    tresor_get_counters(mapper->context, &counters);
    assert_int_equal(counters.mapped_bytes, 0);
    assert_int_equal(usage_of(mapper).resident_bytes, 0);
    assert_error(tresor_zigllama_model_tensor(model, "1", TRESOR_ADVICE_NORMAL, &view, NULL), TRESOR_OK);
    tresor_get_counters(mapper->context, &counters);
    assert_in_range(counters.mapped_bytes, 100000, 100000 + 2 * world.page_bytes);
    assert_in_range(usage_of(mapper).resident_bytes, 100000, 100000 + 2 * world.page_bytes);
    assert_int_equal(usage_of(mapper).total_bytes, set.parts[0].bytes.size);
    assert_int_equal(usage_of(mapper).is_resident_known, 1);
    must_destroy(&mapper);
    model_set_free(&set);
    temporary_remove(folder);
}

static void what_is_no_tensor(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, model_set_path(&models[MODEL_GGUF]), 0);
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    struct tresor_source_info info = {.size_bytes = sizeof info};
    (void)state;
    assert_error(tresor_zigllama_model_tensor(model, "none", 0, &view, NULL), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_zigllama_model_tensor(model, "0", TRESOR_ADVICE_DONTNEED, &view, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_model_tensor(model, NULL, 0, &view, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_model_tensor(model, "0", 0, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_model_tensor(NULL, "0", 0, &view, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_model_info(NULL, &info, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_model_info(model, NULL, NULL), TRESOR_ERROR_INVALID);
    world.faulty.plan = (struct faulty_plan){
        .row = FAULTY_MAP, .nth = world.faulty.counts[FAULTY_MAP] + 1, .os_errno = ENOMEM};
    struct tresor_error error = {0};
    assert_error(tresor_zigllama_model_tensor(model, "0", 0, &view, &error), TRESOR_ERROR_MAP_REFUSED);
    assert_error(error.code, TRESOR_ERROR_MAP_REFUSED);
    assert_error(tresor_zigllama_model_tensor(model, "0", 0, &view, NULL), TRESOR_OK);
    must_destroy(&mapper);
}

static int32_t refuse_random(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    return call->row == FAULTY_ADVISE_MEMORY && call->kind == TRESOR__SYS_MEMORY_RANDOM ? EAGAIN : 0;
}

static void advice_that_is_refused_is_told(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, model_set_path(&models[MODEL_GGUF]), PREFAULT);
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    (void)state;
    world.faulty.judge = refuse_random;
    assert_error(tresor_zigllama_model_tensor(model, "0", TRESOR_ADVICE_RANDOM, &view, NULL), TRESOR_OK);
    assert_error(view.advice_code, TRESOR_ERROR_UNSUPPORTED);
    assert_error(tresor_zigllama_model_tensor(model, "0", TRESOR_ADVICE_NORMAL, &view, NULL), TRESOR_OK);
    assert_error(view.advice_code, TRESOR_OK);
    must_destroy(&mapper);
}

static void what_is_no_gguf(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = NULL;
    struct tresor_error error = {0};
    (void)state;
    assert_error(tresor_zigllama_load_gguf(mapper, junk_path, 0, &model, &error), TRESOR_ERROR_FORMAT);
    assert_error(error.code, TRESOR_ERROR_FORMAT);
    /* Also where this build reads it: it is another format. */
    assert_error(tresor_zigllama_load_gguf(mapper, model_set_path(&models[MODEL_INDEX]), 0, &model, &error),
                 TRESOR_ERROR_FORMAT);
    assert_error(tresor_zigllama_load_gguf(mapper, "/nowhere", 0, &model, &error), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_zigllama_load_gguf(mapper, world.empty, 0, &model, &error), TRESOR_ERROR_TRUNCATED);
    assert_error(tresor_zigllama_load_gguf(mapper, typed_path, 4, &model, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_gguf(mapper, NULL, 0, &model, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_gguf(NULL, typed_path, 0, &model, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_load_gguf(mapper, typed_path, 0, NULL, &error), TRESOR_ERROR_INVALID);
    assert_null(model);
    for (uint32_t i = 0; i < FILES; i++)
        must_open(mapper, typed_path, 0);
    assert_error(tresor_zigllama_load_gguf(mapper, typed_path, 0, &model, &error), TRESOR_ERROR_AGAIN);
    must_destroy(&mapper);
}

/* --- metadata --- */

/* What each accessor says of a key: a value, or INVALID where it has none. */
struct typed {
    const char *key;
    bool is_unsigned;
    uint64_t as_unsigned;
    bool is_signed;
    int64_t as_signed;
    bool is_real;
    double as_real;
    bool is_bool;
    int32_t as_bool;
    const char *as_text;
};

static void must_be(struct tresor_zigllama_model *model, const struct typed *typed)
{
    uint64_t number = 0;
    int64_t signed_number = 0;
    double real = 0;
    int32_t truth = 2;
    const char *text = NULL;
    uint64_t length = 0;
    assert_error(tresor_zigllama_get_unsigned(model, typed->key, &number, NULL),
                 typed->is_unsigned ? TRESOR_OK : TRESOR_ERROR_INVALID);
    assert_true(number == typed->as_unsigned);
    assert_error(tresor_zigllama_get_signed(model, typed->key, &signed_number, NULL),
                 typed->is_signed ? TRESOR_OK : TRESOR_ERROR_INVALID);
    assert_true(signed_number == typed->as_signed);
    assert_error(tresor_zigllama_get_real(model, typed->key, &real, NULL),
                 typed->is_real ? TRESOR_OK : TRESOR_ERROR_INVALID);
    assert_true(real == typed->as_real);
    assert_error(tresor_zigllama_get_bool(model, typed->key, &truth, NULL),
                 typed->is_bool ? TRESOR_OK : TRESOR_ERROR_INVALID);
    assert_int_equal(truth, typed->is_bool ? typed->as_bool : 2);
    assert_error(tresor_zigllama_get_string(model, typed->key, &text, &length, NULL),
                 typed->as_text ? TRESOR_OK : TRESOR_ERROR_INVALID);
    if (typed->as_text) {
        assert_int_equal(length, strlen(typed->as_text));
        assert_memory_equal(text, typed->as_text, length);
    }
}

static void values_are_typed(void **state)
{
    static const struct typed cases[] = {
        {.key = "u8", .is_unsigned = true, .as_unsigned = 200, .is_signed = true, .as_signed = 200},
        {.key = "i8", .is_signed = true, .as_signed = -56},
        {.key = "u16", .is_unsigned = true, .as_unsigned = 0xf234, .is_signed = true, .as_signed = 0xf234},
        {.key = "i16", .is_unsigned = true, .as_unsigned = 0x7234, .is_signed = true, .as_signed = 0x7234},
        {.key = "u32", .is_unsigned = true, .as_unsigned = UINT32_MAX, .is_signed = true, .as_signed = UINT32_MAX},
        {.key = "i32", .is_signed = true, .as_signed = -1},
        {.key = "u64", .is_unsigned = true, .as_unsigned = UINT64_MAX},
        {.key = "i64", .is_signed = true, .as_signed = INT64_MIN},
        {.key = "f32", .is_real = true, .as_real = 0.5},
        {.key = "f64", .is_real = true, .as_real = -0.25},
        {.key = "yes", .is_bool = true, .as_bool = 1},
        {.key = "no", .is_bool = true, .as_bool = 0},
        {.key = "text", .as_text = "llama"},
        {.key = "blank", .as_text = ""},
        {.key = "numbers"},
        {.key = "words"},
    };
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, typed_path, PREFAULT);
    (void)state;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_be(model, &cases[i]);
    must_destroy(&mapper);
}

static void arrays_have_their_type(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, typed_path, 0);
    const void *data = NULL;
    uint64_t count = 99;
    (void)state;
    assert_error(tresor_zigllama_get_array(model, "numbers", TRESOR_METADATA_U32, &data, &count, NULL), TRESOR_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(data, ((uint8_t[]){7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0}), 12);
    assert_error(tresor_zigllama_get_array(model, "words", TRESOR_METADATA_STRING, &data, &count, NULL), TRESOR_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(data, ((uint8_t[]){1, 0, 0, 0, 0, 0, 0, 0, 'a', 2, 0, 0, 0, 0, 0, 0, 0, 'b', 'c'}), 19);
    assert_error(tresor_zigllama_get_array(model, "none", TRESOR_METADATA_F32, &data, &count, NULL), TRESOR_OK);
    assert_int_equal(count, 0);
    assert_error(tresor_zigllama_get_array(model, "numbers", TRESOR_METADATA_I32, &data, &count, NULL),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_array(model, "text", TRESOR_METADATA_STRING, &data, &count, NULL),
                 TRESOR_ERROR_INVALID);
    must_destroy(&mapper);
}

static void keys_that_are_not_there(void **state)
{
    struct tresor_zigllama_mapper *mapper = must_make();
    struct tresor_zigllama_model *model = must_open(mapper, typed_path, 0);
    uint64_t number = 0;
    const void *data = NULL;
    struct tresor_error error = {0};
    (void)state;
    assert_error(tresor_zigllama_get_unsigned(model, "nothing", &number, &error), TRESOR_ERROR_NOT_FOUND);
    assert_error(error.code, TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_zigllama_get_signed(model, "", NULL, NULL), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_zigllama_get_real(model, NULL, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_bool(NULL, "yes", NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_unsigned(model, "u8", NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_signed(model, "u8", NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_real(model, "f32", NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_bool(model, "yes", NULL, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_string(model, "text", NULL, &number, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_array(model, "words", TRESOR_METADATA_STRING, &data, NULL, NULL),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_get_array(model, "else", 0, &data, &number, NULL), TRESOR_ERROR_NOT_FOUND);
    must_destroy(&mapper);
}

/* --- making a mapper, and threads --- */

static void options_are_checked(void **state)
{
    struct tresor_zigllama_mapper *mapper = NULL;
    struct tresor_zigllama_mapper_options options = {.size_bytes = sizeof options, .files_max = 4097};
    struct tresor_zigllama_map *map = NULL;
    (void)state;
    assert_error(tresor_zigllama_mapper_create(&options, &mapper, NULL), TRESOR_ERROR_INVALID);
    options.files_max = 1;
    options.reserved = 1;
    assert_error(tresor_zigllama_mapper_create(&options, &mapper, NULL), TRESOR_ERROR_INVALID);
    options.reserved = 0;
    options.allocator.free = world.allocator.free;
    assert_error(tresor_zigllama_mapper_create(&options, &mapper, NULL), TRESOR_ERROR_INVALID);
    options.allocator = world.allocator;
    options.size_bytes = 1;
    assert_error(tresor_zigllama_mapper_create(&options, &mapper, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_zigllama_mapper_create(&options, NULL, NULL), TRESOR_ERROR_INVALID);
    assert_null(mapper);
    options.size_bytes = sizeof options;
    assert_error(tresor_zigllama_mapper_create(&options, &mapper, NULL), TRESOR_OK);
    must_load(mapper, PREFAULT);
    assert_error(tresor_zigllama_load_file(mapper, world.path, 0, &map, NULL), TRESOR_ERROR_AGAIN);
    must_open(mapper, typed_path, 0);
    assert_true(world.memory.outstanding_bytes > 0);
    must_destroy(&mapper);
    assert_error(tresor_zigllama_mapper_create(NULL, &mapper, NULL), TRESOR_OK);
    for (uint32_t i = 0; i < 16; i++)
        must_load(mapper, 0);
    assert_error(tresor_zigllama_load_file(mapper, world.path, 0, &map, NULL), TRESOR_ERROR_AGAIN);
    must_destroy(&mapper);
    assert_error(tresor_zigllama_get_usage(NULL, NULL, NULL), TRESOR_ERROR_INVALID);
}

static void *ask_from_elsewhere(void *argument)
{
    struct tresor_zigllama_model *model = argument;
    struct tresor_zigllama_mapper *mapper = model->mapper;
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    uint64_t number = 0;
    bool is_refused =
        tresor_zigllama_model_tensor(model, "0", 0, &view, NULL) == TRESOR_ERROR_THREAD &&
        tresor_zigllama_get_unsigned(model, "u8", &number, NULL) == TRESOR_ERROR_THREAD &&
        tresor_zigllama_get_usage(mapper, &stats, NULL) == TRESOR_ERROR_THREAD &&
        tresor_zigllama_mapper_destroy(&mapper, NULL) == TRESOR_ERROR_THREAD && mapper != NULL;
    return is_refused ? model : NULL;
}

static void another_thread_is_refused(void **state)
{
    (void)state;
    for (uint32_t pinned = 0; pinned < 2; pinned++) {
        struct tresor_zigllama_mapper *mapper = must_make();
        struct tresor_zigllama_model *model = must_open(mapper, model_set_path(&models[MODEL_GGUF]), 0);
        pthread_t thread;
        void *answer = NULL;
        must_load(mapper, 0);
        if (pinned)
            must_be_tensor(model, &models[MODEL_GGUF], 0);
        assert_int_equal(pthread_create(&thread, NULL, ask_from_elsewhere, model), 0);
        pthread_join(thread, &answer);
        assert_ptr_equal(answer, model);
        assert_true(usage_of(mapper).total_bytes > world.size_bytes);
        must_be_tensor(model, &models[MODEL_GGUF], 0);
        must_destroy(&mapper);
    }
}

/* --- faults --- */

static void check(int32_t code, const struct tresor_error *error)
{
    assert_true(code <= 0 && strcmp(tresor_error_name(code), "UNKNOWN") != 0);
    if (code != TRESOR_OK)
        assert_error(error->code, code);
}

static void use_model(struct tresor_zigllama_mapper *mapper, uint32_t flags)
{
    struct tresor_zigllama_model *model = NULL;
    struct tresor_zigllama_view view = {.size_bytes = sizeof view};
    struct tresor_error error = {0};
    const struct model_set *set = &models[MODEL_GGUF];
    int32_t code = tresor_zigllama_load_gguf(mapper, model_set_path(set), flags, &model, &error);
    check(code, &error);
    assert_int_equal(code == TRESOR_OK, model != NULL);
    if (!model)
        return;
    code = tresor_zigllama_model_tensor(model, "3", TRESOR_ADVICE_RANDOM, &view, &error);
    check(code, &error);
    if (code == TRESOR_OK)
        assert_memory_equal(view.data, set->parts[0].bytes.data + view.offset_bytes, view.data_bytes);
}

static void use_mapper(struct mapped *mapped)
{
    struct tresor_zigllama_mapper *mapper = NULL;
    struct tresor_zigllama_map *map = NULL;
    struct tresor_zigllama_stats stats = {.size_bytes = sizeof stats};
    struct tresor_error error = {0};
    int32_t code = make_mapper(&mapper, &error);
    check(code, &error);
    assert_int_equal(code == TRESOR_OK, mapper != NULL);
    if (!mapper)
        return;
    code = tresor_zigllama_load_file(mapper, mapped->path, LOCK | PREFAULT, &map, &error);
    check(code, &error);
    assert_int_equal(code == TRESOR_OK, map != NULL);
    use_model(mapper, 0);
    use_model(mapper, LOCK | PREFAULT);
    check(tresor_zigllama_get_usage(mapper, &stats, &error), &error);
    for (uint32_t i = 0; mapper && i < 2; i++)
        check(tresor_zigllama_mapper_destroy(&mapper, &error), &error);
    if (mapper) {
        mapped->faulty.plan.nth = 0;
        check(tresor_zigllama_mapper_destroy(&mapper, NULL), &error);
    }
    assert_null(mapper);
}

static void every_call_fails(void **state)
{
    (void)state;
    mapped_fail_each(&world, use_mapper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(maps_stay_where_they_are, reset),
        cmocka_unit_test_setup(an_empty_mapper_uses_nothing, reset),
        cmocka_unit_test_setup(a_refused_lock_does_not_end_a_load, reset),
        cmocka_unit_test_setup(files_that_cannot_be_loaded, reset),
        cmocka_unit_test_setup(an_unmap_that_is_refused_may_be_tried_again, reset),
        cmocka_unit_test_setup(tensors_are_found_by_name, reset),
        cmocka_unit_test_setup(only_what_is_asked_for_is_brought_in, reset),
        cmocka_unit_test_setup(what_is_no_tensor, reset),
        cmocka_unit_test_setup(advice_that_is_refused_is_told, reset),
        cmocka_unit_test_setup(what_is_no_gguf, reset),
        cmocka_unit_test_setup(values_are_typed, reset),
        cmocka_unit_test_setup(arrays_have_their_type, reset),
        cmocka_unit_test_setup(keys_that_are_not_there, reset),
        cmocka_unit_test_setup(options_are_checked, reset),
        cmocka_unit_test_setup(another_thread_is_refused, reset),
        cmocka_unit_test_setup(every_call_fails, reset),
    };
    return cmocka_run_group_tests_name("compat_zigllama_mapper", tests, setup, teardown);
}
