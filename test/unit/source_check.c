/* SPDX-License-Identifier: MIT */
/* Asking whether an open source's files are still what was opened. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "support/fake_world.h"

enum { SHARDS = 3 };

static struct fake_world world;

static void start(void)
{
    fake_world_init(&world);
    model_set_make_shards(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS, SHARDS);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

static struct tresor_request submit(void)
{
    struct tresor_request request = {0};
    assert_error(session_note(&world.session,
                              tresor_source_check(world.session.context, world.session.source, 7,
                                                  &request),
                              request),
                 TRESOR_OK);
    return request;
}

static struct tresor_event check(void)
{
    struct tresor_event end;
    session_finish(&world.session, submit(), &end);
    assert_int_equal(end.verb, TRESOR_VERB_CHECK);
    assert_int_equal(end.cookie, 7);
    assert_int_equal(end.total, 1);
    return end;
}

/* The number of a shard in its source, by its file in the fake system. */
static uint32_t index_of(uint32_t file)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct tresor_file_info info = {.size_bytes = sizeof info};
        tresor_source_get_file(world.session.context, world.session.source, i, &info);
        if (strcmp(info.path, world.fake.files[file].path) == 0)
            return i;
    }
    return TRESOR_NONE;
}

static void same_files(void **state)
{
    (void)state;
    start();
    uint64_t stats = world.faulty.counts[FAULTY_STAT];
    assert_error(check().error.code, TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_STAT] - stats, SHARDS);
    assert_int_equal(check().done, 1);
    fake_world_close(&world);
}

static void other_files(void **state)
{
    (void)state;
    start();
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct fake_file *file = &world.fake.files[i];
        uint64_t size = file->size_bytes;
        file->modified_ns++;
        struct tresor_event end = check();
        assert_error(end.error.code, TRESOR_ERROR_CHANGED);
        assert_int_equal(end.error.file, index_of(i));
        assert_int_equal(end.error.source, world.session.source.value);
        assert_int_equal(end.failed, 1);
        file->size_bytes = size - 1; /* being shorter says more than being written */
        end = check();
        assert_error(end.error.code, TRESOR_ERROR_TRUNCATED);
        assert_int_equal(end.error.file, index_of(i));
        assert_int_equal(end.error.wanted, size);
        assert_int_equal(end.error.got, size - 1);
        file->modified_ns--;
        assert_error(check().error.code, TRESOR_ERROR_TRUNCATED);
        file->size_bytes = size;
        assert_error(check().error.code, TRESOR_OK);
    }
    fake_world_close(&world);
}

static void the_system_refuses(void **state)
{
    (void)state;
    start();
    world.rules[0] = (struct fake_rule){.row = FAULTY_STAT, .os_errno = ESTALE, .skip = 1};
    struct tresor_event end = check();
    assert_error(end.error.code, TRESOR_ERROR_IO);
    assert_int_equal(end.error.os_errno, ESTALE);
    assert_int_equal(end.error.file, 1);
    fake_world_close(&world);
}

/* At once, or while a file is asked. */
static void cancelled(void **state)
{
    (void)state;
    start();
    world.options.dispatch_max = 1;
    for (uint32_t dispatches = 0; dispatches < 2; dispatches++) {
        struct tresor_request request = submit();
        struct tresor_event end;
        for (uint32_t i = 0; i < dispatches; i++)
            tresor_dispatch(world.session.context);
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        int32_t code = session_finish(&world.session, request, &end);
        assert_true(code == TRESOR_ERROR_CANCELLED || (dispatches > 0 && code == TRESOR_OK));
    }
    fake_world_close(&world);
}

/* Several at a time, each with what it saw; the closing source waits for all. */
static void many_and_a_close(void **state)
{
    struct tresor_request requests[8];
    (void)state;
    start();
    for (uint32_t i = 0; i < 8; i++)
        requests[i] = submit();
    assert_error(session_close(&world.session), TRESOR_OK);
    for (uint32_t i = 0; i < 8; i++) {
        const struct tresor_event *end = session_end(&world.session, requests[i]);
        assert_non_null(end);
        assert_true(end->error.code == TRESOR_ERROR_CANCELLED || end->error.code == TRESOR_OK);
    }
    struct tresor_request request;
    assert_error(tresor_source_check(world.session.context, world.session.source, 0, &request),
                 TRESOR_ERROR_STALE);
    fake_world_end(&world);
}

static void full(void **state)
{
    struct tresor_request request;
    (void)state;
    start();
    for (uint32_t i = 0; i < world.options.requests_max; i++)
        submit();
    assert_error(tresor_source_check(world.session.context, world.session.source, 0, &request),
                 TRESOR_ERROR_AGAIN);
    session_settle(&world.session);
    assert_error(check().error.code, TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_files),    cmocka_unit_test(other_files),
        cmocka_unit_test(the_system_refuses), cmocka_unit_test(cancelled),
        cmocka_unit_test(many_and_a_close),   cmocka_unit_test(full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
