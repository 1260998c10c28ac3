/* SPDX-License-Identifier: MIT */
/* Sets of files that are not what the opened one says, or what its name says. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "source/model.h"
#include "support/fake_world.h"

static struct fake_world world;

static void begin(enum model_kind kind)
{
    fake_world_init(&world);
    if (kind == MODEL_SHARDS)
        model_set_make_shards(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS, 2);
    else
        model_set_make(&world.set, kind, "/fake");
}

/* What opening the set's part comes to, and of which file that is said. */
static int32_t open_part(uint32_t part, uint32_t *file)
{
    struct tresor_request request = {0};
    struct tresor_event done = {0};
    fake_world_start_context(&world);
    int32_t code = tresor_source_open(world.session.context, world.set.parts[part].path, 0,
                                      &world.session.source, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    code = session_finish(&world.session, request, &done);
    *file = done.error.file;
    if (code == TRESOR_OK)
        fake_world_close(&world);
    else
        fake_world_end(&world);
    return code;
}

static void rename_part(uint32_t part, const char *name)
{
    snprintf(world.set.parts[part].path, MODEL_PATH_BYTES, "/fake/%s", name);
}

/* The name must say which of how many a shard is, and say the same as its header. */
static void names_that_do_not_fit_the_header(void **state)
{
    static const struct {
        const char *name;
        int32_t code;
    } rows[] = {
        {"model-00001-of-00002.gguf", TRESOR_OK},
        {"model-00001-of-00003.gguf", TRESOR_ERROR_SHARD}, /* another count */
        {"other.gguf", TRESOR_ERROR_SHARD},                /* none */
        {"other-00002-of-00002.gguf", TRESOR_ERROR_SHARD}, /* another's place */
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t file = 7;
        begin(MODEL_SHARDS);
        rename_part(0, rows[i].name);
        assert_error(open_part(0, &file), rows[i].code);
    }
}

/* In the place of the second part: a shard without tensors, of a set that has `tensors` of them; 0: it does not say. */
static void put_shard(uint32_t number, uint32_t count, uint32_t tensors)
{
    struct bytes *bytes = &world.set.parts[1].bytes;
    bytes_free(bytes);
    gguf_put_header(bytes, 3, 0, 3);
    gguf_put_key_u32(bytes, "split.no", number);
    gguf_put_key_u32(bytes, "split.count", count);
    gguf_put_key_u32(bytes, "split.tensors.count", tensors);
}

/* One that belongs, but not to a set of that many tensors: one file is of another model. */
static void sets_that_lack_tensors(void **state)
{
    static const struct {
        uint32_t tensors;
        int32_t code;
    } rows[] = {{FAKE_TENSORS / 2, TRESOR_OK},
                {0, TRESOR_OK},
                {FAKE_TENSORS, TRESOR_ERROR_SHARD},
                {1, TRESOR_ERROR_SHARD}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint32_t opened = 0; opened < 2; opened++) {
            uint32_t file = 7;
            begin(MODEL_SHARDS);
            put_shard(1, 2, rows[i].tensors);
            assert_error(open_part(opened, &file), rows[i].code);
        }
}

/* A file of the set that is a good one, of another kind or place. */
static void files_that_do_not_belong(void **state)
{
    uint32_t file = 7;
    (void)state;
    begin(MODEL_SHARDS);
    bytes_free(&world.set.parts[1].bytes);
    safetensors_put_header(&world.set.parts[1].bytes, "{}");
    assert_error(open_part(0, &file), TRESOR_ERROR_SHARD);
    assert_int_equal(file, 1);
    for (uint32_t place = 0; place < 3; place += 2) { /* the first of two, and of three */
        begin(MODEL_SHARDS);
        put_shard(place % 2, 2 + place / 2, 0);
        assert_error(open_part(0, &file), TRESOR_ERROR_SHARD);
        assert_int_equal(file, 1);
    }
    begin(MODEL_SHARDS); /* a file that is no shard at all */
    bytes_free(&world.set.parts[1].bytes);
    gguf_put_header(&world.set.parts[1].bytes, 3, 0, 0);
    assert_error(open_part(0, &file), TRESOR_ERROR_SHARD);
    assert_int_equal(file, 1);
}

/* An index of `count` files with a tensor each. */
static void put_index(struct bytes *bytes, uint32_t count)
{
    char entry[64];
    bytes_put_text(bytes, "{\"weight_map\":{");
    for (uint32_t i = 0; i < count; i++) {
        snprintf(entry, sizeof entry, "%s\"%u\":\"%u.safetensors\"", i > 0 ? "," : "", i, i);
        bytes_put_text(bytes, entry);
    }
    bytes_put_text(bytes, "}}");
}

static void indices_of_too_few_or_too_many_files(void **state)
{
    static const uint32_t counts[] = {0, TRESOR__FILES_MAX + 1};
    static const int32_t codes[] = {TRESOR_ERROR_MALFORMED, TRESOR_ERROR_SHARD};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t file = 7;
        begin(MODEL_INDEX);
        uint32_t opened = world.set.opened;
        bytes_free(&world.set.parts[opened].bytes);
        put_index(&world.set.parts[opened].bytes, counts[i]);
        assert_error(open_part(opened, &file), codes[i]);
    }
}

static void an_index_that_names_itself(void **state)
{
    uint32_t file = 7;
    (void)state;
    begin(MODEL_INDEX);
    uint32_t opened = world.set.opened;
    bytes_free(&world.set.parts[opened].bytes);
    bytes_put_text(&world.set.parts[opened].bytes, "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}");
    assert_error(open_part(opened, &file), TRESOR_ERROR_SHARD);
    assert_int_equal(file, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_do_not_fit_the_header),
        cmocka_unit_test(sets_that_lack_tensors),
        cmocka_unit_test(files_that_do_not_belong),
        cmocka_unit_test(indices_of_too_few_or_too_many_files),
        cmocka_unit_test(an_index_that_names_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
