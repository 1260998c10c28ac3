/* SPDX-License-Identifier: MIT */
/* Workers that are woken leave the processor to who wakes them, and the host's thread stays as it was. */
#include "support/test.h"

#include <errno.h>
#include <sched.h>

#include "context.h"

static _Atomic int worker_class;

static int64_t open_nothing(void *cookie, const char *path)
{
    (void)cookie;
    (void)path;
    worker_class = sched_getscheduler(0);
    return -ENOENT;
}

static void workers_are_of_the_batch_class(void **state)
{
    static const uint32_t backends[] = {TRESOR_BACKEND_POOL, TRESOR_BACKEND_URING};
    int before = sched_getscheduler(0);
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor__sys sys = *tresor__sys_posix();
        struct tresor_context_options options = {.size_bytes = sizeof options,
                                                 .backend = backends[i]};
        struct tresor_context *context = NULL;
        struct tresor_source source;
        struct tresor_request request;
        sys.open_file = open_nothing;
        worker_class = -1;
        assert_error(tresor__context_create_over(&sys, &options, &context), TRESOR_OK);
        assert_error(tresor_source_open(context, "nothing", 0, &source, &request), TRESOR_OK);
        assert_error(tresor_finish(context, request, 1, NULL), TRESOR_ERROR_NOT_FOUND);
        assert_int_equal(worker_class, SCHED_BATCH);
        assert_int_equal(sched_getscheduler(0), before);
        assert_error(tresor_context_destroy(context), TRESOR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_are_of_the_batch_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
