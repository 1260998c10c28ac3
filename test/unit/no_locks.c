/* SPDX-License-Identifier: MIT */
/* A system that makes no lock or condition for threads: what needs one is not made, and leaves nothing. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>

#include "context.h"
#include "support/fake_world.h"

static struct fake_world world;
static uint32_t fail_call; /* of those below, from 1 on; 0: none */
static uint32_t calls;

int __real_pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attributes);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);

/* The linker puts these in the place of the system's. */
int __wrap_pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attributes)
{
    return ++calls == fail_call ? ENOMEM : __real_pthread_mutex_init(lock, attributes);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    return ++calls == fail_call ? EAGAIN : __real_pthread_cond_init(condition, attributes);
}

static const char *const stalls_alone[] = {"/proc/pressure/memory", NULL};

/* A context with all that sleeps: workers and a watch. */
static int32_t create_and_destroy(uint32_t backend, uint32_t nth)
{
    struct tresor_context *context;
    fake_world_init(&world);
    world.fake.watch_paths = stalls_alone;
    world.fake.has_workers = true;
    world.faulty.has_workers = true;
    world.options.backend = backend;
    world.options.pressure = TRESOR_PRESSURE_MEMORY;
    calls = 0;
    fail_call = nth;
    int32_t code = tresor__context_create_over(&world.faulty.sys, &world.options, &context);
    fail_call = 0;
    assert_int_equal(context != NULL, code == TRESOR_OK);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
    assert_null(faulty_sys_check(&world.faulty));
    assert_int_equal(world.memory.outstanding_bytes, 0);
    fake_sys_free(&world.fake);
    return code;
}

static void each_is_needed(void **state)
{
    static const uint32_t backends[] = {TRESOR_BACKEND_SYNC, TRESOR_BACKEND_POOL, TRESOR_BACKEND_URING};
    static const uint32_t needed[] = {1, 3, 3}; /* the watch's lock, and the pool's and its condition */
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t nth = 1; nth <= needed[i]; nth++)
            assert_error(create_and_destroy(backends[i], nth), TRESOR_ERROR_NO_MEMORY);
        assert_error(create_and_destroy(backends[i], needed[i] + 1), TRESOR_OK);
        assert_int_equal(calls, needed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
