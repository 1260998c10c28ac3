/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a host's loop is readable exactly while dispatch has something to do or an event waits, on every
 * backend, whoever rings, whichever call took what was to be told; and what is never asked for costs nothing.
 */
#include "support/test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "context.h"
#include "support/random.h"
#include "support/session.h"

enum {
    TENSORS = 24,
    PATIENCE_MS = 60000, /* after which a wake is lost */
};

#define FOR_EACH_BACKEND(name)                                                                     \
    for (uint32_t name = TRESOR_BACKEND_SYNC; name <= last_backend(); name++)

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct tresor__sys sys;
    pthread_t owner;
    _Atomic uint32_t bell_calls; /* by the context's thread */
    void (*before_clear)(void);  /* what another thread does meanwhile; once */
    void (*after_clear)(void);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool reads_are_held;
    struct tresor_context_options options;
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_item all;
    struct tresor_request request;
    struct tresor_stage stage; /* that return_chunk gives back */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* --- the system --- */

static void count_call(void)
{
    if (pthread_equal(pthread_self(), world.owner))
        world.bell_calls++;
}

static int64_t ring(void *cookie, int descriptor)
{
    count_call();
    return tresor__sys_posix()->bell_ring(cookie, descriptor);
}

static void do_once(void (**act)(void))
{
    void (*now)(void) = *act;
    *act = NULL;
    if (now)
        now();
}

static int64_t clear(void *cookie, int descriptor)
{
    count_call();
    do_once(&world.before_clear);
    int64_t result = tresor__sys_posix()->bell_clear(cookie, descriptor);
    do_once(&world.after_clear);
    return result;
}

static int64_t wait_for_bell(void *cookie, int descriptor, int32_t timeout_ms)
{
    count_call();
    return tresor__sys_posix()->bell_wait(cookie, descriptor, timeout_ms);
}

static int64_t read_when_let(void *cookie, int descriptor, void *address, size_t length,
                             uint64_t offset)
{
    pthread_mutex_lock(&world.lock);
    while (world.reads_are_held)
        pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
    return tresor__sys_posix()->read(cookie, descriptor, address, length, offset);
}

static void hold_reads(bool held)
{
    pthread_mutex_lock(&world.lock);
    world.reads_are_held = held;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

/* --- the host --- */

static int make_model(void **state)
{
    struct model_tensor tensors[TENSORS];
    uint64_t seed = 5;
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){random_below(&seed, i % 4 == 3 ? 300000 : 9000),
                                           MODEL_NEXT, false};
    temporary_make(world.folder);
    model_set_make_gguf(&world.set, world.folder, tensors, TENSORS);
    model_set_write(&world.set);
    world.sys = *tresor__sys_posix();
    world.sys.bell_ring = ring;
    world.sys.bell_clear = clear;
    world.sys.bell_wait = wait_for_bell;
    world.sys.read = read_when_let;
    return 0;
}

/* Where there is no ring, its backend is the pool with an event more. */
static uint32_t last_backend(void)
{
    static uint32_t last;
    struct tresor__sys_ring *ring;
    struct tresor_allocator allocator = failing_allocator_hooks(&(struct failing_allocator){0});
    const struct tresor__sys *sys = tresor__sys_posix();
    int bell[2];
    if (last != 0 || sys->bell_open(NULL, bell) != 0)
        return last;
    bool has_ring = sys->ring_init(NULL, &allocator, 8, bell[1], &ring) == 0;
    if (has_ring)
        sys->ring_close(NULL, ring);
    sys->close(NULL, bell[0]);
    if (bell[1] != bell[0])
        sys->close(NULL, bell[1]);
    return last = has_ring ? TRESOR_BACKEND_URING : TRESOR_BACKEND_POOL;
}

static int remove_model(void **state)
{
    (void)state;
    model_set_free(&world.set);
    temporary_remove(world.folder);
    return 0;
}

static void start(uint32_t backend)
{
    memset(&world.memory, 0, sizeof world.memory);
    world.options = session_options(&world.memory);
    world.options.backend = backend;
    world.options.direct = TRESOR_DIRECT_ON; /* where there is a ring it is used */
    world.options.requests_max = 64;
    world.options.waits_max = 256;
    world.owner = pthread_self();
    world.bell_calls = 0;
    assert_error(tresor__context_create_over(&world.sys, &world.options, &world.context),
                 TRESOR_OK);
}

static void open_source(void)
{
    assert_error(tresor_source_open(world.context, model_set_path(&world.set), 0, &world.source,
                                    &world.request),
                 TRESOR_OK);
    assert_error(tresor_finish(world.context, world.request, 1, NULL), TRESOR_OK);
    assert_error(tresor_item_of_source(world.context, world.source, &world.all), TRESOR_OK);
}

static void start_open(uint32_t backend)
{
    start(backend);
    open_source();
}

static void end(void)
{
    assert_error(tresor_context_destroy(world.context), TRESOR_OK);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static void close_and_end(void)
{
    struct tresor_request close;
    assert_error(tresor_source_close(world.context, world.source, 0, &close), TRESOR_OK);
    assert_error(tresor_finish(world.context, close, 1, NULL), TRESOR_OK);
    end();
}

static void load_all(uint32_t flags)
{
    struct tresor_request_options options = {
        .size_bytes = sizeof options, .strategy = TRESOR_STRATEGY_READ, .flags = flags};
    assert_error(tresor_load(world.context, &world.all, 1, &options, &world.request), TRESOR_OK);
}

static void finish(void)
{
    assert_error(tresor_finish(world.context, world.request, 0, NULL), TRESOR_OK);
}

static bool becomes_readable(int32_t timeout_ms)
{
    int32_t descriptor = tresor_get_fd(world.context);
    assert_true(descriptor >= 0);
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

/* Not through tresor_get_fd, which would look for itself. */
static bool stays_readable(int descriptor)
{
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

/*
 * At once, but where workers run: one of them may have been slow to ring for what was taken already, and then a dispatch
 * that finds nothing makes it silent.
 */
static bool is_silent(int descriptor)
{
    if (world.options.backend != TRESOR_BACKEND_SYNC)
        for (uint32_t i = 0; i < 1000 && stays_readable(descriptor); i++)
            tresor_dispatch(world.context);
    return !stays_readable(descriptor);
}

/* As a loop does that sleeps for the descriptor alone; true with an event, which is taken. */
static bool loop_to_event(int descriptor, struct tresor_event *event)
{
    for (;;) {
        struct pollfd one = {.fd = descriptor, .events = POLLIN};
        if (poll(&one, 1, PATIENCE_MS) != 1)
            return false;
        tresor_dispatch(world.context);
        if (tresor_next_event(world.context, event) == 1)
            return true;
    }
}

static void on_another_thread(void *(*act)(void *))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, act, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* --- one moment each --- */

static void an_idle_one_is_silent(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        start(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        assert_true(descriptor >= 0);
        assert_true(is_silent(descriptor));
        assert_int_equal(tresor_get_fd(world.context), descriptor);
        assert_int_equal(tresor_dispatch(world.context), 0);
        assert_true(is_silent(descriptor));
        end();
    }
}

static void from_submit_to_the_last_event(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        start(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        assert_error(tresor_source_open(world.context, model_set_path(&world.set), 0,
                                        &world.source, &world.request),
                     TRESOR_OK);
        assert_true(stays_readable(descriptor));
        assert_true(loop_to_event(descriptor, &event));
        assert_int_equal(event.type, TRESOR_EVENT_DONE);
        assert_true(is_silent(descriptor));
        tresor_item_of_source(world.context, world.source, &world.all);
        load_all(TRESOR_REQUEST_ITEMS);
        assert_true(stays_readable(descriptor));
        while (world.context->controller.events.head == TRESOR_NONE ||
               world.context->controller.in_flight > 0)
            tresor_dispatch(world.context);
        while (tresor_dispatch(world.context) == 1)
            continue;
        for (uint32_t i = 0; i < TENSORS + 1; i++) {
            assert_true(stays_readable(descriptor));
            assert_int_equal(tresor_next_event(world.context, &event), 1);
        }
        assert_int_equal(event.type, TRESOR_EVENT_DONE);
        assert_true(is_silent(descriptor));
        close_and_end();
    }
}

static void asked_for_late(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        start_open(backend);
        load_all(0);
        assert_int_equal(tresor_wait(world.context, -1), 1);
        int32_t descriptor = tresor_get_fd(world.context);
        assert_true(stays_readable(descriptor));
        while (tresor_dispatch(world.context) == 1)
            continue;
        assert_int_equal(tresor_next_event(world.context, &event), 1);
        assert_true(is_silent(descriptor));
        close_and_end();
        start_open(backend);
        load_all(0);
        assert_true(stays_readable(tresor_get_fd(world.context)));
        finish();
        close_and_end();
    }
}

/* What is left at the limit is work, whoever it is told by. */
static void dispatch_that_stops_at_its_limit(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        uint32_t limited = 0;
        start(backend);
        end();
        world.options.dispatch_max = 1;
        assert_error(tresor__context_create_over(&world.sys, &world.options, &world.context),
                     TRESOR_OK);
        open_source();
        int32_t descriptor = tresor_get_fd(world.context);
        load_all(0);
        while (tresor_next_event(world.context, &event) == 0) {
            if (tresor_dispatch(world.context) == 0)
                continue;
            limited++;
            assert_true(stays_readable(descriptor));
        }
        /* Workers may never have two done at once. */
        assert_true(limited > 0 || backend != TRESOR_BACKEND_SYNC);
        close_and_end();
    }
}

/* A wake reaches a loop that sleeps, whatever the other calls do before the loop dispatches. */
static void woken(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        start_open(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        tresor_wake(world.context);
        assert_true(stays_readable(descriptor));
        assert_int_equal(tresor_dispatch(world.context), 0);
        assert_true(is_silent(descriptor));
        assert_int_equal(tresor_wait(world.context, -1), 0); /* it is told to waits, too */
        tresor_wake(world.context);
        load_all(0);
        finish();
        assert_true(stays_readable(descriptor));
        load_all(0);
        assert_int_equal(tresor_wait(world.context, -1), 1);
        assert_true(stays_readable(descriptor));
        struct tresor_event event;
        assert_int_equal(tresor_next_event(world.context, &event), 1);
        assert_true(stays_readable(descriptor));
        assert_int_equal(tresor_wait(world.context, -1), 0);
        assert_true(is_silent(descriptor));
        close_and_end();
    }
}

/* Events of others are there, before and after. */
static void finish_and_wait_leave_what_they_do_not_take(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        struct tresor_request other;
        start_open(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        load_all(0);
        finish();
        assert_true(is_silent(descriptor));
        load_all(0);
        other = world.request;
        load_all(0);
        finish();
        assert_true(stays_readable(descriptor));
        assert_int_equal(tresor_wait(world.context, -1), 1);
        assert_true(stays_readable(descriptor));
        assert_error(tresor_evict(world.context, &world.all, 1, NULL, &world.request), TRESOR_OK);
        finish();
        assert_true(stays_readable(descriptor));
        assert_int_equal(tresor_next_event(world.context, &event), 1);
        assert_true(event.request.value == other.value);
        assert_true(is_silent(descriptor));
        close_and_end();
    }
}

static void a_cancel_is_work(void **state)
{
    struct tresor_event event;
    (void)state;
    start_open(TRESOR_BACKEND_POOL);
    int32_t descriptor = tresor_get_fd(world.context);
    hold_reads(true);
    load_all(0);
    while (tresor_dispatch(world.context) == 1 || becomes_readable(20))
        continue;
    assert_error(tresor_cancel(world.context, world.request), TRESOR_OK);
    assert_true(stays_readable(descriptor));
    hold_reads(false);
    assert_true(loop_to_event(descriptor, &event));
    assert_error(event.error.code, TRESOR_ERROR_CANCELLED);
    close_and_end();
}

/* --- a source that drains --- */

static void *release_all(void *unused)
{
    (void)unused;
    tresor_release(world.context, world.all);
    return NULL;
}

static void release_elsewhere(void)
{
    on_another_thread(release_all);
}

/* Dispatched as far as it goes while somebody still uses it. */
static void start_draining(uint32_t backend)
{
    start_open(backend);
    load_all(0);
    finish();
    assert_error(tresor_acquire(world.context, world.all, NULL), TRESOR_OK);
    assert_true(tresor_get_fd(world.context) >= 0);
    assert_error(tresor_source_close(world.context, world.source, 0, &world.request), TRESOR_OK);
}

static void drained_by_another_thread(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        start_draining(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        while (tresor_dispatch(world.context) == 1)
            continue;
        assert_true(is_silent(descriptor));
        release_elsewhere();
        assert_true(stays_readable(descriptor));
        assert_true(loop_to_event(descriptor, &event));
        assert_error(event.error.code, TRESOR_OK);
        assert_true(is_silent(descriptor));
        end();
    }
}

/* Also where it leaves just while the descriptor is made silent, for a bell that is rung is not rung again. */
static void drained_while_it_is_silenced(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        for (uint32_t after = 0; after < 2; after++) {
            struct tresor_event event;
            start_draining(backend);
            int32_t descriptor = tresor_get_fd(world.context);
            world.before_clear = after ? NULL : release_elsewhere;
            world.after_clear = after ? release_elsewhere : NULL;
            while (world.before_clear || world.after_clear)
                tresor_dispatch(world.context);
            assert_true(stays_readable(descriptor));
            assert_true(loop_to_event(descriptor, &event));
            end();
        }
    }
}

static void *wake_it(void *unused)
{
    (void)unused;
    tresor_wake(world.context);
    return NULL;
}

static void wake_elsewhere(void)
{
    on_another_thread(wake_it);
}

static void woken_while_it_is_silenced(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        for (uint32_t after = 0; after < 2; after++) {
            start(backend);
            int32_t descriptor = tresor_get_fd(world.context);
            world.before_clear = after ? NULL : wake_elsewhere;
            world.after_clear = after ? wake_elsewhere : NULL;
            assert_int_equal(tresor_dispatch(world.context), 0);
            assert_true(stays_readable(descriptor));
            assert_int_equal(tresor_dispatch(world.context), 0);
            assert_true(is_silent(descriptor));
            end();
        }
    }
}

/* --- chunks --- */

static void *return_chunk(void *unused)
{
    (void)unused;
    tresor_chunk_return(world.context, world.stage);
    return NULL;
}

static void return_elsewhere(void)
{
    on_another_thread(return_chunk);
}

/* One stage for the whole stream, so that it goes on by what is given back alone. */
static void start_stream(uint32_t backend)
{
    struct tresor_event event;
    start(backend);
    end();
    world.options.stages_max = 1;
    world.options.stage_bytes = 64 * 1024;
    assert_error(tresor__context_create_over(&world.sys, &world.options, &world.context),
                 TRESOR_OK);
    open_source();
    assert_error(tresor_stream(world.context, &world.all, 1, NULL, &world.request), TRESOR_OK);
    assert_true(loop_to_event(tresor_get_fd(world.context), &event));
    assert_int_equal(event.type, TRESOR_EVENT_CHUNK);
    world.stage = event.stage;
}

static void loop_to_the_end_of_the_stream(int descriptor)
{
    struct tresor_event event;
    for (;;) {
        assert_true(loop_to_event(descriptor, &event));
        if (event.type == TRESOR_EVENT_DONE)
            break;
        world.stage = event.stage;
        return_elsewhere();
    }
    assert_error(event.error.code, TRESOR_OK);
}

static void a_chunk_that_is_back_is_work(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        start_stream(backend);
        int32_t descriptor = tresor_get_fd(world.context);
        while (tresor_dispatch(world.context) == 1)
            continue;
        assert_true(is_silent(descriptor));
        return_elsewhere();
        assert_true(stays_readable(descriptor));
        loop_to_the_end_of_the_stream(descriptor);
        close_and_end();
    }
}

static void a_chunk_that_is_back_while_it_is_silenced(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        for (uint32_t after = 0; after < 2; after++) {
            start_stream(backend);
            int32_t descriptor = tresor_get_fd(world.context);
            world.before_clear = after ? NULL : return_elsewhere;
            world.after_clear = after ? return_elsewhere : NULL;
            while (world.before_clear || world.after_clear)
                tresor_dispatch(world.context);
            assert_true(stays_readable(descriptor));
            loop_to_the_end_of_the_stream(descriptor);
            close_and_end();
        }
    }
}

/* --- what it costs --- */

static void dispatch_makes_no_call_unless_asked(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        start_open(backend);
        world.bell_calls = 0;
        load_all(0);
        while (tresor_next_event(world.context, &event) == 0)
            tresor_dispatch(world.context);
        assert_int_equal(world.bell_calls, 0);
        assert_true(tresor_get_fd(world.context) >= 0);
        assert_true(world.bell_calls > 0);
        close_and_end();
    }
}

/* --- whole runs --- */

static uint32_t submit_any(uint64_t *seed)
{
    struct tresor_request request;
    struct tresor_item item = world.all;
    uint32_t verb = random_below(seed, 4);
    struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .strategy = TRESOR_STRATEGY_MMAP + random_below(seed, 2),
        .flags = random_below(seed, 2) ? TRESOR_REQUEST_ITEMS : 0,
    };
    if (!random_once_in(seed, 4))
        tresor_item_of_tensor(world.context, world.source, random_below(seed, TENSORS), &item);
    int32_t code = verb < 2 ? tresor_load(world.context, &item, 1, &options, &request)
                            : TRESOR_ERROR_AGAIN;
    options.strategy = TRESOR_STRATEGY_DEFAULT;
    if (verb == 2)
        code = tresor_evict(world.context, &item, 1, &options, &request);
    if (verb == 3)
        code = tresor_advise(world.context, &item, 1, TRESOR_ADVICE_WILLNEED, &options, &request);
    if (code == TRESOR_OK && random_once_in(seed, 5))
        tresor_cancel(world.context, request);
    return code == TRESOR_OK;
}

/* A loop that works only when it is told to gets every end, or sleeps for ever. */
static void a_loop_that_sleeps_for_it_alone(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        for (uint64_t start_seed = 1; start_seed <= 20; start_seed++) {
            uint64_t seed = start_seed;
            uint32_t open_requests = 0;
            struct tresor_event event;
            start_open(backend);
            int32_t descriptor = tresor_get_fd(world.context);
            for (uint32_t left = 120; left > 0 || open_requests > 0;) {
                for (; left > 0 && (open_requests == 0 || random_below(&seed, 2)); left--)
                    open_requests += submit_any(&seed);
                if (open_requests == 0)
                    continue;
                struct pollfd one = {.fd = descriptor, .events = POLLIN};
                if (poll(&one, 1, PATIENCE_MS) != 1)
                    fail_msg("seed %u: a signal is lost", (unsigned)start_seed);
                tresor_dispatch(world.context);
                for (uint32_t take = random_below(&seed, 4);
                     take > 0 && tresor_next_event(world.context, &event) == 1; take--)
                    open_requests -= event.type == TRESOR_EVENT_DONE;
            }
            close_and_end();
        }
    }
}

struct progress {
    uint64_t steps;
    uint64_t completions;
    uint64_t in_backend; /* effects that it has, run or not */
};

static struct progress progress_of(const struct shuffled *shuffled)
{
    return (struct progress){world.context->controller.steps,
                             world.context->controller.completion_total,
                             shuffled->asked + shuffled->run};
}

/* On a backend that does nothing by itself, each call's answer can be checked against what the next dispatch does. */
static void it_says_what_the_next_dispatch_does(void **state)
{
    uint64_t silent = 0;
    uint64_t told = 0;
    (void)state;
    for (uint64_t start_seed = 1; start_seed <= 40; start_seed++) {
        uint64_t seed = start_seed;
        struct shuffled shuffled = {.sys = &world.sys};
        struct tresor_event event;
        memset(&world.memory, 0, sizeof world.memory);
        world.options = session_options(&world.memory);
        world.options.waits_max = 1 + random_below(&seed, 8);
        world.options.dispatch_max = 1 + random_below(&seed, 8);
        assert_error(tresor__context_create_on(&world.sys, shuffled_create, &shuffled,
                                               &world.options, &world.context),
                     TRESOR_OK);
        open_source();
        int32_t descriptor = tresor_get_fd(world.context);
        for (uint32_t i = 0; i < 300; i++) {
            if (random_below(&seed, 2))
                submit_any(&seed);
            if (random_below(&seed, 3) == 0)
                tresor_next_event(world.context, &event);
            if (random_below(&seed, 4) == 0) {
                /* As from the outside: what has come by now rings. */
                shuffled.is_holding = !shuffled.is_holding;
                tresor__bell_ring(&world.context->bell);
                tresor_get_fd(world.context);
            }
            bool readable = stays_readable(descriptor);
            bool has_event = world.context->controller.events.head != TRESOR_NONE;
            struct progress before = progress_of(&shuffled);
            tresor_dispatch(world.context);
            struct progress after = progress_of(&shuffled);
            bool worked = memcmp(&before, &after, sizeof before) != 0;
            if (readable != (has_event || worked))
                fail_msg("seed %u, call %u: readable %d, event %d, worked %d",
                         (unsigned)start_seed, i, readable, has_event, worked);
            silent += !readable;
            told += readable && !has_event;
        }
        shuffled.is_holding = false;
        while (tresor_wait(world.context, 0) == 1)
            tresor_next_event(world.context, &event);
        while (tresor_dispatch(world.context) == 1 ||
               tresor_next_event(world.context, &event) == 1)
            continue;
        close_and_end();
    }
    assert_true(silent > 100);
    assert_true(told > 100);
}

/* --- a dispatch's limit --- */

static void no_more_than_the_limit(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= 8; limit++) {
        struct shuffled shuffled = {.sys = &world.sys};
        struct tresor_event event;
        uint32_t limited = 0;
        memset(&world.memory, 0, sizeof world.memory);
        world.options = session_options(&world.memory);
        world.options.dispatch_max = limit;
        world.options.blocks_max = 16;
        assert_error(tresor__context_create_on(&world.sys, shuffled_create, &shuffled,
                                               &world.options, &world.context),
                     TRESOR_OK);
        open_source();
        load_all(0);
        while (tresor_next_event(world.context, &event) == 0) {
            uint64_t before = shuffled.answers;
            int32_t more = tresor_dispatch(world.context);
            assert_true(shuffled.answers - before <= limit);
            if (shuffled.asked + shuffled.run > 0)
                assert_int_equal(more, 1);
            limited += more == 1;
        }
        assert_true(limited > 1);
        close_and_end();
    }
}

/* --- waits --- */

static void waits_of_no_time(void **state)
{
    (void)state;
    FOR_EACH_BACKEND(backend) {
        struct tresor_event event;
        start_open(backend);
        assert_int_equal(tresor_wait(world.context, 0), 0);
        assert_int_equal(tresor_wait(world.context, -1), 0); /* nothing can bring an event */
        load_all(0);
        while (tresor_wait(world.context, 0) == 0)
            continue;
        /* One that is there stays, for waits without a limit too. */
        assert_int_equal(tresor_wait(world.context, 0), 1);
        assert_int_equal(tresor_wait(world.context, -1), 1);
        tresor_wake(world.context);
        assert_int_equal(tresor_wait(world.context, -1), 1);
        assert_int_equal(tresor_next_event(world.context, &event), 1);
        /* And the wake was not forgotten meanwhile, but counts once. */
        load_all(0);
        int32_t first = tresor_wait(world.context, backend == TRESOR_BACKEND_SYNC ? -1 : 0);
        assert_true(backend != TRESOR_BACKEND_SYNC || first == 1);
        finish();
        close_and_end();
    }
}

static void waits_of_no_time_do_not_sleep(void **state)
{
    (void)state;
    start_open(TRESOR_BACKEND_POOL);
    hold_reads(true);
    load_all(0);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(tresor_wait(world.context, 0), 0);
    tresor_wake(world.context);
    assert_int_equal(tresor_wait(world.context, -1), 0);
    hold_reads(false);
    finish();
    close_and_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_one_is_silent),
        cmocka_unit_test(from_submit_to_the_last_event),
        cmocka_unit_test(asked_for_late),
        cmocka_unit_test(dispatch_that_stops_at_its_limit),
        cmocka_unit_test(woken),
        cmocka_unit_test(finish_and_wait_leave_what_they_do_not_take),
        cmocka_unit_test(a_cancel_is_work),
        cmocka_unit_test(drained_by_another_thread),
        cmocka_unit_test(drained_while_it_is_silenced),
        cmocka_unit_test(woken_while_it_is_silenced),
        cmocka_unit_test(a_chunk_that_is_back_is_work),
        cmocka_unit_test(a_chunk_that_is_back_while_it_is_silenced),
        cmocka_unit_test(dispatch_makes_no_call_unless_asked),
        cmocka_unit_test(a_loop_that_sleeps_for_it_alone),
        cmocka_unit_test(it_says_what_the_next_dispatch_does),
        cmocka_unit_test(no_more_than_the_limit),
        cmocka_unit_test(waits_of_no_time),
        cmocka_unit_test(waits_of_no_time_do_not_sleep),
    };
    return cmocka_run_group_tests_name("host_loop", tests, make_model, remove_model);
}
