/* SPDX-License-Identifier: MIT */
/* A file that somebody writes to while its model is open is not loaded any more; what is loaded
 * already stays. */
#include "support/test.h"

#include "support/fake_world.h"

static struct fake_world world;

static void must_be_changed(uint32_t tensor, uint32_t strategy)
{
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, tensor, strategy), TRESOR_ERROR_CHANGED);
    assert_error(session_item(&world.session, tensor)->error.code, TRESOR_ERROR_CHANGED);
}

static void written_after_the_open(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        fake_world_open(&world);
        struct fake_file *file = &world.fake.files[0];
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 0, strategy), TRESOR_OK);
        file->modified_ns++;
        must_be_changed(2, TRESOR_STRATEGY_MMAP);
        must_be_changed(2, TRESOR_STRATEGY_READ);
        fake_world_must_have(&world, 1);
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 0, 0), TRESOR_OK);
        must_be_changed(0, strategy);
        /* It is the same again: a failure is not for ever. */
        file->modified_ns--;
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        fake_world_close(&world);
    }
}

static int32_t write_while_read(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_READ)
        world.fake.files[0].changed_ns++;
    return 0;
}

static int32_t cut_while_read(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_READ)
        world.fake.files[0].size_bytes = 10;
    return 0;
}

static void open_must_fail(int32_t judge(void *cookie, struct faulty_call *call), int32_t code)
{
    fake_world_init(&world);
    model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
    fake_world_start_context(&world);
    world.faulty.judge = judge;
    assert_error(session_open(&world.session, model_set_path(&world.set)), code);
    fake_world_end(&world);
}

static void written_while_the_header_is_read(void **state)
{
    (void)state;
    open_must_fail(write_while_read, TRESOR_ERROR_CHANGED);
    open_must_fail(cut_while_read, TRESOR_ERROR_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_after_the_open),
        cmocka_unit_test(written_while_the_header_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
