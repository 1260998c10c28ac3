/* SPDX-License-Identifier: MIT */
/*
 * A host's loop with a timer of 1 ms beside the model: whatever the backend is kept by, dispatch returns and the timer
 * ticks, and the loop sleeps meanwhile. What is held back is let go by ticks alone, so a loop that is blocked would never
 * get on.
 */
#include "support/test.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "context.h"
#include "support/session.h"

enum {
    TENSORS = 12,
    TENSOR_BYTES = 100000,
    TICKS_EACH = 2,  /* that a call or a completion is held back for */
    PATIENCE_S = 60, /* after which the loop is blocked */
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct tresor__sys sys;
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    int loop;
    int timer;
    uint64_t dispatches;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t ticked;
    uint64_t ticks;
    uint64_t held; /* calls that were */
    bool has_given_up;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .ticked = PTHREAD_COND_INITIALIZER};

/* --- a system that is slow by ticks --- */

static void wait_for_ticks(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&world.lock);
    uint64_t wanted = world.ticks + TICKS_EACH;
    world.held++;
    while (world.ticks < wanted && !world.has_given_up)
        if (pthread_cond_timedwait(&world.ticked, &world.lock, &until) != 0)
            world.has_given_up = true;
    pthread_mutex_unlock(&world.lock);
}

static int64_t slow_open(void *cookie, const char *path)
{
    wait_for_ticks();
    return tresor__sys_posix()->open_file(cookie, path);
}

static int64_t slow_read(void *cookie, int descriptor, void *address, size_t length,
                         uint64_t offset)
{
    wait_for_ticks();
    return tresor__sys_posix()->read(cookie, descriptor, address, length, offset);
}

static int64_t slow_advise(void *cookie, void *address, size_t length,
                           enum tresor__sys_memory_advice advice)
{
    wait_for_ticks();
    return tresor__sys_posix()->advise_memory(cookie, address, length, advice);
}

static int64_t slow_map(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                        int descriptor, uint64_t offset, void **mapped)
{
    wait_for_ticks();
    return tresor__sys_posix()->map(cookie, kind, address, length, descriptor, offset, mapped);
}

static void be_slow(void)
{
    world.sys.open_file = slow_open;
    world.sys.read = slow_read;
    world.sys.advise_memory = slow_advise;
    world.sys.map = slow_map;
}

/* --- the loop --- */

static int make_model(void **state)
{
    struct model_tensor tensors[TENSORS];
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){TENSOR_BYTES, MODEL_NEXT, false};
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

static void watch(int descriptor)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = descriptor};
    assert_int_equal(epoll_ctl(world.loop, EPOLL_CTL_ADD, descriptor, &wanted), 0);
}

static void start_loop(void)
{
    const struct itimerspec period = {{.tv_nsec = 1000000}, {.tv_nsec = 1000000}};
    world.loop = epoll_create1(EPOLL_CLOEXEC);
    world.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    watch(world.timer);
    watch(tresor_get_fd(world.context));
    assert_int_equal(timerfd_settime(world.timer, 0, &period, NULL), 0);
    world.ticks = 0;
    world.held = 0;
    world.dispatches = 0;
}

/* Each is one, however late it is. */
static void tick(void)
{
    uint64_t expired;
    assert_int_equal(read(world.timer, &expired, sizeof expired), sizeof expired);
    pthread_mutex_lock(&world.lock);
    world.ticks++;
    pthread_cond_broadcast(&world.ticked);
    pthread_mutex_unlock(&world.lock);
}

static void end(void)
{
    close(world.timer);
    close(world.loop);
    assert_error(tresor_context_destroy(world.context), TRESOR_OK);
    assert_int_equal(world.memory.outstanding_bytes, 0);
    assert_false(world.has_given_up);
}

/* One turn: a tick, or a dispatch; true with the event that it brought. */
static bool turn(struct tresor_event *event)
{
    struct epoll_event ready;
    assert_int_equal(epoll_wait(world.loop, &ready, 1, PATIENCE_S * 1000), 1);
    if (ready.data.fd == world.timer) {
        tick();
        return false;
    }
    world.dispatches++;
    assert_true(tresor_dispatch(world.context) >= 0);
    return tresor_next_event(world.context, event) == 1;
}

/* How a run goes: until the end of the request that was submitted last. */
typedef void runner(void);

static void open_load_close(uint32_t strategy, runner *run)
{
    struct tresor_item all;
    struct tresor_request_options options = {.size_bytes = sizeof options, .strategy = strategy};
    assert_error(tresor_source_open(world.context, model_set_path(&world.set), 0, &world.source,
                                    &world.request),
                 TRESOR_OK);
    run();
    assert_error(tresor_item_of_source(world.context, world.source, &all), TRESOR_OK);
    assert_error(tresor_load(world.context, &all, 1, &options, &world.request), TRESOR_OK);
    run();
    assert_error(tresor_source_close(world.context, world.source, 0, &world.request), TRESOR_OK);
    run();
}

/* --- a backend that holds back what it was asked --- */

static struct shuffled shuffled;

/* As a backend does that has something to bring. */
static void let_go(void)
{
    shuffled.is_holding = false;
    tresor__bell_ring(&world.context->bell);
}

/* Every completion is held for some ticks, in which the loop sleeps but for them; then it brings one. */
static void run_held(void)
{
    struct tresor_event event;
    uint64_t asleep_since = world.ticks;
    uint64_t dispatches = world.dispatches;
    shuffled.is_holding = true;
    while (!turn(&event)) {
        assert_true(world.dispatches <= 4 * (shuffled.answers + 1)); /* the loop sleeps */
        bool has_slept = world.ticks >= asleep_since + TICKS_EACH;
        if (world.dispatches > dispatches)
            shuffled.is_holding = true;
        else if (has_slept && shuffled.asked + shuffled.run > 0)
            let_go();
        else
            continue;
        dispatches = world.dispatches;
        asleep_since = world.ticks;
    }
    assert_error(event.error.code, TRESOR_OK);
    assert_true(event.request.value == world.request.value);
}

static void the_timer_ticks_while_completions_are_held(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        struct tresor_context_options options = session_options(&world.memory);
        world.sys = *tresor__sys_posix();
        options.dispatch_max = 1;
        shuffled = (struct shuffled){.sys = &world.sys};
        assert_error(tresor__context_create_on(&world.sys, shuffled_create, &shuffled, &options,
                                               &world.context),
                     TRESOR_OK);
        start_loop();
        open_load_close(strategy, run_held);
        assert_true(world.ticks >= shuffled.answers * TICKS_EACH);
        assert_true(shuffled.answers > 10);
        end();
    }
}

/* --- workers that are held in the system --- */

static void run_free(void)
{
    struct tresor_event event;
    while (!turn(&event))
        continue;
    assert_error(event.error.code, TRESOR_OK);
    assert_true(event.request.value == world.request.value);
}

static void the_timer_ticks_while_workers_are_held(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ;
             strategy++) {
            struct tresor_context_options options = session_options(&world.memory);
            world.sys = *tresor__sys_posix();
            options.backend = TRESOR_BACKEND_POOL;
            options.threads_max = threads;
            assert_error(tresor__context_create_over(&world.sys, &options, &world.context),
                         TRESOR_OK);
            be_slow(); /* but not to make the context */
            start_loop();
            open_load_close(strategy, run_free);
            assert_true(world.held >= 6);
            assert_true(world.ticks >= world.held * TICKS_EACH / threads);
            end();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_timer_ticks_while_completions_are_held),
        cmocka_unit_test(the_timer_ticks_while_workers_are_held),
    };
    return cmocka_run_group_tests_name("host_timer", tests, make_model, remove_model);
}
