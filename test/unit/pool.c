/* SPDX-License-Identifier: MIT */
/*
 * The pool backend: what is loaded on workers has the file's bytes, nothing is lost whenever
 * something is cancelled, closed or woken, waits sleep, and the workers end with their context.
 */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "support/failing_allocator.h"
#include "support/random.h"
#include "support/session.h"

enum {
    TENSORS = 40,
    THREADS = 4,
    SMALL_LOADS = 10000,
    MOMENTS = 24, /* dispatches after which something is done to what runs */
    STALL_MS = 60,
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct model_set shards;
    struct failing_allocator memory;
    struct session session;
} world;

/* --- worlds --- */

/* Sizes from none to several blocks, so that neighbours share pages and large ones are filled in
 * parallel. */
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
    model_set_make(&world.shards, MODEL_SHARDS, world.folder);
    model_set_write(&world.shards);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    model_set_free(&world.set);
    model_set_free(&world.shards);
    temporary_remove(world.folder);
    return 0;
}

static int32_t start_over(const struct tresor__sys *sys, uint32_t threads)
{
    struct tresor_context_options options = {
        .size_bytes = sizeof options,
        .allocator = failing_allocator_hooks(&world.memory),
        .sources_max = 2,
        .requests_max = 64,
        .waits_max = 256,
        .blocks_max = 8,
        .block_bytes = 64 * 1024,
        .populate_bytes = 64 * 1024,
        .backend = TRESOR_BACKEND_POOL,
        .threads_max = threads,
        .direct = TRESOR_DIRECT_OFF,
    };
    memset(&world.memory, 0, sizeof world.memory);
    return session_create(&world.session, sys, &options);
}

static void open_over(const struct tresor__sys *sys)
{
    assert_error(start_over(sys, THREADS), TRESOR_OK);
    assert_string_equal(tresor_backend_name(world.session.context), "pool");
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

/* Every effect was answered once, every request ended once, and all memory is back. */
static void end(void)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    session_settle(&world.session);
    tresor_get_counters(world.session.context, &counters);
    assert_int_equal(counters.completions, counters.effects);
    assert_int_equal(counters.rejected, 0);
    const char *wrong = session_destroy(&world.session);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static void close_and_end(void)
{
    assert_error(session_close(&world.session), TRESOR_OK);
    end();
}

static void dispatch_times(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        tresor_dispatch(world.session.context);
}

static uint32_t strategy_of(uint32_t number)
{
    return number % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
}

/* --- loads --- */

static void bytes_are_the_files(void **state)
{
    (void)state;
    open_over(tresor__sys_posix());
    struct tresor_item all = session_all(&world.session);
    for (uint32_t i = 0; i < 40; i++) {
        assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, strategy_of(i)), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
        assert_error(session_do(&world.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), 0);
    }
    close_and_end();
}

/* Tensors one by one, all at once, by alternate strategies, so that neighbours meet in the pages
 * that they share. */
static void loads_under_way_at_once(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        struct tresor_request requests[TENSORS];
        open_over(tresor__sys_posix());
        for (uint32_t i = 0; i < TENSORS; i++) {
            struct tresor_item item = session_tensor(&world.session, i);
            assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1,
                                        strategy_of(i + round), &requests[i]),
                         TRESOR_OK);
        }
        for (uint32_t i = TENSORS; i-- > 0;)
            assert_error(session_finish(&world.session, requests[i], NULL), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
        close_and_end();
    }
}

static void no_completion_is_lost(void **state)
{
    struct tresor_request request;
    (void)state;
    open_over(tresor__sys_posix());
    struct tresor_context *context = world.session.context;
    for (uint32_t i = 0; i < SMALL_LOADS; i++) {
        struct tresor_item item = session_tensor(&world.session, i % 3);
        struct tresor_request_options options = {.size_bytes = sizeof options,
                                                 .strategy = strategy_of(i / 3)};
        assert_error(tresor_load(context, &item, 1, &options, &request), TRESOR_OK);
        assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
        assert_error(tresor_evict(context, &item, 1, NULL, &request), TRESOR_OK);
        assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    }
    close_and_end();
}

/* --- ends in the midst --- */

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
    open_over(tresor__sys_posix());
    for (uint32_t moment = 0; moment < 2 * MOMENTS; moment++) {
        submit_load(strategy_of(moment), &request);
        dispatch_times(moment / 2);
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        int32_t code = session_finish(&world.session, request, NULL);
        assert_true(code == TRESOR_ERROR_CANCELLED || code == TRESOR_OK);
        session_verify(&world.session, &world.set);
        struct tresor_item all = session_all(&world.session);
        assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, strategy_of(moment + 1)),
                     TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
        assert_error(session_do(&world.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    }
    close_and_end();
}

static void pause_shortly(long nanoseconds)
{
    const struct timespec pause = {.tv_nsec = nanoseconds};
    nanosleep(&pause, NULL);
}

/* Also while a worker parses, lists the shards or indexes, when the model is the worker's. */
static void cancel_an_open_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t moment = 0; moment < 16 * MOMENTS; moment++) {
        struct tresor_request request;
        assert_error(start_over(tresor__sys_posix(), THREADS), TRESOR_OK);
        int32_t code = tresor_source_open(world.session.context, model_set_path(&world.shards), 0,
                                          &world.session.source, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        for (uint32_t i = 0; i < moment % MOMENTS; i++) {
            dispatch_times(1);
            pause_shortly((long)(moment / MOMENTS) * 3000);
        }
        code = tresor_cancel(world.session.context, request);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_STALE);
        code = session_finish(&world.session, request, NULL);
        assert_true(code == TRESOR_ERROR_CANCELLED || code == TRESOR_OK);
        if (code == TRESOR_OK)
            assert_error(session_close(&world.session), TRESOR_OK);
        end();
    }
}

/* With work in flight: it is drained, and nobody is left to be told. */
static void destroy_at_once(void)
{
    assert_error(tresor_context_destroy(world.session.context), TRESOR_OK);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static void close_at_any_moment(void **state)
{
    static uint8_t copied[4096];
    (void)state;
    for (uint32_t moment = 0; moment < 2 * MOMENTS; moment++) {
        struct tresor_request request;
        open_over(tresor__sys_posix());
        struct tresor_item all = session_all(&world.session);
        struct tresor_item large = session_tensor(&world.session, 3);
        submit_load(strategy_of(moment), &request);
        session_submit(&world.session, TRESOR_VERB_LOCK, &all, 1, 0, &request);
        session_submit(&world.session, TRESOR_VERB_ADVISE, &all, 1, TRESOR_ADVICE_WILLNEED,
                       &request);
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

/* --- many verbs in any order --- */

static void submit_any(uint64_t *seed)
{
    static const enum tresor_verb verbs[] = {
        TRESOR_VERB_LOAD, TRESOR_VERB_LOAD,   TRESOR_VERB_LOAD,   TRESOR_VERB_EVICT,
        TRESOR_VERB_LOCK, TRESOR_VERB_UNLOCK, TRESOR_VERB_ADVISE, TRESOR_VERB_EVICT};
    struct tresor_request request;
    struct tresor_item item = random_once_in(seed, 8)
                                  ? session_all(&world.session)
                                  : session_tensor(&world.session, random_below(seed, TENSORS));
    session_submit(&world.session, verbs[random_below(seed, 8)], &item, 1,
                   TRESOR_STRATEGY_MMAP + random_below(seed, 2), &request);
    if (random_once_in(seed, 6))
        tresor_cancel(world.session.context, request);
}

/* What the workers have not done yet may hold every request. */
static void close_when_accepted(void)
{
    int32_t code;
    while ((code = session_close(&world.session)) == TRESOR_ERROR_AGAIN)
        session_pump(&world.session);
    assert_error(code, TRESOR_OK);
    end();
}

static void any_host(void **state)
{
    (void)state;
    for (uint64_t start = 1; start <= 12; start++) {
        uint64_t seed = start;
        print_message("# seed %u\n", (unsigned)start);
        open_over(tresor__sys_posix());
        for (uint32_t i = 0; i < SESSION_REQUESTS - 8; i++) {
            submit_any(&seed);
            if (random_once_in(&seed, 3))
                session_pump(&world.session);
            if (random_once_in(&seed, 20))
                session_verify(&world.session, &world.set);
        }
        if (random_once_in(&seed, 2))
            session_settle(&world.session);
        session_verify(&world.session, &world.set);
        close_when_accepted();
    }
}

/* --- a disk that stalls --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stalled;
    uint32_t stalled;   /* reads that are held */
    bool takes_signals; /* a worker does */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t read_when_it_goes(void *cookie, int descriptor, void *address, size_t length,
                                 uint64_t offset)
{
    static const int asked[] = {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1, SIGWINCH};
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        disk.takes_signals = disk.takes_signals || !sigismember(&blocked, asked[i]);
    disk.stalled++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.is_stalled)
        pthread_cond_wait(&disk.changed, &disk.lock);
    disk.stalled--;
    pthread_mutex_unlock(&disk.lock);
    return tresor__sys_posix()->read(cookie, descriptor, address, length, offset);
}

static struct tresor__sys stalling_sys(void)
{
    struct tresor__sys sys = *tresor__sys_posix();
    sys.read = read_when_it_goes;
    return sys;
}

static void set_stalled(bool is_stalled)
{
    pthread_mutex_lock(&disk.lock);
    disk.is_stalled = is_stalled;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
}

/* Until all workers are held, or as many as there are blocks. */
static void dispatch_until_stalled(void)
{
    uint32_t stalled = 0;
    while (stalled < THREADS) {
        dispatch_times(1);
        pthread_mutex_lock(&disk.lock);
        stalled = disk.stalled;
        pthread_mutex_unlock(&disk.lock);
    }
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *wake_later(void *context)
{
    pause_shortly(STALL_MS * 1000000L);
    tresor_wake(context);
    return NULL;
}

static void *go_later(void *unused)
{
    (void)unused;
    pause_shortly(STALL_MS * 1000000L);
    set_stalled(false);
    return NULL;
}

static void waits_sleep_until_woken(void **state)
{
    struct tresor__sys sys = stalling_sys();
    struct tresor_request request;
    pthread_t thread;
    (void)state;
    open_over(&sys);
    struct tresor_context *context = world.session.context;
    set_stalled(true);
    submit_load(TRESOR_STRATEGY_READ, &request);
    dispatch_until_stalled();
    for (uint32_t i = 0; i < 5; i++) {
        int64_t start_ms = clock_ms(CLOCK_MONOTONIC);
        int64_t start_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
        assert_int_equal(pthread_create(&thread, NULL, wake_later, context), 0);
        assert_int_equal(tresor_wait(context, -1), 0);
        assert_true(clock_ms(CLOCK_MONOTONIC) - start_ms >= STALL_MS - 1);
        assert_true(clock_ms(CLOCK_THREAD_CPUTIME_ID) - start_cpu_ms < STALL_MS / 2);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    /* A wake before the wait counts, once. */
    tresor_wake(context);
    assert_int_equal(tresor_wait(context, -1), 0);
    int64_t start_ms = clock_ms(CLOCK_MONOTONIC);
    assert_int_equal(tresor_wait(context, STALL_MS), 0);
    assert_true(clock_ms(CLOCK_MONOTONIC) - start_ms >= STALL_MS - 1);
    set_stalled(false);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    assert_false(disk.takes_signals);
    close_and_end();
}

static void waits_sleep_until_something_completes(void **state)
{
    struct tresor__sys sys = stalling_sys();
    struct tresor_request request;
    struct tresor_item all;
    struct tresor_event event;
    pthread_t thread;
    (void)state;
    open_over(&sys);
    struct tresor_context *context = world.session.context;
    all = session_all(&world.session);
    for (uint32_t by_wait = 0; by_wait < 2; by_wait++) {
        set_stalled(true);
        assert_error(tresor_load(context, &all, 1,
                                 &(struct tresor_request_options){
                                     .size_bytes = sizeof(struct tresor_request_options),
                                     .strategy = TRESOR_STRATEGY_READ},
                                 &request),
                     TRESOR_OK);
        dispatch_until_stalled();
        int64_t start_cpu_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
        assert_int_equal(pthread_create(&thread, NULL, go_later, NULL), 0);
        if (by_wait) {
            assert_int_equal(tresor_wait(context, -1), 1);
            assert_int_equal(tresor_next_event(context, &event), 1);
            assert_error(event.error.code, TRESOR_OK);
        } else {
            assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
        }
        assert_true(clock_ms(CLOCK_THREAD_CPUTIME_ID) - start_cpu_ms < STALL_MS / 2);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_error(session_do(&world.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    }
    close_and_end();
}

/* With every worker held, requests are still taken, cancelled and closed, and nothing is given back
 * before its read. */
static void close_with_every_worker_held(void **state)
{
    struct tresor__sys sys = stalling_sys();
    struct tresor_request request;
    struct tresor_request close;
    pthread_t thread;
    (void)state;
    open_over(&sys);
    set_stalled(true);
    submit_load(TRESOR_STRATEGY_READ, &request);
    dispatch_until_stalled();
    int32_t code = tresor_source_close(world.session.context, world.session.source, 0, &close);
    assert_error(session_note(&world.session, code, close), TRESOR_OK);
    dispatch_times(50);
    assert_null(session_end(&world.session, close));
    assert_int_equal(pthread_create(&thread, NULL, go_later, NULL), 0);
    assert_error(session_finish(&world.session, close, NULL), TRESOR_OK);
    assert_error(session_end(&world.session, request)->error.code, TRESOR_ERROR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end();
}

/* The last user of a closing source leaves on another thread, and that wakes who waits for the
 * close. */
static void *release_later(void *item)
{
    pause_shortly(STALL_MS * 1000000L);
    tresor_release(world.session.context, *(struct tresor_item *)item);
    return NULL;
}

static void last_user_ends_the_wait_for_a_close(void **state)
{
    struct tresor_request request;
    pthread_t thread;
    (void)state;
    open_over(tresor__sys_posix());
    struct tresor_item all = session_all(&world.session);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_MMAP),
                 TRESOR_OK);
    assert_error(tresor_acquire(world.session.context, all, NULL), TRESOR_OK);
    assert_int_equal(pthread_create(&thread, NULL, release_later, &all), 0);
    assert_error(tresor_source_close(world.session.context, world.session.source, 0, &request),
                 TRESOR_OK);
    assert_error(tresor_finish(world.session.context, request, 1, NULL), TRESOR_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end();
}

/* --- threads --- */

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
        pause_shortly(1000000);
    assert_int_equal(count_threads(), wanted);
}

static void workers_end_with_their_context(void **state)
{
    int before = count_threads();
    sigset_t mask_before;
    sigset_t mask_after;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    for (uint32_t i = 1; i <= 8; i++) {
        assert_error(start_over(tresor__sys_posix(), i), TRESOR_OK);
        assert_int_equal(count_threads(), before + (int)i);
        assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
        close_and_end();
        threads_must_become(before);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&mask_before, number), sigismember(&mask_after, number));
}

static void fewer_workers_do(void **state)
{
    int before = count_threads();
    (void)state;
    threads_left = 1;
    open_over(tresor__sys_posix());
    assert_int_equal(count_threads(), before + 1);
    struct tresor_item all = session_all(&world.session);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    close_and_end();
    threads_must_become(before);
    threads_left = 0;
    assert_error(start_over(tresor__sys_posix(), THREADS), TRESOR_ERROR_NO_MEMORY);
    assert_null(world.session.context);
    assert_int_equal(world.memory.outstanding_bytes, 0);
    threads_left = UINT32_MAX;
}

static void options_are_checked(void **state)
{
    struct tresor_context *context;
    struct tresor_context_options options = {.size_bytes = sizeof options, .backend = 5};
    (void)state;
    assert_error(tresor_context_create(&options, &context), TRESOR_ERROR_INVALID);
    options = (struct tresor_context_options){
        .size_bytes = sizeof options, .backend = TRESOR_BACKEND_POOL, .threads_max = 257};
    assert_error(tresor_context_create(&options, &context), TRESOR_ERROR_INVALID);
    assert_error(tresor_context_create(NULL, &context), TRESOR_OK);
    assert_string_equal(tresor_backend_name(context), "uring");
    assert_error(tresor_context_destroy(context), TRESOR_OK);
}

/* Whatever allocation of it fails, nothing is left behind. */
static void creation_that_fails_leaves_nothing(void **state)
{
    int before = count_threads();
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    (void)state;
    for (uint64_t nth = 1; code != TRESOR_OK; nth++) {
        struct failing_allocator memory = {.fail_call = nth};
        struct tresor_context *context;
        struct tresor_context_options options = {.size_bytes = sizeof options,
                                                 .allocator = failing_allocator_hooks(&memory),
                                                 .backend = TRESOR_BACKEND_POOL};
        code = tresor_context_create(&options, &context);
        if (code == TRESOR_OK)
            assert_error(tresor_context_destroy(context), TRESOR_OK);
        else
            assert_error(code, TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(memory.outstanding_bytes, 0);
    }
    threads_must_become(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_files),
        cmocka_unit_test(loads_under_way_at_once),
        cmocka_unit_test(no_completion_is_lost),
        cmocka_unit_test(cancel_at_any_moment),
        cmocka_unit_test(cancel_an_open_at_any_moment),
        cmocka_unit_test(close_at_any_moment),
        cmocka_unit_test(any_host),
        cmocka_unit_test(waits_sleep_until_woken),
        cmocka_unit_test(waits_sleep_until_something_completes),
        cmocka_unit_test(close_with_every_worker_held),
        cmocka_unit_test(last_user_ends_the_wait_for_a_close),
        cmocka_unit_test(workers_end_with_their_context),
        cmocka_unit_test(fewer_workers_do),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(creation_that_fails_leaves_nothing),
    };
    threads_left = UINT32_MAX;
    return cmocka_run_group_tests_name("pool", tests, make_model, remove_model);
}
