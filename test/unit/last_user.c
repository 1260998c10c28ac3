/* SPDX-License-Identifier: MIT */
/* The last user of a source that closes wakes its context from another thread, which may be about
 * to destroy it. */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "support/fake_world.h"

static struct fake_world world;
static struct tresor_item item;
static atomic_bool is_ringing;
static atomic_bool may_ring;
static int64_t (*ring_under)(void *cookie, int descriptor);

static int64_t ring_late(void *cookie, int descriptor)
{
    atomic_store(&is_ringing, true);
    while (!atomic_load(&may_ring))
        sched_yield();
    return ring_under(cookie, descriptor);
}

static void *release_it(void *result)
{
    *(int32_t *)result = tresor_release(world.session.context, item);
    return NULL;
}

static void a_wake_that_is_late(void **state)
{
    int32_t released = TRESOR_ERROR_BACKEND;
    struct tresor_request close = {0};
    pthread_t thread;
    (void)state;
    fake_world_open(&world);
    struct tresor_context *context = world.session.context;
    ring_under = world.faulty.sys.bell_ring;
    world.faulty.sys.bell_ring = ring_late;
    item = session_tensor(&world.session, 0);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 0, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(tresor_acquire(context, item, NULL), TRESOR_OK);
    int32_t code = tresor_source_close(context, world.session.source, 0, &close);
    assert_error(session_note(&world.session, code, close), TRESOR_OK);
    assert_int_equal(pthread_create(&thread, NULL, release_it, &released), 0);
    while (!atomic_load(&is_ringing))
        sched_yield();
    /* It has left, so the source closes; but it still needs the context's bell. */
    assert_error(session_finish(&world.session, close, NULL), TRESOR_OK);
    assert_error(tresor_context_destroy(context), TRESOR_ERROR_BUSY);
    atomic_store(&may_ring, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_error(released, TRESOR_OK);
    fake_world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_that_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
