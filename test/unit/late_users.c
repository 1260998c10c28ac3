/* SPDX-License-Identifier: MIT */
/* A tensor that is acquired while its context is being destroyed, which stays then. */
#include "support/test.h"

#include "support/fake_world.h"

enum { SMALL = 0, LARGE = 2 };

static struct fake_world world;
static struct tresor_item item; /* of what is acquired at the first read; no value: nothing is */
static const void *acquired;

/* Another thread's call comes while a read is made. */
static int32_t acquire_at_a_read(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_READ && item.value != 0) {
        assert_error(tresor_acquire(world.session.context, item, &acquired), TRESOR_OK);
        item.value = 0;
    }
    return 0;
}

/* The one request that there can be runs, so that the source cannot begin to close before. */
static void a_user_who_comes_while_it_is_destroyed(void **state)
{
    static uint8_t copied[300000];
    struct tresor_request request;
    (void)state;
    fake_world_init(&world);
    world.options.requests_max = 1;
    world.options.dispatch_max = 1;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    struct tresor_context *context = world.session.context;
    struct tresor_item small = session_tensor(&world.session, SMALL);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, small, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(tresor_copy(context, session_tensor(&world.session, LARGE), 0, sizeof copied, copied, NULL, &request),
                 TRESOR_OK);
    tresor_dispatch(context);
    item = small;
    world.faulty.judge = acquire_at_a_read;
    assert_error(tresor_context_destroy(context), TRESOR_ERROR_BUSY);
    assert_int_equal(item.value, 0);
    /* It is still where it was, and what it was. */
    assert_memory_equal(acquired, world.set.parts[0].bytes.data + world.data_offset, fake_world_tensors[SMALL].size_bytes);
    assert_error(tresor_context_destroy(context), TRESOR_ERROR_BUSY);
    assert_error(tresor_release(context, small), TRESOR_OK);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
    world.session.context = NULL;
    fake_world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_who_comes_while_it_is_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
