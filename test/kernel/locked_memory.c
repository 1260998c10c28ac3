/* SPDX-License-Identifier: MIT */
/* The limit of locked memory, to a process without rights: a refusal tells why, and what was loaded stays. */
#include "support/test.h"

#include <errno.h>
#include <sys/resource.h>

#include "real.h"
#include "support/sanitizer.h"
#include "support/child.h"

static struct real real;

enum { LIMIT_BYTES = 64 * 1024 };

struct outcome {
    bool ran;
    int32_t lock;
    int32_t lock_first;
    int32_t unlock;
    uint64_t locked_bytes;
    uint32_t resident;
    struct tresor_error error;
    char wrong[256];
};

static void lock_within(struct outcome *outcome, uint64_t limit_bytes)
{
    const struct rlimit limit = {limit_bytes, limit_bytes};
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    if (!child_give_up_rights() || setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        real_start(&real) != TRESOR_OK ||
        session_open(&real.session, model_set_path(&real.set)) != TRESOR_OK)
        return;
    struct tresor_item all = session_all(&real.session);
    session_do(&real.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_READ);
    outcome->lock = session_do(&real.session, TRESOR_VERB_LOCK, all, 0);
    outcome->error = real.session.requests[real.session.request_count - 1].done.error;
    outcome->lock_first = session_item(&real.session, 0)->error.code;
    outcome->resident = session_verify(&real.session, &real.set);
    tresor_get_counters(real.session.context, &counters);
    outcome->locked_bytes = counters.locked_bytes;
    outcome->unlock = session_do(&real.session, TRESOR_VERB_UNLOCK, all, 0);
    const char *wrong = real_end(&real);
    snprintf(outcome->wrong, sizeof outcome->wrong, "%s", wrong ? wrong : "");
    outcome->ran = true;
}

static void lock_with_nothing(void *shared)
{
    lock_within(shared, 0);
}

static void lock_with_little(void *shared)
{
    lock_within(shared, LIMIT_BYTES);
}

/* Without CAP_IPC_LOCK mlock(2) gives EPERM at a limit of zero, ENOMEM beyond another. */
static void locked_memory(void **state)
{
    static const struct model_tensor tensors[] = {{5000, MODEL_NEXT, false},
                                                  {200000, MODEL_NEXT, false}};
    static void (*const children[])(void *) = {lock_with_nothing, lock_with_little};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct outcome *outcome = child_share(sizeof *outcome);
        real_make_gguf(&real, tensors, 2);
        assert_true(child_run(children[i], outcome));
        assert_true(outcome->ran);
        assert_string_equal(outcome->wrong, "");
        assert_error(outcome->lock, TRESOR_ERROR_LOCK_LIMIT);
        assert_int_equal(outcome->error.os_errno, i ? ENOMEM : EPERM);
        assert_int_equal(outcome->error.got, i ? LIMIT_BYTES : 0);
        assert_int_equal(outcome->error.offset, outcome->locked_bytes);
        assert_true(outcome->error.wanted > 0);
        /* With little, the first tensor fits. */
        assert_error(outcome->lock_first, i ? TRESOR_OK : TRESOR_ERROR_LOCK_LIMIT);
        assert_true(outcome->locked_bytes <= (i ? LIMIT_BYTES : 0));
        assert_int_equal(outcome->resident, 2);
        assert_error(outcome->unlock, TRESOR_OK);
        real_remove(&real);
        child_unshare(outcome, sizeof *outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(locked_memory)};
    if (HAS_ADDRESS_SANITIZER)
        return skip_program("the address sanitizer makes mlock do nothing");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
