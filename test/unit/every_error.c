/* SPDX-License-Identifier: MIT */
/* Each error of errors.def, made to happen through the public functions. One without a function here does not compile. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <tresor/tresor.h>

#include "support/bytes.h"
#include "support/fake_world.h"

enum { SHARED = 1, LARGE = 2 };

static struct fake_world world;
static struct tresor__sys generous; /* the world's table, but for a read that says too much */

static struct tresor_context *context(void)
{
    return world.session.context;
}

static struct tresor_error of_code(int32_t code)
{
    return (struct tresor_error){.code = code, .file = TRESOR_NONE, .tensor = TRESOR_NONE};
}

/* What a request that is accepted ends with. */
static struct tresor_error end_of(int32_t code, struct tresor_request request)
{
    struct tresor_event done = {0};
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    session_finish(&world.session, request, &done);
    return done.error;
}

static struct tresor_error opened(const char *path)
{
    struct tresor_request request = {0};
    int32_t code = tresor_source_open(context(), path, 0, &world.session.source, &request);
    return end_of(code, request);
}

/* What becomes of a file of these bytes, which become the world's. */
static struct tresor_error opened_bytes(struct bytes bytes)
{
    fake_world_init(&world);
    world.set.part_count = 1;
    snprintf(world.set.parts[0].path, MODEL_PATH_BYTES, "/model");
    world.set.parts[0].bytes = bytes;
    fake_world_start_context(&world);
    struct tresor_error error = opened("/model");
    fake_world_end(&world);
    return error;
}

static struct tresor_error submitted(enum tresor_verb verb, struct tresor_item item, uint32_t strategy)
{
    struct tresor_request request;
    int32_t code = session_submit(&world.session, verb, &item, 1, strategy, &request);
    if (code != TRESOR_OK)
        return of_code(code);
    struct tresor_event done = {0};
    session_finish(&world.session, request, &done);
    const struct tresor_event *failed = world.session.item_count > 0 ? &world.session.items[0] : NULL;
    return failed ? failed->error : done.error;
}

/* A load of a tensor by reading, of calls of a row that fail. */
static struct tresor_error loaded_badly(enum faulty_row row, int32_t os_errno)
{
    fake_world_open(&world);
    world.rules[0] = (struct fake_rule){.row = row, .os_errno = os_errno};
    struct tresor_error error =
        submitted(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE), TRESOR_STRATEGY_READ);
    fake_world_heal(&world);
    fake_world_close(&world);
    return error;
}

static struct tresor_error opened_badly(int32_t os_errno)
{
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
    fake_world_start_context(&world);
    world.rules[0] = (struct fake_rule){.row = FAULTY_OPEN_FILE, .os_errno = os_errno};
    struct tresor_error error = opened(model_set_path(&world.set));
    fake_world_end(&world);
    return error;
}

/* A GGUF file of one or two tensors with these names. */
static struct tresor_error opened_gguf(uint32_t version, uint32_t rank, const char *first, const char *second)
{
    static const uint64_t shape[8] = {8, 1, 1, 1, 1, 1, 1, 1};
    struct bytes bytes = {0};
    gguf_put_header(&bytes, version, second ? 2 : 1, 0);
    gguf_put_tensor(&bytes, first, rank, shape, 0, 0);
    if (second)
        gguf_put_tensor(&bytes, second, rank, shape, 0, 32);
    bytes_pad(&bytes, 32);
    bytes_put_zeros(&bytes, 64);
    return opened_bytes(bytes);
}

static struct tresor_error make_AGAIN(void)
{
    struct tresor_request first;
    fake_world_init(&world);
    world.options.requests_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &first), TRESOR_OK);
    struct tresor_error error = submitted(TRESOR_VERB_EVICT, item, 0);
    assert_error(session_finish(&world.session, first, NULL), TRESOR_OK);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_INVALID(void)
{
    fake_world_open(&world);
    struct tresor_error error = of_code(tresor_set_strategy(context(), TRESOR_STRATEGY_READ + 1));
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_STALE(void)
{
    fake_world_open(&world);
    struct tresor_item item = session_all(&world.session);
    assert_error(session_close(&world.session), TRESOR_OK);
    struct tresor_error error = submitted(TRESOR_VERB_LOAD, item, 0);
    fake_world_end(&world);
    return error;
}

static void *dispatch(void *code)
{
    *(int32_t *)code = tresor_dispatch(context());
    return NULL;
}

static struct tresor_error make_THREAD(void)
{
    pthread_t thread;
    int32_t code = TRESOR_OK;
    fake_world_open(&world);
    assert_int_equal(pthread_create(&thread, NULL, dispatch, &code), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake_world_close(&world);
    return of_code(code);
}

static struct tresor_error make_BUSY(void)
{
    fake_world_open(&world);
    struct tresor_item item = session_tensor(&world.session, SHARED);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, item, 0), TRESOR_OK);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    world.session.item_count = 0;
    struct tresor_error error = submitted(TRESOR_VERB_EVICT, item, 0);
    assert_error(tresor_release(context(), item), TRESOR_OK);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_NO_MEMORY(void)
{
    return loaded_badly(FAULTY_ADVISE_MEMORY, ENOMEM);
}

static struct tresor_error make_NOT_FOUND(void)
{
    fake_world_init(&world);
    fake_world_start_context(&world);
    struct tresor_error error = opened("/nowhere");
    fake_world_end(&world);
    return error;
}

static struct tresor_error make_PERMISSION(void)
{
    return opened_badly(EACCES);
}

/* As the real system has it, and with the options that it has by itself. */
static struct tresor_error make_NOT_REGULAR(void)
{
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_event done = {0};
    struct tresor_context *real = NULL;
    assert_error(tresor_context_create(NULL, &real), TRESOR_OK);
    assert_error(tresor_source_open(real, "/", 0, &source, &request), TRESOR_OK);
    tresor_finish(real, request, 0, &done);
    assert_error(tresor_context_destroy(real), TRESOR_OK);
    return done.error;
}

static struct tresor_error make_IO(void)
{
    return loaded_badly(FAULTY_READ, EIO);
}

static struct tresor_error make_TRUNCATED(void)
{
    fake_world_open(&world);
    world.fake.files[0].size_bytes = fake_world_tensor(&world, LARGE).offset_bytes + 1;
    struct tresor_error error =
        submitted(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE), TRESOR_STRATEGY_READ);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_CHANGED(void)
{
    struct tresor_request request = {0};
    fake_world_open(&world);
    world.fake.files[0].modified_ns++;
    int32_t code = tresor_source_check(context(), world.session.source, 0, &request);
    struct tresor_error error = end_of(code, request);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_FORMAT(void)
{
    struct bytes bytes = {0};
    bytes_put_text(&bytes, "A letter to somebody, and no model at all.");
    return opened_bytes(bytes);
}

/* No tensor has five dimensions. */
static struct tresor_error make_MALFORMED(void)
{
    return opened_gguf(3, 5, "a", NULL);
}

static struct tresor_error make_VERSION(void)
{
    return opened_gguf(99, 1, "a", NULL);
}

/* A name of a million bytes. */
static struct tresor_error make_LIMIT(void)
{
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 1, 0);
    bytes_put_u64(&bytes, 1000000);
    bytes_put_zeros(&bytes, 64);
    return opened_bytes(bytes);
}

static struct tresor_error make_DUPLICATE(void)
{
    return opened_gguf(3, 1, "a", "a");
}

static struct tresor_error make_SHARD(void)
{
    fake_world_init(&world);
    model_set_make_shards(&world.set, "/fake", fake_world_tensors, 2, 2);
    fake_world_start_context(&world);
    world.fake.files[0].path = "/elsewhere";
    struct tresor_error error = opened(model_set_path(&world.set));
    fake_world_end(&world);
    return error;
}

/* A system that does not say which memory nodes it has. */
static struct tresor_error make_UNSUPPORTED(void)
{
    fake_world_init(&world);
    world.options.numa = TRESOR_NUMA_INTERLEAVE;
    int32_t code = session_create(&world.session, &world.faulty.sys, &world.options);
    fake_world_end(&world);
    return of_code(code);
}

static struct tresor_error make_NOT_RESIDENT(void)
{
    fake_world_open(&world);
    struct tresor_error error = of_code(tresor_acquire(context(), session_all(&world.session), NULL));
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_LOCK_LIMIT(void)
{
    fake_world_open(&world);
    world.fake.lock_limit_bytes = 0;
    struct tresor_item item = session_tensor(&world.session, SHARED);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, item, 0), TRESOR_OK);
    world.session.item_count = 0;
    struct tresor_error error = submitted(TRESOR_VERB_LOCK, item, 0);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_CANCELLED(void)
{
    struct tresor_request request;
    fake_world_open(&world);
    struct tresor_item item = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, 0, &request), TRESOR_OK);
    assert_error(tresor_cancel(context(), request), TRESOR_OK);
    session_finish(&world.session, request, NULL);
    struct tresor_error error = session_end(&world.session, request)->error;
    fake_world_close(&world);
    return error;
}

/* More than was asked for, by a byte. */
static int64_t read_too_much(void *cookie, int descriptor, void *address, size_t length, uint64_t offset)
{
    return world.faulty.sys.read(cookie, descriptor, address, length, offset) + 1;
}

static struct tresor_error make_BACKEND(void)
{
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
    model_set_add_to(&world.set, &world.fake);
    generous = world.faulty.sys;
    generous.read = read_too_much;
    assert_error(session_create(&world.session, &generous, &world.options), TRESOR_OK);
    struct tresor_error error = opened(model_set_path(&world.set));
    fake_world_end(&world);
    return error;
}

static struct tresor_error make_DESCRIPTORS(void)
{
    return opened_badly(EMFILE);
}

static struct tresor_error make_MAP_REFUSED(void)
{
    return loaded_badly(FAULTY_MAP, ENOMEM);
}

static struct tresor_error make_TOO_BIG(void)
{
    fake_world_init(&world);
    world.options.budget_bytes = FAKE_PAGE_BYTES;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_error error =
        submitted(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE), TRESOR_STRATEGY_MMAP);
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_POISONED(void)
{
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_item item = session_tensor(&world.session, LARGE);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, item, 0), TRESOR_OK);
    assert_true(fake_sys_fault(&world.fake, (void *)(uintptr_t)fake_world_place(&world, LARGE, 0)));
    session_settle(&world.session);
    struct tresor_error error = of_code(tresor_acquire(context(), item, NULL));
    fake_world_close(&world);
    return error;
}

/* The ITEM event of a load whose bytes are looked at. */
static struct tresor_error looked_at(uint32_t flags)
{
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = flags | TRESOR_REQUEST_ITEMS};
    struct tresor_item item = session_tensor(&world.session, 0);
    int32_t code = tresor_load(context(), &item, 1, &options, &request);
    end_of(code, request);
    struct tresor_error error = world.session.items[0].error;
    fake_world_close(&world);
    return error;
}

static struct tresor_error make_CORRUPT(void)
{
    fake_world_open(&world);
    const struct tresor_item_digest wrong = {.item = session_tensor(&world.session, 0), .digest = {1, 2}};
    int32_t code = tresor_source_set_digests(context(), world.session.source, &wrong, 1);
    if (code == TRESOR_OK)
        return looked_at(TRESOR_REQUEST_CHECK);
    fake_world_close(&world);
    return of_code(code);
}

/* All bits are set in its floats. */
static struct tresor_error make_NOT_FINITE(void)
{
    static const uint64_t shape[1] = {8};
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 1, 0);
    gguf_put_tensor(&bytes, "a", 1, shape, 0, 0);
    bytes_pad(&bytes, 32);
    for (uint32_t i = 0; i < 32; i++)
        bytes_put(&bytes, "\xff", 1);
    fake_world_init(&world);
    world.set.part_count = 1;
    snprintf(world.set.parts[0].path, MODEL_PATH_BYTES, "/model");
    world.set.parts[0].bytes = bytes;
    fake_world_start_context(&world);
    assert_error(opened("/model").code, TRESOR_OK);
    return looked_at(TRESOR_REQUEST_FINITE);
}

struct row {
    const char *name;
    int32_t code;
    const char *text;
    const char *advice;
    struct tresor_error (*make)(void);
};

static const struct row rows[] = {
#define ERROR(name, value, text, advice) {#name, value, text, advice, make_##name},
#include "core/errors.def"
#undef ERROR
};

static void each_happens(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        char line[1024];
        struct tresor_error error = row->make();
        if (row->code == TRESOR_ERROR_CORRUPT && !tresor_can_digest()) {
            assert_int_equal(error.code, TRESOR_ERROR_UNSUPPORTED);
            continue;
        }
        assert_string_equal(tresor_error_name(error.code), row->name);
        assert_int_equal(error.code, row->code);
        assert_string_equal(tresor_error_text(error.code), row->text);
        assert_string_equal(tresor_error_advice(error.code), row->advice);
        tresor_error_format(NULL, &error, line, sizeof line);
        assert_ptr_equal(strstr(line, row->name), line);
        assert_non_null(strstr(line, row->text));
        assert_non_null(strstr(line, row->advice));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
