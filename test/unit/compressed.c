/* SPDX-License-Identifier: MIT */
/* Compressed models: what can be done with them, what damage and bombs come to, and what they cost and give back. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tresor/choice.h>

#include "context.h"
#include "support/compressing.h"
#include "support/host_origin.h"
#include "support/random.h"

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct session session;
    struct host_origin host;
} world;

static const uint32_t kinds[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};
enum {
    KINDS = sizeof kinds / sizeof kinds[0],
    PAGE_BYTES = 4096,
};

static void start_with(const struct tresor_context_options *options)
{
    world.memory = (struct failing_allocator){0};
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    world.faulty.has_workers = options->backend > TRESOR_BACKEND_SYNC;
    assert_error(session_create(&world.session, &world.faulty.sys, options), TRESOR_OK);
}

static void start(uint64_t budget_bytes)
{
    struct tresor_context_options options = session_options(&world.memory);
    options.budget_bytes = budget_bytes;
    start_with(&options);
}

static void end(void)
{
    assert_null(session_destroy(&world.session));
    assert_null(faulty_sys_check(&world.faulty));
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static struct tresor_counters counters(void)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    tresor_get_counters(world.session.context, &counters);
    return counters;
}

/* False where the build has not got it. */
static bool open_kind(enum host_origin_kind origin, uint32_t kind)
{
    if (!host_origin_init_packed(&world.host, origin, &world.set, kind))
        return false;
    start(0);
    assert_error(host_origin_open(&world.host, &world.session, &world.faulty), TRESOR_OK);
    return true;
}

static uint64_t decoded_pages(void)
{
    return (world.host.part->bytes.size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static void close_kind(void)
{
    uint64_t charged = counters().charged_bytes;
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_int_equal(counters().charged_bytes, charged - decoded_pages());
    end();
    assert_null(host_origin_end(&world.host));
}

static int32_t load(uint32_t strategy)
{
    return session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session), strategy);
}

static uint32_t tensor_count(void)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_info(world.session.context, world.session.source, &info), TRESOR_OK);
    return info.tensor_count;
}

/* --- what can be done --- */

static void lives_through_everything(void)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_file(world.session.context, world.session.source, 0, &info), TRESOR_OK);
    assert_int_equal(info.file_bytes, world.host.part->bytes.size);
    assert_int_equal(info.stored_bytes, world.host.packed.size);
    assert_int_equal(info.compression, tresor__compression_sniff(world.host.packed.data, world.host.packed.size));
    assert_int_equal(info.is_mappable, 0);
    assert_int_equal(info.direct, 0);
    assert_int_equal(counters().charged_bytes, decoded_pages());
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_ERROR_UNSUPPORTED);
    assert_int_equal(session_verify(&world.session, &world.set), 0);
    uint64_t effects = counters().effects;
    assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    assert_int_equal(counters().effects, effects); /* all is there */
    assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
    assert_error(session_do(&world.session, TRESOR_VERB_SWAP, session_all(&world.session), TRESOR_STRATEGY_MMAP),
                 TRESOR_ERROR_UNSUPPORTED);
    assert_error(session_do(&world.session, TRESOR_VERB_SWAP, session_all(&world.session), TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_error(session_do(&world.session, TRESOR_VERB_ADVISE, session_all(&world.session), TRESOR_ADVICE_DONTNEED),
                 TRESOR_ERROR_UNSUPPORTED);
    assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
    assert_error(session_do(&world.session, TRESOR_VERB_STREAM, session_all(&world.session), 0), TRESOR_OK);
    assert_true(world.session.chunk_bytes > 0);
    uint64_t charged = counters().charged_bytes; /* with a stage */
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, session_all(&world.session), 0), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), 0);
    assert_int_equal(counters().charged_bytes, charged);
    assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), tensor_count());
}

static void loads(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (enum host_origin_kind origin = 0; origin < HOST_ORIGINS; origin++) {
            if (!open_kind(origin, kinds[i]))
                continue;
            world.session.set = &world.set;
            lives_through_everything();
            close_kind();
        }
}

static void copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        if (!open_kind(HOST_PATH, kinds[i]))
            continue;
        for (uint32_t tensor = 0; tensor < tensor_count(); tensor++) {
            struct tresor_tensor_info info = {.size_bytes = sizeof info};
            struct tresor_request request = {0};
            assert_error(tresor_source_get_tensor(world.session.context, world.session.source, tensor, &info), TRESOR_OK);
            uint8_t *copy = malloc(info.tensor_bytes + 1);
            assert_non_null(copy);
            int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, tensor), 0,
                                       info.tensor_bytes, copy, NULL, &request);
            assert_error(session_note(&world.session, code, request), TRESOR_OK);
            assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
            assert_memory_equal(copy, world.host.part->bytes.data + info.offset_bytes, info.tensor_bytes);
            free(copy);
        }
        close_kind();
    }
}

static void choices_say_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct tresor_choice choice;
        if (!open_kind(HOST_PATH, kinds[i]))
            continue;
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        tresor_get_choice(world.session.context, session_tensor(&world.session, 1), &choice);
        assert_int_equal(choice.strategy, TRESOR_STRATEGY_READ);
        assert_int_equal(choice.strategy_reason, TRESOR_REASON_SOURCE);
        assert_int_equal(choice.direct_reason, TRESOR_REASON_SOURCE);
        close_kind();
    }
}

/* --- options, damage and bombs --- */

/* Write what is to be opened in place of the model, by its path; the open's end. */
static struct tresor_event open_bytes(const struct bytes *bytes, uint64_t max_decoded_bytes, uint32_t max_ratio)
{
    char path[TEMPORARY_PATH_BYTES + 8];
    struct tresor_event done = {0};
    struct tresor_request request = {0};
    snprintf(path, sizeof path, "%s/packed", world.folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    assert_int_equal(fclose(file), 0);
    const struct tresor_source_origin origin = {.size_bytes = sizeof origin, .path = path};
    const struct tresor_source_options options = {
        .size_bytes = sizeof options, .max_decoded_bytes = max_decoded_bytes, .max_ratio = max_ratio};
    int32_t code = tresor_source_open_with(world.session.context, &origin, &options, &world.session.source, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    session_finish(&world.session, request, &done);
    unlink(path);
    return done;
}

static void assert_opens(const struct bytes *bytes, uint64_t max_decoded_bytes, uint32_t max_ratio)
{
    assert_error(open_bytes(bytes, max_decoded_bytes, max_ratio).error.code, TRESOR_OK);
    assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_int_equal(counters().charged_bytes, 0);
}

static struct tresor_error assert_refused(const struct bytes *bytes, uint64_t max_decoded_bytes, uint32_t max_ratio,
                                          int32_t code)
{
    struct tresor_event done = open_bytes(bytes, max_decoded_bytes, max_ratio);
    assert_error(done.error.code, code);
    assert_int_equal(counters().charged_bytes, 0);
    return done.error;
}

static void limits_are_exact(void **state)
{
    const struct bytes *model = &world.set.parts[0].bytes;
    (void)state;
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], model->data, model->size))
            continue;
        uint32_t ratio = (uint32_t)((model->size + file.size - 1) / file.size);
        assert_opens(&file, model->size, 0);
        struct tresor_error error = assert_refused(&file, model->size - 1, 0, TRESOR_ERROR_LIMIT);
        assert_int_equal(error.got, model->size - 1);
        assert_opens(&file, 0, ratio);
        assert_opens(&file, 0, UINT32_MAX);
        if (ratio > 1)
            assert_refused(&file, 0, ratio - 1, TRESOR_ERROR_LIMIT);
        bytes_free(&file);
    }
    end();
}

/* 64 MiB of zeros: refused by the ratio, or by the bytes, before memory for more than these was had. */
static void bombs_cost_what_is_allowed(void **state)
{
    enum { BOMB_BYTES = 64 << 20, ALLOWED_BYTES = 1 << 20 };
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    (void)state;
    assert_non_null(zeros);
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], zeros, BOMB_BYTES))
            continue;
        assert_refused(&file, ALLOWED_BYTES, UINT32_MAX, TRESOR_ERROR_LIMIT);
        struct tresor_error error = assert_refused(&file, 0, 10, TRESOR_ERROR_LIMIT);
        assert_int_equal(error.got, file.size * 10);
        bytes_free(&file);
    }
    free(zeros);
    end();
}

static void cut_and_damaged_files(void **state)
{
    const struct bytes *model = &world.set.parts[0].bytes;
    (void)state;
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], model->data, model->size))
            continue;
        for (size_t cut = 20; cut < file.size; cut += file.size / 13) {
            struct bytes part = {.data = file.data, .size = cut};
            struct tresor_error error = assert_refused(&part, 0, 0, TRESOR_ERROR_TRUNCATED);
            assert_int_equal(error.offset, cut);
        }
        size_t good = file.size;
        bytes_put(&file, "and some more bytes", 19);
        struct tresor_error error = assert_refused(&file, 0, 0, TRESOR_ERROR_CORRUPT);
        assert_in_range(error.offset, good, good + 2);
        file.size = good;
        file.data[good / 2] ^= 0x55;
        struct tresor_event done = open_bytes(&file, 0, 0);
        assert_error(done.error.code, TRESOR_ERROR_CORRUPT);
        bytes_free(&file);
    }
    end();
}

/* What comes out is no model, or is compressed once more, which nobody looks into. */
static void what_is_no_model(void **state)
{
    const struct bytes *model = &world.set.parts[0].bytes;
    (void)state;
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes once = {0};
        struct bytes twice = {0};
        struct bytes nothing = {0};
        if (!compress_frame(&once, kinds[i], model->data, model->size))
            continue;
        compress_frame(&twice, kinds[i], once.data, once.size);
        compress_frame(&nothing, kinds[i], "", 0);
        assert_refused(&twice, 0, 0, TRESOR_ERROR_FORMAT);
        assert_refused(&nothing, 0, 0, TRESOR_ERROR_TRUNCATED);
        bytes_free(&once);
        bytes_free(&twice);
        bytes_free(&nothing);
    }
    end();
}

static void seekable_files_load(void **state)
{
    const struct bytes *model = &world.set.parts[0].bytes;
    struct bytes file = {0};
    (void)state;
    start(0);
    if (compress_seekable(&file, model->data, model->size, 5000))
        assert_opens(&file, 0, 0);
    bytes_free(&file);
    end();
}

/* One of several files cannot come alone. */
static void shards_are_refused(void **state)
{
    struct model_set shards;
    (void)state;
    model_set_make(&shards, MODEL_SHARDS, world.folder);
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        const struct bytes *part = &shards.parts[shards.opened].bytes;
        if (compress_frame(&file, kinds[i], part->data, part->size))
            assert_refused(&file, 0, 0, TRESOR_ERROR_UNSUPPORTED);
        bytes_free(&file);
    }
    end();
    model_set_free(&shards);
}

static void options_are_checked(void **state)
{
    const struct tresor_source_origin origin = {.size_bytes = sizeof origin, .path = "x"};
    struct tresor_source_options options = {.size_bytes = sizeof options, .content = 99};
    struct tresor_request request;
    (void)state;
    start(0);
    assert_error(tresor_source_open_with(world.session.context, &origin, &options, &world.session.source, &request),
                 TRESOR_ERROR_INVALID);
    options.content = 0;
    options.max_decoded_bytes = UINT64_MAX;
    assert_error(tresor_source_open_with(world.session.context, &origin, &options, &world.session.source, &request),
                 TRESOR_ERROR_INVALID);
    end();
}

/* --- budgets --- */

/* What is decoded counts from the beginning, is never asked to go, and others go for each other beside it. */
static void budgets_count_what_is_decoded(void **state)
{
    const struct bytes *model = &world.set.parts[0].bytes;
    uint64_t pages = (model->size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], model->data, model->size))
            continue;
        start(pages - PAGE_BYTES);
        assert_refused(&file, 0, 0, TRESOR_ERROR_TOO_BIG);
        end();
        start(pages + pages / 2);
        assert_error(open_bytes(&file, 0, 0).error.code, TRESOR_OK);
        assert_int_equal(counters().charged_bytes, pages);
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        struct tresor_source packed = world.session.source;
        assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
        assert_error(load(TRESOR_STRATEGY_READ), TRESOR_ERROR_TOO_BIG);
        for (uint32_t tensor = 0; tensor < tensor_count(); tensor++) {
            int32_t code = session_do(&world.session, TRESOR_VERB_LOAD, session_tensor(&world.session, tensor),
                                      TRESOR_STRATEGY_READ);
            assert_true(code == TRESOR_OK || code == TRESOR_ERROR_TOO_BIG);
            assert_in_range(counters().charged_bytes, pages, pages + pages / 2);
        }
        assert_true(counters().private_bytes >= pages - PAGE_BYTES);
        assert_error(session_close(&world.session), TRESOR_OK);
        world.session.source = packed;
        assert_int_equal(counters().charged_bytes, pages);
        assert_error(session_close(&world.session), TRESOR_OK);
        assert_int_equal(counters().charged_bytes, 0);
        end();
        bytes_free(&file);
    }
}

/* --- what goes on beside it --- */

/* Any verb on any tensor, in any order: what is there stays right, and the books of its file agree after each. */
static void any_verb_in_any_order(void **state)
{
    static const enum tresor_verb verbs[] = {TRESOR_VERB_LOAD, TRESOR_VERB_EVICT, TRESOR_VERB_LOCK, TRESOR_VERB_UNLOCK,
                                             TRESOR_VERB_SWAP, TRESOR_VERB_STREAM};
    uint64_t seed = 7;
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        if (!open_kind(HOST_PATH, kinds[i]))
            continue;
        const struct tresor__model_file *file = &world.session.context->controller.slots[0].source.model.files[0];
        world.session.set = &world.set;
        for (uint32_t step = 0; step < 100; step++) {
            enum tresor_verb verb = verbs[random_below(&seed, sizeof verbs / sizeof verbs[0])];
            struct tresor_item item = random_once_in(&seed, 8) ? session_all(&world.session)
                                                              : session_tensor(&world.session, random_below(&seed, tensor_count()));
            session_do(&world.session, verb, item, TRESOR_STRATEGY_READ);
            tresor__ledger_check(&file->io.ledger);
            session_verify(&world.session, &world.set);
            assert_true(counters().charged_bytes >= decoded_pages());
        }
        close_kind();
    }
}

static void slices_load(void **state)
{
    static const struct model_tensor tensors[] = {{64 * 1024, MODEL_NEXT, false}, {5000, MODEL_NEXT, false}};
    static const uint32_t slices[] = {8, 0};
    struct model_set set = {0};
    (void)state;
    model_set_make_sliced(&set, world.folder, tensors, slices, 2);
    start(0);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        const uint32_t split = 0;
        if (!compress_frame(&file, kinds[i], set.parts[0].bytes.data, set.parts[0].bytes.size))
            continue;
        assert_error(open_bytes(&file, 0, 0).error.code, TRESOR_OK);
        assert_error(tresor_split(world.session.context, world.session.source, &split, 1), TRESOR_OK);
        assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
        for (uint32_t slice = 0; slice < slices[0]; slice++) {
            struct tresor_item item;
            const void *data = NULL;
            struct tresor_tensor_info info = {.size_bytes = sizeof info};
            assert_error(tresor_source_get_tensor(world.session.context, world.session.source, 0, &info), TRESOR_OK);
            assert_error(tresor_item_of_slice(world.session.context, world.session.source, 0, slice, &item), TRESOR_OK);
            assert_error(tresor_acquire(world.session.context, item, &data), TRESOR_OK);
            assert_memory_equal(data, set.parts[0].bytes.data + info.offset_bytes + slice * 8192, 8192);
            assert_error(tresor_release(world.session.context, item), TRESOR_OK);
        }
        assert_error(session_close(&world.session), TRESOR_OK);
        bytes_free(&file);
    }
    end();
    model_set_free(&set);
}

/* A backend of the host's own, which reads by itself whatever it is told to read. */
static struct {
    struct tresor_effect effects[64];
    uint32_t count;
    uint32_t reads;
} desk;

static void desk_submit(void *cookie, const struct tresor_effect *effects, uint32_t count)
{
    (void)cookie;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(desk.count < sizeof desk.effects / sizeof desk.effects[0]);
        desk.effects[desk.count++] = effects[i];
    }
}

static uint32_t desk_poll(void *cookie, struct tresor_answer *answers, uint32_t limit)
{
    uint32_t count = 0;
    (void)cookie;
    while (count < limit && desk.count > 0) {
        const struct tresor_effect effect = desk.effects[--desk.count];
        if (effect.kind != TRESOR_EFFECT_READ) {
            answers[count++] = tresor_effect_run(&effect);
            continue;
        }
        int64_t value = pread(effect.descriptor, effect.address, (size_t)effect.length_bytes, (off_t)effect.offset_bytes);
        answers[count++] = (struct tresor_answer){.number = effect.number, .value = value};
        desk.reads++;
    }
    return count;
}

static int32_t desk_pending(void *cookie)
{
    (void)cookie;
    return desk.count > 0;
}

static void hosts_read_files_alone(void **state)
{
    static const struct tresor_actor actor = {
        .size_bytes = sizeof actor, .submit = desk_submit, .poll = desk_poll, .pending = desk_pending};
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        const struct bytes *model = &world.set.parts[0].bytes;
        if (!compress_frame(&file, kinds[i], model->data, model->size))
            continue;
        struct tresor_context_options options = session_options(&world.memory);
        options.backend = TRESOR_BACKEND_HOST;
        options.actor = &actor;
        desk.reads = 0;
        start_with(&options);
        world.session.set = &world.set;
        world.session.part = &world.set.parts[0];
        assert_error(open_bytes(&file, 0, 0).error.code, TRESOR_OK);
        uint32_t reads = desk.reads;
        assert_true(reads > 0);
        assert_error(session_do(&world.session, TRESOR_VERB_STREAM, session_all(&world.session), 0), TRESOR_OK);
        assert_true(world.session.chunk_bytes > 0);
        assert_int_equal(desk.reads, reads); /* those were of the decoded bytes */
        assert_error(session_close(&world.session), TRESOR_OK);
        end();
        bytes_free(&file);
    }
}

/* --- cancels --- */

/* After each number of dispatches: the open ends cancelled or done, and nothing is left either way. */
static void cancelled_at_any_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        uint32_t cancelled = 0;
        bool is_done = !host_origin_init_packed(&world.host, HOST_PATH, &world.set, kinds[i]);
        for (uint32_t steps = 0; !is_done; steps++) {
            struct tresor_request request = {0};
            struct tresor_context_options options = session_options(&world.memory);
            options.dispatch_max = 1;
            start_with(&options);
            const struct tresor_source_origin origin = host_origin_of(&world.host);
            int32_t code = tresor_source_open_with(world.session.context, &origin, NULL, &world.session.source, &request);
            assert_error(session_note(&world.session, code, request), TRESOR_OK);
            for (uint32_t step = 0; step < steps && !session_end(&world.session, request); step++)
                session_pump(&world.session);
            is_done = session_end(&world.session, request) != NULL;
            if (!is_done)
                tresor_cancel(world.session.context, request);
            code = session_finish(&world.session, request, NULL);
            assert_true(code == TRESOR_OK || code == TRESOR_ERROR_CANCELLED);
            assert_true(code == TRESOR_OK || !is_done);
            cancelled += code == TRESOR_ERROR_CANCELLED;
            if (code == TRESOR_OK)
                session_close(&world.session);
            assert_int_equal(counters().charged_bytes, 0);
            end();
        }
        if (world.host.packed.data) {
            assert_true(cancelled > 10);
            assert_null(host_origin_end(&world.host));
        }
    }
}

static int setup(void **state)
{
    (void)state;
    temporary_make(world.folder);
    model_set_make(&world.set, MODEL_GGUF, world.folder);
    model_set_write(&world.set);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_set_free(&world.set);
    temporary_remove(world.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads),
        cmocka_unit_test(copies),
        cmocka_unit_test(choices_say_why),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(bombs_cost_what_is_allowed),
        cmocka_unit_test(cut_and_damaged_files),
        cmocka_unit_test(what_is_no_model),
        cmocka_unit_test(seekable_files_load),
        cmocka_unit_test(shards_are_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(budgets_count_what_is_decoded),
        cmocka_unit_test(any_verb_in_any_order),
        cmocka_unit_test(slices_load),
        cmocka_unit_test(hosts_read_files_alone),
        cmocka_unit_test(cancelled_at_any_moment),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
