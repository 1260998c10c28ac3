/* SPDX-License-Identifier: MIT */
/*
 * The backend is changed while nothing is under way: every one into every one, with what was loaded in its place, the same
 * descriptor, threads that wake and give back at any moment, and the old one going on where the new cannot be made.
 */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "support/faulty_sys.h"
#include "support/random.h"
#include "support/session.h"

enum {
    TENSORS = 12,
    THREADS = 3,
    KINDS = TRESOR_BACKEND_AUTO + 1,
    CHANGES = 150,
    LONG_MS = 20000, /* that something which comes at once is waited for */
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct faulty_sys faulty;
    struct session session;
    int32_t descriptor;
    bool has_ring;
} world;

static int make_model(void **state)
{
    struct model_tensor tensors[TENSORS];
    uint64_t seed = 3;
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){random_below(&seed, i % 4 == 3 ? 400000 : 9000),
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

static struct tresor_context_options options_of(uint32_t kind)
{
    memset(&world.memory, 0, sizeof world.memory);
    struct tresor_context_options options = session_options(&world.memory);
    options.backend = kind;
    options.threads_max = THREADS;
    options.direct = TRESOR_DIRECT_AUTO;
    return options;
}

static void open_on(uint32_t kind)
{
    struct tresor_context_options options = options_of(kind);
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    world.faulty.has_workers = true;
    assert_error(session_create(&world.session, &world.faulty.sys, &options), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    world.session.set = &world.set;
    world.descriptor = tresor_get_fd(world.session.context);
    assert_true(world.descriptor >= 0);
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
    wrong = wrong ? wrong : faulty_sys_check(&world.faulty);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static void must_be(uint32_t kind)
{
    static const char *const names[KINDS] = {"uring", "sync", "pool", "uring", "uring"};
    const char *name = names[kind];
    if (!world.has_ring && strcmp(tresor_backend_name(world.session.context), "pool") == 0)
        name = strcmp(name, "uring") == 0 ? "pool" : name;
    assert_string_equal(tresor_backend_name(world.session.context), name);
    /* As many readaheads as there are workers left beside a populate. */
    assert_int_equal(world.session.context->controller.io.ahead_max,
                     kind == TRESOR_BACKEND_SYNC ? 0 : THREADS - 1);
}

static bool is_readable(int32_t timeout_ms)
{
    struct pollfd one = {.fd = world.descriptor, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

/* The host's loop does nothing but when it is told to. */
static void finish_by_descriptor(struct tresor_request request)
{
    struct tresor_event event = {0};
    while (event.type != TRESOR_EVENT_DONE || event.request.value != request.value) {
        assert_true(is_readable(LONG_MS));
        assert_true(tresor_dispatch(world.session.context) >= 0);
        while (event.type != TRESOR_EVENT_DONE &&
               tresor_next_event(world.session.context, &event) == 1)
            continue;
    }
    assert_error(event.error.code, TRESOR_OK);
}

static void load_by_descriptor(uint32_t strategy)
{
    struct tresor_item all = session_all(&world.session);
    struct tresor_request_options options = {.size_bytes = sizeof options, .strategy = strategy};
    struct tresor_request request;
    assert_error(tresor_load(world.session.context, &all, 1, &options, &request), TRESOR_OK);
    finish_by_descriptor(request);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
}

static void evict_all(void)
{
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, session_all(&world.session), 0),
                 TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), 0);
}

/* Until nothing is in flight, which a request need not wait for. */
static int32_t change(uint32_t kind)
{
    session_settle(&world.session);
    return tresor_set_backend(world.session.context, kind);
}

/* --- every pair --- */

/* A tensor is held across the change, and all of them stay in their places. */
static void change_while_loaded(uint32_t kind, uint32_t strategy)
{
    struct tresor_item item = session_tensor(&world.session, 3);
    const void *before = NULL;
    const void *after = NULL;
    load_by_descriptor(strategy);
    assert_error(tresor_acquire(world.session.context, item, &before), TRESOR_OK);
    assert_error(change(kind), TRESOR_OK);
    must_be(kind);
    assert_int_equal(tresor_get_fd(world.session.context), world.descriptor);
    assert_false(is_readable(0));
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, item, 0), TRESOR_ERROR_BUSY);
    assert_error(tresor_acquire(world.session.context, item, &after), TRESOR_OK);
    assert_ptr_equal(before, after);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    evict_all();
}

static void every_pair(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < KINDS; from++) {
        for (uint32_t to = 0; to < KINDS; to++) {
            open_on(from);
            change_while_loaded(to, TRESOR_STRATEGY_MMAP + to % 2);
            change_while_loaded(from, TRESOR_STRATEGY_READ - to % 2);
            load_by_descriptor(TRESOR_STRATEGY_MMAP + from % 2);
            close_and_end();
        }
    }
}

static void many_in_a_row(void **state)
{
    uint64_t seed = 29;
    (void)state;
    open_on(TRESOR_BACKEND_SYNC);
    for (uint32_t i = 0; i < CHANGES; i++) {
        uint32_t kind = random_below(&seed, KINDS);
        assert_error(change(kind), TRESOR_OK);
        must_be(kind);
        if (random_below(&seed, 3) == 0)
            continue;
        load_by_descriptor(TRESOR_STRATEGY_MMAP + random_below(&seed, 2));
        evict_all();
    }
    close_and_end();
}

static int count_threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* A thread that was joined may be listed for a moment yet. */
static void threads_must_become(int wanted)
{
    for (uint32_t i = 0; i < 1000 && count_threads() != wanted; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(count_threads(), wanted);
}

static void workers_end_with_their_backend(void **state)
{
    int before = count_threads();
    (void)state;
    open_on(TRESOR_BACKEND_POOL);
    threads_must_become(before + THREADS);
    assert_error(change(TRESOR_BACKEND_SYNC), TRESOR_OK);
    threads_must_become(before);
    assert_error(change(TRESOR_BACKEND_URING), TRESOR_OK);
    threads_must_become(before + THREADS);
    assert_error(change(TRESOR_BACKEND_POOL), TRESOR_OK);
    threads_must_become(before + THREADS);
    close_and_end();
    threads_must_become(before);
}

/* --- idle or not --- */

static void not_while_something_is_under_way(void **state)
{
    struct tresor_request request;
    (void)state;
    for (uint32_t kind = TRESOR_BACKEND_SYNC; kind <= TRESOR_BACKEND_URING; kind++) {
        open_on(kind);
        struct tresor_context *context = world.session.context;
        struct tresor_item all = session_all(&world.session);
        assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1,
                                    TRESOR_STRATEGY_READ, &request),
                     TRESOR_OK);
        assert_error(tresor_set_backend(context, TRESOR_BACKEND_SYNC), TRESOR_ERROR_BUSY);
        must_be(kind);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_error(change(TRESOR_BACKEND_AUTO + 1), TRESOR_ERROR_INVALID);
        assert_error(change(UINT32_MAX), TRESOR_ERROR_INVALID);
        must_be(kind);
        assert_error(change(TRESOR_BACKEND_SYNC), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
        close_and_end();
    }
}

/* Its end may wait to be taken. */
static void an_end_that_was_not_taken_does_not_matter(void **state)
{
    struct tresor_request request;
    struct tresor_event event;
    (void)state;
    open_on(TRESOR_BACKEND_POOL);
    struct tresor_item all = session_all(&world.session);
    assert_error(tresor_load(world.session.context, &all, 1, NULL, &request), TRESOR_OK);
    assert_int_equal(tresor_wait(world.session.context, -1), 1);
    assert_error(tresor_set_backend(world.session.context, TRESOR_BACKEND_SYNC), TRESOR_OK);
    assert_true(is_readable(0));
    assert_int_equal(tresor_next_event(world.session.context, &event), 1);
    assert_int_equal(event.type, TRESOR_EVENT_DONE);
    assert_true(event.request.value == request.value);
    assert_error(event.error.code, TRESOR_OK);
    assert_false(is_readable(0));
    close_and_end();
}

/* A cancelled load has ended, and what it read to is still being read to. */
static void not_while_a_read_is_in_flight(void **state)
{
    struct shuffled shuffled = {0};
    struct tresor_context_options options = options_of(TRESOR_BACKEND_SYNC);
    struct tresor_request request;
    (void)state;
    faulty_sys_init(&world.faulty, tresor__sys_posix());
    shuffled.sys = &world.faulty.sys;
    assert_error(session_create_shuffled(&world.session, &shuffled, &options), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    struct tresor_context *context = world.session.context;
    struct tresor_item all = session_all(&world.session);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1, TRESOR_STRATEGY_READ,
                                &request),
                 TRESOR_OK);
    shuffled.is_holding = true;
    tresor_dispatch(context);
    assert_true(shuffled.asked > 0);
    assert_error(tresor_cancel(context, request), TRESOR_OK);
    while (tresor_dispatch(context) > 0)
        continue;
    assert_int_equal(context->controller.requests[0].state, REQUEST_ENDED);
    assert_error(tresor_set_backend(context, TRESOR_BACKEND_POOL), TRESOR_ERROR_BUSY);
    shuffled.is_holding = false;
    assert_error(session_finish(&world.session, request, NULL), TRESOR_ERROR_CANCELLED);
    assert_error(change(TRESOR_BACKEND_SYNC), TRESOR_OK);
    assert_int_equal(shuffled.asked + shuffled.run, 0);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    close_and_end();
}

/* --- threads that do what any thread may, at any moment --- */

static struct {
    _Atomic bool stops;
    _Atomic uint64_t stage; /* of a chunk to be given back */
    struct tresor_item item;
} others;

static void *disturb(void *argument)
{
    struct tresor_context *context = argument;
    while (!atomic_load(&others.stops)) {
        uint64_t stage = atomic_exchange(&others.stage, 0);
        tresor_wake(context);
        if (tresor_acquire(context, others.item, NULL) == TRESOR_OK)
            tresor_release(context, others.item);
        if (stage)
            tresor_chunk_return(context, (struct tresor_stage){stage});
    }
    return NULL;
}

/* One chunk is out when the stream has ended, and comes back when it will. */
static void stream_one(void)
{
    struct tresor_event event = {0};
    struct tresor_request request;
    struct tresor_item small = session_tensor(&world.session, 0);
    while (atomic_load(&others.stage))
        continue;
    assert_error(tresor_stream(world.session.context, &small, 1, NULL, &request), TRESOR_OK);
    while (event.type != TRESOR_EVENT_DONE) {
        if (tresor_wait(world.session.context, -1) != 1)
            continue;
        tresor_next_event(world.session.context, &event);
        if (event.type == TRESOR_EVENT_CHUNK)
            atomic_store(&others.stage, event.stage.value);
    }
    assert_error(event.error.code, TRESOR_OK);
}

static void while_others_wake_and_give_back(void **state)
{
    pthread_t thread;
    uint64_t seed = 41;
    uint32_t changed = 0;
    (void)state;
    open_on(TRESOR_BACKEND_POOL);
    others.item = session_tensor(&world.session, 3);
    atomic_store(&others.stops, false);
    assert_int_equal(pthread_create(&thread, NULL, disturb, world.session.context), 0);
    for (uint32_t i = 0; i < CHANGES; i++) {
        uint32_t kind = random_below(&seed, KINDS);
        assert_error(change(kind), TRESOR_OK);
        changed++;
        if (i % 4 == 0)
            load_by_descriptor(TRESOR_STRATEGY_MMAP + i / 4 % 2);
        else if (i % 4 == 1)
            session_do(&world.session, TRESOR_VERB_EVICT, session_all(&world.session), 0);
        else
            stream_one();
    }
    atomic_store(&others.stops, true);
    pthread_join(thread, NULL);
    if (atomic_load(&others.stage))
        tresor_chunk_return(world.session.context,
                            (struct tresor_stage){atomic_exchange(&others.stage, 0)});
    assert_int_equal(changed, CHANGES);
    close_and_end();
}

/* --- what cannot be made --- */

static uint32_t threads_left; /* that pthread_create makes before it fails */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

/* The linker puts this in the place of the system's. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    if (threads_left == 0)
        return EAGAIN;
    threads_left--;
    return __real_pthread_create(thread, attributes, start, argument);
}

/* The old one is the same, and works. */
static void must_go_on(uint32_t kind, const struct tresor__backend *backend)
{
    must_be(kind);
    assert_ptr_equal(world.session.context->backend, backend);
    assert_int_equal(tresor_get_fd(world.session.context), world.descriptor);
    load_by_descriptor(TRESOR_STRATEGY_READ);
    evict_all();
}

static uint64_t fail_allocations(uint32_t from, uint32_t to)
{
    uint64_t failed = 0;
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    open_on(from);
    const struct tresor__backend *backend = world.session.context->backend;
    for (uint64_t nth = 1; code != TRESOR_OK; nth++) {
        session_settle(&world.session);
        int64_t before = world.memory.outstanding_bytes;
        world.memory.fail_call = world.memory.calls + nth;
        code = tresor_set_backend(world.session.context, to);
        world.memory.fail_call = 0;
        if (code == TRESOR_OK)
            break;
        assert_error(code, TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(world.memory.outstanding_bytes, before);
        must_go_on(from, backend);
        failed++;
    }
    must_be(to);
    close_and_end();
    return failed;
}

static void memory_that_is_refused(void **state)
{
    (void)state;
    for (uint32_t from = TRESOR_BACKEND_SYNC; from <= TRESOR_BACKEND_URING; from++)
        for (uint32_t to = TRESOR_BACKEND_SYNC; to <= TRESOR_BACKEND_URING; to++)
            assert_true(fail_allocations(from, to) >= 1);
}

static void maps_that_are_refused(void **state)
{
    (void)state;
    for (uint32_t from = TRESOR_BACKEND_SYNC; from <= TRESOR_BACKEND_URING; from++) {
        for (uint32_t to = TRESOR_BACKEND_SYNC; to <= TRESOR_BACKEND_URING; to++) {
            open_on(from);
            const struct tresor__backend *backend = world.session.context->backend;
            session_settle(&world.session);
            world.faulty.plan = (struct faulty_plan){
                .row = FAULTY_MAP, .nth = world.faulty.counts[FAULTY_MAP] + 1, .os_errno = ENOMEM};
            assert_error(change(to), TRESOR_ERROR_NO_MEMORY);
            assert_int_equal(world.faulty.injected, 1);
            must_go_on(from, backend);
            close_and_end();
        }
    }
}

static void threads_that_are_refused(void **state)
{
    (void)state;
    for (uint32_t from = TRESOR_BACKEND_SYNC; from <= TRESOR_BACKEND_URING; from++) {
        for (uint32_t to = TRESOR_BACKEND_POOL; to <= TRESOR_BACKEND_URING; to++) {
            open_on(from);
            const struct tresor__backend *backend = world.session.context->backend;
            threads_left = 0;
            assert_error(change(to), TRESOR_ERROR_NO_MEMORY);
            must_go_on(from, backend);
            threads_left = 1; /* fewer do */
            assert_error(change(to), TRESOR_OK);
            threads_left = UINT32_MAX;
            load_by_descriptor(TRESOR_STRATEGY_READ);
            close_and_end();
        }
    }
}

/* Each backend that does with less than it was made for is told of, once. */
static void a_refused_ring_is_told_each_time(void **state)
{
    (void)state;
    open_on(TRESOR_BACKEND_SYNC);
    for (uint32_t times = 1; times <= 3; times++) {
        world.faulty.plan = (struct faulty_plan){
            .row = FAULTY_RING_INIT, .nth = 1, .persistent = true, .os_errno = EPERM};
        assert_error(change(TRESOR_BACKEND_URING), TRESOR_OK);
        for (uint32_t i = 0; i < 3; i++) {
            assert_error(session_do(&world.session, TRESOR_VERB_LOAD, session_all(&world.session),
                                    TRESOR_STRATEGY_READ),
                         TRESOR_OK);
            evict_all();
        }
        assert_string_equal(tresor_backend_name(world.session.context), "pool");
        uint32_t told = 0;
        for (uint32_t i = 0; i < world.session.degraded_count; i++)
            told += world.session.degraded[i].flags == TRESOR_DEGRADED_BACKEND;
        assert_int_equal(told, times);
    }
    close_and_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(many_in_a_row),
        cmocka_unit_test(workers_end_with_their_backend),
        cmocka_unit_test(not_while_something_is_under_way),
        cmocka_unit_test(an_end_that_was_not_taken_does_not_matter),
        cmocka_unit_test(not_while_a_read_is_in_flight),
        cmocka_unit_test(while_others_wake_and_give_back),
        cmocka_unit_test(memory_that_is_refused),
        cmocka_unit_test(maps_that_are_refused),
        cmocka_unit_test(threads_that_are_refused),
        cmocka_unit_test(a_refused_ring_is_told_each_time),
    };
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    const struct tresor__sys *sys = tresor__sys_posix();
    struct tresor__sys_ring *ring = NULL;
    struct tresor__bell bell;
    threads_left = UINT32_MAX;
    if (tresor__bell_open(&bell, sys) == TRESOR_OK) {
        world.has_ring = sys->ring_init(NULL, &allocator, 8, bell.descriptors[1], &ring) == 0;
        if (world.has_ring)
            sys->ring_close(NULL, ring);
        tresor__bell_close(&bell);
    }
    return cmocka_run_group_tests_name("change_backend", tests, make_model, remove_model);
}
