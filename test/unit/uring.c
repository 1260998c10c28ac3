/* SPDX-License-Identifier: MIT */
/*
 * Contexts on the uring backend: what is loaded past the page cache has the file's bytes, nothing is lost whenever
 * something is cancelled or closed, and where the kernel refuses a ring the pool does its work and an event says so.
 */
#include "support/test.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "context.h"
#include "support/child.h"
#include "support/faulty_sys.h"
#include "support/random.h"
#include "support/session.h"

enum {
    TENSORS = 40,
    MOMENTS = 24, /* dispatches after which something is done to what runs */
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct faulty_sys faulty;
    struct session session;
} world;

static bool has_ring;

/* --- worlds --- */

static int make_model(void **state)
{
    struct model_tensor tensors[TENSORS];
    uint64_t seed = 11;
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){random_below(&seed, i % 4 == 3 ? 600000 : 9000),
                                           MODEL_NEXT, false};
    temporary_make(world.folder);
    model_set_make_gguf(&world.set, world.folder, tensors, TENSORS);
    model_set_write(&world.set);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    model_set_free(&world.set);
    temporary_remove(world.folder);
    return 0;
}

static void open_on(uint32_t backend)
{
    struct tresor_context_options options = {
        .size_bytes = sizeof options,
        .allocator = failing_allocator_hooks(&world.memory),
        .sources_max = 2,
        .requests_max = 64,
        .waits_max = 256,
        .blocks_max = 24,
        .block_bytes = 64 * 1024,
        .populate_bytes = 64 * 1024,
        .backend = backend,
        .threads_max = 2,
        .direct = TRESOR_DIRECT_ON,
    };
    memset(&world.memory, 0, sizeof world.memory);
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    world.faulty.has_workers = true;
    assert_error(session_create(&world.session, &world.faulty.sys, &options), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

static void close_and_end(void)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    assert_error(session_close(&world.session), TRESOR_OK);
    session_settle(&world.session);
    tresor_get_counters(world.session.context, &counters);
    assert_int_equal(counters.completions, counters.effects);
    assert_int_equal(counters.rejected, 0);
    const char *wrong = session_destroy(&world.session);
    const char *held = faulty_sys_check(&world.faulty);
    if (wrong || held)
        fail_msg("%s", wrong ? wrong : held);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

/* Of a kind; their number. */
static uint32_t degradations(uint32_t kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.session.degraded_count && i < SESSION_DEGRADED; i++)
        count += world.session.degraded[i].flags == kind;
    return count;
}

static void dispatch_times(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        tresor_dispatch(world.session.context);
}

static uint32_t strategy_of(uint32_t number)
{
    return number % 2 ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
}

static void load_and_evict(uint32_t strategy)
{
    struct tresor_item all = session_all(&world.session);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, strategy), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), 0);
}

/* --- a kernel that refuses --- */

struct refused {
    char name[16]; /* of the backend */
    uint32_t degraded;
    struct tresor_event event;
    uint32_t loaded;
    bool is_filtered;
};

#ifdef __linux__
/* io_uring_setup is EPERM, all else as it was: what the filters of containers do. */
static bool refuse_rings(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
static bool refuse_rings(void)
{
    return false;
}
#endif

static void load_without_rings(void *shared)
{
    struct refused *refused = shared;
    refused->is_filtered = refuse_rings();
    if (!refused->is_filtered)
        return;
    open_on(TRESOR_BACKEND_DEFAULT);
    session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session), TRESOR_STRATEGY_READ);
    refused->loaded = session_verify(&world.session, &world.set);
    snprintf(refused->name, sizeof refused->name, "%s",
             tresor_backend_name(world.session.context));
    refused->degraded = degradations(TRESOR_DEGRADED_BACKEND);
    refused->event = world.session.degraded[0];
    close_and_end();
}

/* First, for a process that has had threads may not go on in a child under the thread sanitizer. */
static void a_filter_refuses_the_ring(void **state)
{
    struct refused *refused = child_share(sizeof *refused);
    (void)state;
    assert_true(child_run(load_without_rings, refused));
    if (refused->is_filtered) {
        assert_string_equal(refused->name, "pool");
        assert_int_equal(refused->loaded, TENSORS);
        assert_int_equal(refused->degraded, 1);
        assert_int_equal(refused->event.flags, TRESOR_DEGRADED_BACKEND);
        assert_error(refused->event.error.code, TRESOR_ERROR_UNSUPPORTED);
        assert_int_equal(refused->event.error.source, 0);
#ifdef TRESOR__URING
        assert_int_equal(refused->event.error.os_errno, EPERM);
#else
        assert_int_equal(refused->event.error.os_errno, ENOSYS);
#endif
    }
    child_unshare(refused, sizeof *refused);
}

static void a_ring_that_breaks_is_told_once(void **state)
{
    (void)state;
    if (!has_ring)
        return;
    for (uint32_t row = FAULTY_RING_SUBMIT; row <= FAULTY_RING_REAP; row++) {
        open_on(TRESOR_BACKEND_URING);
        assert_int_equal(degradations(TRESOR_DEGRADED_BACKEND), 0);
        world.faulty.plan = (struct faulty_plan){.row = (enum faulty_row)row,
                                                 .nth = world.faulty.counts[row] + 2,
                                                 .persistent = true,
                                                 .os_errno = ENXIO};
        load_and_evict(TRESOR_STRATEGY_READ);
        load_and_evict(TRESOR_STRATEGY_READ);
        assert_int_equal(world.faulty.injected, 1);
        assert_int_equal(degradations(TRESOR_DEGRADED_BACKEND), 1);
        assert_int_equal(world.session.degraded[0].error.os_errno, ENXIO);
        assert_string_equal(tresor_backend_name(world.session.context), "pool");
        close_and_end();
    }
}

/* --- loads --- */

static void bytes_are_the_files(void **state)
{
    static const uint32_t backends[] = {TRESOR_BACKEND_URING, TRESOR_BACKEND_AUTO,
                                        TRESOR_BACKEND_DEFAULT};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        open_on(backends[i]);
        assert_string_equal(tresor_backend_name(world.session.context),
                            has_ring ? "uring" : "pool");
        for (uint32_t round = 0; round < 20; round++)
            load_and_evict(strategy_of(round));
        bool is_direct = degradations(TRESOR_DEGRADED_DIRECT) == 0;
        assert_int_equal(world.faulty.counts[FAULTY_RING_RESULT] > 0, has_ring && is_direct);
        assert_int_equal(degradations(TRESOR_DEGRADED_BACKEND), has_ring ? 0 : 1);
        close_and_end();
    }
}

static void submit_load(uint32_t strategy, struct tresor_request *request)
{
    struct tresor_item all = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1, strategy, request),
                 TRESOR_OK);
}

static void cancel_at_any_moment(void **state)
{
    struct tresor_request request;
    (void)state;
    open_on(TRESOR_BACKEND_URING);
    for (uint32_t moment = 0; moment < 2 * MOMENTS; moment++) {
        submit_load(TRESOR_STRATEGY_READ, &request);
        dispatch_times(moment / 2);
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        int32_t code = session_finish(&world.session, request, NULL);
        assert_true(code == TRESOR_ERROR_CANCELLED || code == TRESOR_OK);
        session_verify(&world.session, &world.set);
        load_and_evict(strategy_of(moment));
    }
    close_and_end();
}

/* With work in flight: it is drained, and nobody is left to be told. */
static void destroy_at_once(void)
{
    assert_error(tresor_context_destroy(world.session.context), TRESOR_OK);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

/* Nothing is given back while a ring reads to it: the table would say so. */
static void close_at_any_moment(void **state)
{
    static uint8_t copied[4096];
    struct tresor_request request;
    (void)state;
    for (uint32_t moment = 0; moment < 2 * MOMENTS; moment++) {
        open_on(TRESOR_BACKEND_URING);
        struct tresor_item large = session_tensor(&world.session, 3);
        submit_load(TRESOR_STRATEGY_READ, &request);
        int32_t code =
            tresor_copy(world.session.context, large, 0, sizeof copied, copied, NULL, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        dispatch_times(moment / 2);
        if (moment % 3 == 0)
            destroy_at_once();
        else
            close_and_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_refuses_the_ring),
        cmocka_unit_test(a_ring_that_breaks_is_told_once),
        cmocka_unit_test(bytes_are_the_files),
        cmocka_unit_test(cancel_at_any_moment),
        cmocka_unit_test(close_at_any_moment),
    };
    struct tresor__sys_ring *ring;
    struct tresor_allocator allocator = failing_allocator_hooks(&world.memory);
    const struct tresor__sys *sys = tresor__sys_posix();
    int bell[2];
    if (sys->bell_open(NULL, bell) == 0) {
        has_ring = sys->ring_init(NULL, &allocator, 8, bell[1], &ring) == 0;
        if (has_ring)
            sys->ring_close(NULL, ring);
        sys->close(NULL, bell[0]);
        if (bell[1] != bell[0])
            sys->close(NULL, bell[1]);
    }
    return cmocka_run_group_tests_name("uring", tests, make_model, remove_model);
}
