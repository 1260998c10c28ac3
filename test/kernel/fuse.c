/* SPDX-License-Identifier: MIT */
/* A file system that fails: what is lost is told by its place, all else loads, and nothing is lost for ever. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "fuse_fs.h"
#include "real.h"

static struct real real;
static struct fuse_fs fs;

enum {
    TENSORS = 4,
    BAD = 1, /* the one that faults are in */
    BAD_BYTES = 4096,
    UNIT_BYTES = 64 * 1024,  /* of a block, and of a populate */
    CHUNK_BYTES = 2 * 1024 * 1024, /* of a swap */
};

static const struct model_tensor tensors[TENSORS] = {
    {300000, MODEL_NEXT, false},
    {500000, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},
    {400000, MODEL_NEXT, false},
};

/* How bytes come into memory. */
static const struct way {
    uint32_t strategy;
    uint32_t direct;
} ways[] = {
    {TRESOR_STRATEGY_MMAP, TRESOR_DIRECT_OFF},
    {TRESOR_STRATEGY_READ, TRESOR_DIRECT_OFF},
    {TRESOR_STRATEGY_READ, TRESOR_DIRECT_ON},
    {TRESOR_STRATEGY_READ, TRESOR_DIRECT_AUTO},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* In the middle of the tensor, further from its ends than a block is long. */
static uint64_t bad_offset(void)
{
    uint64_t middle = model_set_data_offset(&real.set) + 300000 + 250000;
    return middle / BAD_BYTES * BAD_BYTES;
}

static const char *file_name(void)
{
    return strrchr(model_set_path(&real.set), '/') + 1;
}

/* The file that real_make_gguf writes lies under the mounted one. */
static void begin(uint32_t direct)
{
    real_make_gguf(&real, tensors, TENSORS);
    real.direct = direct;
    const struct bytes *bytes = &real.set.parts[0].bytes;
    assert_true(fuse_fs_start(&fs, real.folder, file_name(), bytes->data, bytes->size));
}

static void open_model(void)
{
    assert_error(real_start(&real), TRESOR_OK);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
}

static int32_t load_all(uint32_t strategy)
{
    return session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session), strategy);
}

/* The next begins with a new process and an empty page cache. */
static void end(void)
{
    const char *wrong = real_end(&real);
    fuse_fs_stop(&fs);
    real_remove(&real);
    if (wrong)
        fail_msg("%s", wrong);
}

/* What an assertion that failed has left. */
static int clean(void **state)
{
    (void)state;
    if (fs.process == 0)
        return 0;
    fuse_fs_heal(&fs);
    real_end(&real);
    fuse_fs_stop(&fs);
    real_remove(&real);
    return 0;
}

static void without_a_fault(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        begin(ways[i].direct);
        open_model();
        assert_error(load_all(ways[i].strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
        assert_int_equal(real.session.degraded_count, 0);
        end();
    }
}

static void check_bad_tensor(int32_t code, uint64_t unit_bytes)
{
    const struct tresor_event *event = session_item(&real.session, BAD);
    assert_error(event->error.code, code);
    assert_int_equal(event->error.file, 0);
    assert_int_equal(event->error.tensor, BAD);
    assert_int_equal(event->error.source, real.session.source.value);
    assert_true(event->error.offset < bad_offset() + BAD_BYTES);
    assert_true(event->error.offset + unit_bytes > bad_offset());
}

/* One tensor has bytes that cannot be read; once they can, the same load brings it. */
static void a_bad_place(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        begin(ways[i].direct);
        open_model();
        fuse_fs_fail(&fs, bad_offset(), bad_offset() + BAD_BYTES, EIO, FUSE_FS_EVER);
        for (uint32_t again = 0; again < 2; again++) {
            assert_error(load_all(ways[i].strategy), TRESOR_ERROR_IO);
            assert_int_equal(session_item(&real.session, BAD)->error.os_errno, EIO);
            check_bad_tensor(TRESOR_ERROR_IO, UNIT_BYTES);
            assert_int_equal(session_verify(&real.session, &real.set), TENSORS - 1);
        }
        assert_true(atomic_load(&fs.knobs->failed) >= 2);
        fuse_fs_heal(&fs);
        assert_error(load_all(ways[i].strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
        end();
    }
}

/* Past the page cache nobody asks again for the library; through it the system may, and then nothing is to be told. */
static void a_fault_that_passes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        begin(ways[i].direct);
        open_model();
        fuse_fs_fail(&fs, bad_offset(), bad_offset() + BAD_BYTES, EIO, 1);
        int32_t code = load_all(ways[i].strategy);
        assert_int_equal(atomic_load(&fs.knobs->failed), 1);
        if (ways[i].direct == TRESOR_DIRECT_ON || code != TRESOR_OK) {
            assert_error(code, TRESOR_ERROR_IO);
            check_bad_tensor(TRESOR_ERROR_IO, UNIT_BYTES);
            assert_int_equal(session_verify(&real.session, &real.set), TENSORS - 1);
        }
        assert_error(load_all(ways[i].strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
        end();
    }
}

static void a_bad_header(void **state)
{
    struct tresor_error error;
    (void)state;
    begin(TRESOR_DIRECT_DEFAULT);
    fuse_fs_fail(&fs, 0, BAD_BYTES, EIO, FUSE_FS_EVER);
    assert_error(real_open_once(&real, model_set_path(&real.set), &error), TRESOR_ERROR_IO);
    assert_int_equal(error.os_errno, EIO);
    assert_int_equal(error.file, 0);
    fuse_fs_heal(&fs);
    assert_error(real_open_once(&real, model_set_path(&real.set), &error), TRESOR_OK);
    end();
}

/* A stream ends with what could not be read; a swap leaves the tensor as it was. */
static void other_verbs(void **state)
{
    struct tresor_request request;
    (void)state;
    begin(TRESOR_DIRECT_ON);
    open_model();
    real.session.set = &real.set;
    fuse_fs_fail(&fs, bad_offset(), bad_offset() + BAD_BYTES, EIO, FUSE_FS_EVER);
    struct tresor_item all = session_all(&real.session);
    assert_error(session_submit(&real.session, TRESOR_VERB_STREAM, &all, 1, 0, &request),
                 TRESOR_OK);
    assert_error(session_finish(&real.session, request, NULL), TRESOR_ERROR_IO);
    check_bad_tensor(TRESOR_ERROR_IO, UNIT_BYTES);
    fuse_fs_heal(&fs);
    assert_error(load_all(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    fuse_fs_fail(&fs, bad_offset(), bad_offset() + BAD_BYTES, EIO, FUSE_FS_EVER);
    assert_error(session_do(&real.session, TRESOR_VERB_SWAP, all, TRESOR_STRATEGY_READ),
                 TRESOR_ERROR_IO);
    check_bad_tensor(TRESOR_ERROR_IO, CHUNK_BYTES);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    fuse_fs_heal(&fs);
    assert_error(session_do(&real.session, TRESOR_VERB_SWAP, all, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    end();
}

/* Of a length that direct reads can go on from, and of some that they cannot. */
static void short_reads(void **state)
{
    static const uint64_t most[] = {32768, 4096, 3000};
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++) {
            begin(direct);
            atomic_store(&fs.knobs->is_uncached, true);
            atomic_store(&fs.knobs->short_bytes, most[i]);
            open_model();
            assert_error(load_all(TRESOR_STRATEGY_READ), TRESOR_OK);
            assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
            assert_true(atomic_load(&fs.knobs->shortened) > 0);
            end();
        }
}

/* The file is cut in the middle of a tensor that is not there yet, and grows back. */
static void a_file_that_shrinks(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        begin(ways[i].direct);
        open_model();
        uint64_t whole = atomic_load(&fs.knobs->size_bytes);
        atomic_store(&fs.knobs->size_bytes, bad_offset() + 100);
        assert_error(load_all(ways[i].strategy), TRESOR_ERROR_TRUNCATED);
        assert_int_equal(session_verify(&real.session, &real.set), BAD);
        for (uint32_t j = BAD; j < TENSORS; j++)
            assert_error(session_item(&real.session, j)->error.code, TRESOR_ERROR_TRUNCATED);
        atomic_store(&fs.knobs->size_bytes, whole);
        assert_error(load_all(ways[i].strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
        end();
    }
}

static void no_mapping(void **state)
{
    (void)state;
    begin(TRESOR_DIRECT_DEFAULT);
    atomic_store(&fs.knobs->is_uncached, true);
    open_model();
    assert_error(load_all(TRESOR_STRATEGY_MMAP), TRESOR_ERROR_UNSUPPORTED);
    for (uint32_t i = 0; i < TENSORS; i++) {
        assert_error(session_item(&real.session, i)->error.code, TRESOR_ERROR_UNSUPPORTED);
        assert_int_equal(session_item(&real.session, i)->error.os_errno, ENODEV);
    }
    assert_int_equal(session_verify(&real.session, &real.set), 0);
    assert_error(load_all(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    end();
}

static void no_direct_reads(void **state)
{
    (void)state;
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_ON; direct++) {
        begin(direct);
        atomic_store(&fs.knobs->refuses_direct, true);
        open_model();
        assert_error(load_all(TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
        assert_int_equal(real.session.degraded_count, 1);
        assert_int_equal(real.session.degraded[0].flags, TRESOR_DEGRADED_DIRECT);
        assert_int_equal(real.session.degraded[0].error.os_errno, EINVAL);
        assert_int_equal(real.session.degraded[0].error.file, 0);
        end();
    }
}

/* What has no worker sits in the read itself, so another thread lets it go. */
static void *let_go_when_held(void *nothing)
{
    fuse_fs_await_held(&fs);
    fuse_fs_let_go(&fs);
    return nothing;
}

static void a_read_that_hangs_alone(const struct way *way)
{
    pthread_t thread;
    begin(way->direct);
    open_model();
    fuse_fs_hold(&fs, bad_offset(), bad_offset() + BAD_BYTES);
    assert_int_equal(pthread_create(&thread, NULL, let_go_when_held, NULL), 0);
    assert_error(load_all(way->strategy), TRESOR_OK);
    pthread_join(thread, NULL);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    end();
}

/* Each wait is short, so that a read which is held already is seen. */
static void dispatch_until_held(void)
{
    while (atomic_load(&fs.knobs->held) == 0)
        tresor_wait(real.session.context, 1);
}

/*
 * Nothing but the read itself waits: a cancel is heard, what else is read comes, and once the read has ended the tensor
 * loads again.
 */
static void a_read_that_hangs_beside(const struct way *way)
{
    struct tresor_request bad, good;
    struct tresor_event done;
    begin(way->direct);
    real.is_bare = true;
    open_model();
    struct tresor_item items[] = {session_tensor(&real.session, BAD),
                                  session_tensor(&real.session, 3)};
    fuse_fs_hold(&fs, bad_offset(), bad_offset() + BAD_BYTES);
    assert_error(session_submit(&real.session, TRESOR_VERB_LOAD, &items[0], 1, way->strategy, &bad),
                 TRESOR_OK);
    dispatch_until_held();
    assert_error(session_submit(&real.session, TRESOR_VERB_LOAD, &items[1], 1, way->strategy, &good),
                 TRESOR_OK);
    if (way->strategy == TRESOR_STRATEGY_READ)
        assert_error(session_finish(&real.session, good, NULL), TRESOR_OK);
    assert_error(tresor_cancel(real.session.context, bad), TRESOR_OK);
    assert_true(tresor_dispatch(real.session.context) >= 0);
    assert_true(atomic_load(&fs.knobs->held) > 0);
    fuse_fs_let_go(&fs);
    assert_error(session_finish(&real.session, bad, &done), TRESOR_ERROR_CANCELLED);
    assert_error(session_finish(&real.session, good, NULL), TRESOR_OK);
    assert_int_equal(done.cancelled, 1);
    assert_error(load_all(way->strategy), TRESOR_OK);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    end();
}

static void a_read_that_hangs(void **state)
{
    bool has_workers = session_options(NULL).backend != TRESOR_BACKEND_SYNC;
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++)
        if (has_workers)
            a_read_that_hangs_beside(&ways[i]);
        else
            a_read_that_hangs_alone(&ways[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_a_fault, clean),
        cmocka_unit_test_teardown(a_bad_place, clean),
        cmocka_unit_test_teardown(a_fault_that_passes, clean),
        cmocka_unit_test_teardown(a_bad_header, clean),
        cmocka_unit_test_teardown(other_verbs, clean),
        cmocka_unit_test_teardown(short_reads, clean),
        cmocka_unit_test_teardown(a_file_that_shrinks, clean),
        cmocka_unit_test_teardown(no_mapping, clean),
        cmocka_unit_test_teardown(no_direct_reads, clean),
        cmocka_unit_test_teardown(a_read_that_hangs, clean),
    };
    const char *missing = fuse_fs_missing();
    if (missing)
        return skip_program(missing);
    alarm(50); /* a read that is not let go shall not hang the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
