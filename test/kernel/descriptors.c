/* SPDX-License-Identifier: MIT */
/* No descriptor is left: for a context, and for the second file of a set. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "real.h"
#include "support/child.h"

static struct real real;

struct outcome {
    bool ran;
    int32_t context;
    int32_t open;
    struct tresor_error error;
    char wrong[256];
};

/* Room for so many descriptors beside the first `open`. */
static void leave_descriptors(int open, rlim_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)open + count;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void open_without_descriptors(void *shared)
{
    struct outcome *outcome = shared;
    int next = open("/dev/null", O_RDONLY);
    close(next);
    leave_descriptors(next, 0);
    outcome->context = real_start(&real);
    leave_descriptors(next, 2); /* the bell and one shard of three */
    if (real_start(&real) == TRESOR_OK)
        outcome->open = session_open(&real.session, model_set_path(&real.set));
    outcome->error = real.session.requests[0].done.error;
    const char *wrong = real_end(&real);
    snprintf(outcome->wrong, sizeof outcome->wrong, "%s", wrong ? wrong : "");
    outcome->ran = true;
}

static void no_descriptors(void **state)
{
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    real_make(&real, MODEL_SHARDS);
    assert_true(child_run(open_without_descriptors, outcome));
    assert_true(outcome->ran);
    assert_string_equal(outcome->wrong, "");
    assert_error(outcome->context, TRESOR_ERROR_DESCRIPTORS);
    assert_error(outcome->open, TRESOR_ERROR_DESCRIPTORS);
    assert_int_equal(outcome->error.os_errno, EMFILE);
    real_remove(&real);
    child_unshare(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
