/* SPDX-License-Identifier: MIT */
/*
 * The watch over memory, on systems of every kind that a test can play: what is watched, what is told of it and when, what
 * is told where it cannot be watched, and that it ends whatever it waits for.
 */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "context.h"
#include "support/fake_world.h"

#define STALLS "/proc/pressure/memory"
#define V1 "/m/a/b"
#define V2 "/u/a/b"

enum {
    MEMORY = TRESOR_PRESSURE_MEMORY,
    LONG_MS = 20000, /* that something which comes at once is waited for */
    ENDS = 60,
    ARENA_BYTES = 12 * 1024 * 1024,
};

static struct fake_world world;

/* --- systems --- */

static const char both_mounts[] = "1 0 0:1 / /m rw - cgroup cgroup rw,memory\n"
                                  "2 0 0:2 / /u rw - cgroup2 cgroup2 rw\n";

static const struct fake_text v1_texts[] = {
    {"/proc/self/cgroup", "4:memory:/a/b\n0::/a/b\n"},
    {"/proc/self/mountinfo", both_mounts},
    {V1 "/memory.usage_in_bytes", "1940\n"},
    {V1 "/memory.limit_in_bytes", "9223372036854771712\n"},
    {"/m/a/memory.usage_in_bytes", "1950\n"},
    {"/m/a/memory.limit_in_bytes", "2000\n"},
    {"/m/memory.usage_in_bytes", "70000\n"},
    {"/m/memory.limit_in_bytes", "9223372036854771712\n"},
};

static const char *const v1_paths[] = {STALLS, V2 "/memory.pressure", V1 "/memory.pressure_level",
                                       "/m/a/memory.usage_in_bytes", NULL};

static const struct fake_text v2_texts[] = {
    {"/proc/self/cgroup", "0::/a/b\n"},
    {"/proc/self/mountinfo", both_mounts},
    {V2 "/memory.current", "900\n"},
    {V2 "/memory.max", "1000\n"},
    {V2 "/memory.high", "max\n"},
    {"/u/a/memory.current", "1950\n"},
    {"/u/a/memory.max", "max\n"},
    {"/u/a/memory.high", "max\n"},
};

static const char *const v2_paths[] = {STALLS, V2 "/memory.pressure", V2 "/memory.events", NULL};

static const char *const stalls_alone[] = {STALLS, NULL};

static void begin(const struct fake_text *texts, size_t count, const char *const *paths)
{
    fake_world_init(&world);
    for (size_t i = 0; i < count; i++)
        world.fake.texts[i] = texts[i];
    world.fake.arena_bytes = ARENA_BYTES; /* less, for many worlds are made */
    world.fake.watch_paths = paths;
    world.fake.has_workers = true;
    world.faulty.has_workers = true;
    world.options.threads_max = 2;
    world.options.pressure = MEMORY;
}

static void begin_v1(void)
{
    begin(v1_texts, sizeof v1_texts / sizeof v1_texts[0], v1_paths);
}

static void begin_v2(void)
{
    begin(v2_texts, sizeof v2_texts / sizeof v2_texts[0], v2_paths);
}

static void open_model(void)
{
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static void say(const char *path, const char *text)
{
    for (uint32_t i = 0; i < FAKE_TEXTS && world.fake.texts[i].path; i++)
        if (strcmp(world.fake.texts[i].path, path) == 0)
            world.fake.texts[i].text = text;
}

static void must_watch(const char *path, enum tresor__sys_watch_kind kind, const char *trigger)
{
    const struct fake_watch *watch = fake_sys_watch(&world.fake, path);
    if (!watch)
        fail_msg("%s is not watched", path);
    assert_int_equal(watch->kind, kind);
    assert_string_equal(watch->trigger, trigger);
}

static void rise(const char *path)
{
    struct fake_watch *watch = fake_sys_watch(&world.fake, path);
    assert_non_null(watch);
    fake_sys_rise(watch);
}

static void lose(const char *path)
{
    struct fake_watch *watch = fake_sys_watch(&world.fake, path);
    assert_non_null(watch);
    fake_sys_lose(watch);
}

static struct tresor_event next_event(void)
{
    struct tresor_event event;
    assert_int_equal(tresor_wait(world.session.context, -1), 1);
    assert_int_equal(tresor_next_event(world.session.context, &event), 1);
    return event;
}

static void must_be_told(uint32_t kinds, uint64_t usage_bytes, uint64_t limit_bytes)
{
    struct tresor_event event = next_event();
    assert_int_equal(event.type, TRESOR_EVENT_PRESSURE);
    assert_int_equal(event.flags, kinds);
    assert_true(event.bytes == usage_bytes);
    assert_true(event.total_bytes == limit_bytes);
    assert_error(event.error.code, TRESOR_OK);
    assert_int_equal(event.error.file, TRESOR_NONE);
    assert_int_equal(event.error.tensor, TRESOR_NONE);
    assert_int_equal(event.request.value, 0);
    assert_int_equal(tresor_next_event(world.session.context, &event), 0);
}

static void must_be_degraded(int32_t os_errno)
{
    struct tresor_event event = next_event();
    assert_int_equal(event.type, TRESOR_EVENT_DEGRADED);
    assert_int_equal(event.flags, TRESOR_DEGRADED_PRESSURE);
    assert_int_equal(event.error.os_errno, os_errno);
    assert_int_equal(event.error.file, TRESOR_NONE);
    assert_string_equal(tresor_degradation_name(event.flags), "pressure");
}

/* --- what is watched --- */

static void the_older_hierarchy(void **state)
{
    (void)state;
    begin_v1();
    open_model();
    assert_int_equal(world.fake.watch_count, 4);
    must_watch(STALLS, TRESOR__SYS_WATCH_STALL, "some 150000 2000000");
    must_watch(V2 "/memory.pressure", TRESOR__SYS_WATCH_STALL, "some 150000 2000000");
    must_watch(V1 "/memory.pressure_level", TRESOR__SYS_WATCH_NOTIFY, "medium");
    must_watch("/m/a/memory.usage_in_bytes", TRESOR__SYS_WATCH_NOTIFY, "1900");
    rise("/m/a/memory.usage_in_bytes");
    must_be_told(TRESOR_PRESSURE_LIMIT, 1950, 2000);
    rise(V1 "/memory.pressure_level");
    must_be_told(TRESOR_PRESSURE_STALL, 1950, 2000);
    say("/m/a/memory.usage_in_bytes", "1000\n");
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 1000, 2000);
    rise("/m/a/memory.usage_in_bytes"); /* on its way down */
    rise(V2 "/memory.pressure");
    must_be_told(TRESOR_PRESSURE_STALL, 1000, 2000);
    fake_world_close(&world);
}

static void the_unified_hierarchy(void **state)
{
    (void)state;
    begin_v2();
    open_model();
    assert_int_equal(world.fake.watch_count, 3);
    must_watch(STALLS, TRESOR__SYS_WATCH_STALL, "some 150000 2000000");
    must_watch(V2 "/memory.pressure", TRESOR__SYS_WATCH_STALL, "some 150000 2000000");
    must_watch(V2 "/memory.events", TRESOR__SYS_WATCH_EVENTS, "");
    rise(V2 "/memory.events");
    must_be_told(TRESOR_PRESSURE_LIMIT, 900, 1000);
    rise(V2 "/memory.pressure");
    must_be_told(TRESOR_PRESSURE_STALL, 900, 1000);
    say(V2 "/memory.max", "max\n");
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 900, UINT64_MAX);
    fake_world_close(&world);
}

/* What the system says is what it is, whatever nonsense. */
static void numbers_that_are_none(void **state)
{
    static const char *const texts[] = {"x\n", "", "-1\n", "1844674407370955161600\n"};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        begin_v2();
        say(V2 "/memory.current", texts[i]);
        open_model();
        assert_null(fake_sys_watch(&world.fake, V2 "/memory.events"));
        rise(STALLS);
        must_be_told(TRESOR_PRESSURE_STALL, 0, UINT64_MAX);
        fake_world_close(&world);
        begin_v2();
        open_model();
        rise(STALLS);
        must_be_told(TRESOR_PRESSURE_STALL, 900, 1000);
        say(V2 "/memory.max", texts[i]);
        rise(V2 "/memory.events");
        must_be_told(TRESOR_PRESSURE_LIMIT, 0, UINT64_MAX);
        fake_world_close(&world);
    }
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
    for (uint32_t i = 0; i < LONG_MS && count_threads() != wanted; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(count_threads(), wanted);
}

static void a_system_that_tells_nothing(void **state)
{
    int before = count_threads();
    (void)state;
    begin(NULL, 0, NULL);
    fake_world_start_context(&world);
    must_be_degraded(ENOENT);
    assert_int_equal(count_threads(), before);
    assert_int_equal(tresor_wait(world.session.context, -1), 0); /* nothing can come */
    fake_world_end(&world);
    begin(NULL, 0, stalls_alone);
    fake_world_start_context(&world);
    assert_int_equal(count_threads(), before + 1);
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 0, UINT64_MAX);
    fake_world_end(&world);
    threads_must_become(before);
}

static void nothing_is_watched_where_nobody_asked(void **state)
{
    int before = count_threads();
    (void)state;
    begin_v1();
    world.options.pressure = 0;
    open_model();
    assert_int_equal(world.fake.watch_count, 0);
    assert_int_equal(world.faulty.counts[FAULTY_READ_TEXT], 0);
    assert_int_equal(count_threads(), before);
    assert_int_equal(tresor_wait(world.session.context, -1), 0);
    fake_world_close(&world);
}

static void options_are_checked(void **state)
{
    static const uint32_t wrong[] = {TRESOR_PRESSURE_SHRINK, 4, 5, 7, UINT32_MAX};
    (void)state;
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tresor_context *context;
        struct tresor_context_options options = {.size_bytes = sizeof options,
                                                 .pressure = wrong[i]};
        assert_error(tresor_context_create(&options, &context), TRESOR_ERROR_INVALID);
    }
}

/* --- when it is told --- */

static bool is_readable(int32_t descriptor, int32_t timeout_ms)
{
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

static void the_loop_is_told(void **state)
{
    struct tresor_event event;
    (void)state;
    begin_v1();
    open_model();
    int32_t descriptor = tresor_get_fd(world.session.context);
    session_settle(&world.session);
    assert_false(is_readable(descriptor, 0));
    for (uint32_t i = 0; i < 20; i++) {
        rise(STALLS);
        while (tresor_next_event(world.session.context, &event) == 0) {
            assert_true(is_readable(descriptor, LONG_MS));
            tresor_dispatch(world.session.context);
        }
        assert_int_equal(event.type, TRESOR_EVENT_PRESSURE);
        while (is_readable(descriptor, 0)) /* once too often at the most */
            tresor_dispatch(world.session.context);
    }
    fake_world_close(&world);
}

/* The controller has seen all of it, and nobody has taken the event. */
static void until_untold(uint32_t kinds)
{
    while (world.session.context->controller.pressure.untold != kinds) {
        tresor_dispatch(world.session.context);
        sched_yield();
    }
}

static void one_event_tells_of_all_until_it_is_taken(void **state)
{
    (void)state;
    begin_v1();
    open_model();
    rise(STALLS);
    until_untold(TRESOR_PRESSURE_STALL);
    rise(V1 "/memory.pressure_level");
    rise("/m/a/memory.usage_in_bytes");
    until_untold(TRESOR_PRESSURE_STALL | TRESOR_PRESSURE_LIMIT);
    must_be_told(TRESOR_PRESSURE_STALL | TRESOR_PRESSURE_LIMIT, 1950, 2000);
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 1950, 2000);
    fake_world_close(&world);
}

static void *rise_once(void *watch)
{
    fake_sys_rise(watch);
    return NULL;
}

static void *wake_once(void *context)
{
    tresor_wake(context);
    return NULL;
}

static void waits_sleep_until_it_is_told(void **state)
{
    pthread_t thread;
    (void)state;
    begin_v2();
    open_model();
    for (uint32_t i = 0; i < 30; i++) {
        bool wakes = i % 3 == 0;
        assert_int_equal(
            pthread_create(&thread, NULL, wakes ? wake_once : rise_once,
                           wakes ? (void *)world.session.context
                                 : (void *)fake_sys_watch(&world.fake, STALLS)),
            0);
        if (wakes)
            assert_int_equal(tresor_wait(world.session.context, -1), 0);
        else
            must_be_told(TRESOR_PRESSURE_STALL, 900, 1000);
        pthread_join(thread, NULL);
    }
    fake_world_close(&world);
}

/* It is no request's, and ends none. */
static void requests_do_not_wait_for_it(void **state)
{
    (void)state;
    begin_v1();
    open_model();
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t strategy = i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        rise(i % 2 ? STALLS : "/m/a/memory.usage_in_bytes");
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    }
    while (world.session.pressure_count == 0) {
        session_pump(&world.session);
        sched_yield();
    }
    struct tresor_counters counters = fake_world_counters(&world);
    assert_int_equal(counters.effects, counters.completions + 1);
    assert_int_equal(counters.rejected, 0);
    fake_world_close(&world);
}

static void it_outlasts_a_backend(void **state)
{
    static const uint32_t kinds[] = {TRESOR_BACKEND_POOL, TRESOR_BACKEND_SYNC};
    (void)state;
    begin_v1();
    open_model();
    for (uint32_t i = 0; i < 10; i++) {
        rise(STALLS);
        session_settle(&world.session);
        assert_error(tresor_set_backend(world.session.context, kinds[i % 2]), TRESOR_OK);
        while (world.session.pressure_count <= i) {
            session_pump(&world.session);
            sched_yield();
        }
    }
    fake_world_close(&world);
}

/* --- where it ends --- */

static void it_ends_whatever_it_waits_for(void **state)
{
    int before = count_threads();
    (void)state;
    for (uint32_t i = 0; i < ENDS; i++) {
        struct tresor_event event;
        begin_v1();
        fake_world_start_context(&world);
        if (i % 5 > 0)
            tresor_dispatch(world.session.context);
        if (i % 5 > 1)
            rise(STALLS);
        if (i % 5 > 2)
            tresor_wait(world.session.context, -1);
        if (i % 5 > 3)
            tresor_next_event(world.session.context, &event);
        fake_world_end(&world);
    }
    threads_must_become(before);
}

/* A refusal to be destroyed leaves it watching. */
static void a_context_that_stays_is_watched_on(void **state)
{
    (void)state;
    begin_v1();
    open_model();
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, 0);
    assert_error(tresor_acquire(world.session.context, item, NULL), TRESOR_OK);
    assert_error(tresor_context_destroy(world.session.context), TRESOR_ERROR_BUSY);
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 1950, 2000);
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    fake_world_close(&world);
}

/* --- a budget that shrinks --- */

static void begin_shrinking(void)
{
    begin_v2();
    world.options.pressure = MEMORY | TRESOR_PRESSURE_SHRINK;
    say(V2 "/memory.max", "1000000\n");
    say(V2 "/memory.current", "950000\n");
    open_model();
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
}

static void group_rises(const char *usage_text, uint64_t usage_bytes, uint64_t limit_bytes)
{
    say(V2 "/memory.current", usage_text);
    rise(V2 "/memory.events");
    must_be_told(TRESOR_PRESSURE_LIMIT, usage_bytes, limit_bytes);
    session_settle(&world.session);
}

/* To what leaves the group at nine tenths of its limit, and never up again. */
static void a_budget_shrinks_with_its_group(void **state)
{
    (void)state;
    begin_shrinking();
    const uint64_t charged = fake_world_counters(&world).charged_bytes;
    assert_true(charged > 50000);
    assert_int_equal(fake_world_counters(&world).budget_bytes, 0);
    group_rises("950000\n", 950000, 1000000);
    struct tresor_counters after = fake_world_counters(&world);
    assert_int_equal(after.budget_bytes, charged - 50000);
    assert_true(after.charged_bytes <= after.budget_bytes);
    assert_true(after.evicted > 0);
    group_rises("100000\n", 100000, 1000000); /* there would be room for more */
    assert_int_equal(fake_world_counters(&world).budget_bytes, charged - 50000);
    say(V2 "/memory.max", "max\n"); /* nobody knows how much less would do */
    group_rises("5000000\n", 5000000, UINT64_MAX);
    assert_int_equal(fake_world_counters(&world).budget_bytes, charged - 50000);
    fake_world_close(&world);
}

static void a_group_beyond_all_help_takes_everything(void **state)
{
    (void)state;
    begin_shrinking();
    group_rises("5000000\n", 5000000, 1000000);
    struct tresor_counters after = fake_world_counters(&world);
    assert_int_equal(after.budget_bytes, 1); /* 0 would be none */
    assert_int_equal(after.charged_bytes, 0);
    fake_world_must_have(&world, 0);
    fake_world_close(&world);
}

/* Without the flag it is told, and nothing more. */
static void a_budget_stays_where_nobody_asked(void **state)
{
    (void)state;
    begin_v2();
    open_model();
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    group_rises("950\n", 950, 1000);
    assert_int_equal(fake_world_counters(&world).budget_bytes, 0);
    fake_world_must_have(&world, FAKE_TENSORS);
    fake_world_close(&world);
}

/* --- what is refused --- */

/* Each call that finds something to watch fails: what is left is watched, and if nothing is that is told. */
static void calls_that_find_fail(enum faulty_row row, bool persistent, int32_t os_errno)
{
    for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
        if (nth % 2)
            begin_v1();
        else
            begin_v2();
        world.faulty.plan = (struct faulty_plan){
            .row = row, .nth = (nth + 1) / 2, .persistent = persistent, .os_errno = os_errno};
        fake_world_start_context(&world);
        if (world.fake.watch_count == 0) {
            must_be_degraded(os_errno);
        } else {
            struct fake_watch *watch = &world.fake.watches[world.fake.watch_count - 1];
            fake_sys_rise(watch);
            assert_int_equal(next_event().type, TRESOR_EVENT_PRESSURE);
        }
        if (persistent && nth <= 2 && row == FAULTY_WATCH_OPEN)
            assert_int_equal(world.fake.watch_count, 0);
        fake_world_end(&world);
        injected = world.faulty.injected;
    }
}

static void what_is_refused_is_not_watched(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_WATCH_OPEN, &count);
    (void)state;
    for (uint32_t i = 0; i < 2 * count; i++)
        calls_that_find_fail(FAULTY_WATCH_OPEN, i % 2, errors[i / 2]);
    for (uint32_t i = 0; i < 2; i++) { /* what is missing, and what cannot be read */
        calls_that_find_fail(FAULTY_READ_TEXT, i, ENOENT);
        calls_that_find_fail(FAULTY_READ_TEXT, i, EIO);
    }
}

static void a_sleep_that_fails_ends_it(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_WATCH_WAIT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        begin_v1();
        world.faulty.plan = (struct faulty_plan){
            .row = FAULTY_WATCH_WAIT, .nth = 1, .persistent = true, .os_errno = errors[i]};
        fake_world_start_context(&world);
        must_be_degraded(errors[i]);
        assert_int_equal(tresor_wait(world.session.context, -1), 0); /* nothing comes any more */
        assert_int_equal(world.faulty.counts[FAULTY_WATCH_WAIT], errors[i] == EINTR ? 16 : 1);
        fake_world_end(&world);
    }
    begin_v1(); /* interrupted once, it goes on */
    world.faulty.plan = (struct faulty_plan){.row = FAULTY_WATCH_WAIT, .nth = 1, .os_errno = EINTR};
    fake_world_start_context(&world);
    rise(STALLS);
    must_be_told(TRESOR_PRESSURE_STALL, 1950, 2000);
    fake_world_end(&world);
}

/* Between two askings: who asks again is told at once. */
static void what_ends_while_nobody_asks_is_told(void **state)
{
    int before = count_threads();
    (void)state;
    begin(NULL, 0, stalls_alone);
    fake_world_start_context(&world);
    session_settle(&world.session); /* asked */
    int32_t descriptor = tresor_get_fd(world.session.context);
    assert_false(is_readable(descriptor, 0));
    rise(STALLS);
    assert_true(is_readable(descriptor, LONG_MS)); /* answered */
    lose(STALLS);
    threads_must_become(before); /* the watch's has found that out */
    must_be_told(TRESOR_PRESSURE_STALL, 0, UINT64_MAX);
    must_be_degraded(ENODEV);
    assert_int_equal(tresor_wait(world.session.context, -1), 0);
    fake_world_end(&world);
}

static void what_is_gone_is_watched_no_more(void **state)
{
    (void)state;
    begin_v1();
    fake_world_start_context(&world);
    lose(STALLS);
    lose(V2 "/memory.pressure");
    rise(V1 "/memory.pressure_level");
    must_be_told(TRESOR_PRESSURE_STALL, 1950, 2000);
    lose("/m/a/memory.usage_in_bytes");
    lose(V1 "/memory.pressure_level");
    must_be_degraded(ENODEV);
    assert_int_equal(tresor_wait(world.session.context, -1), 0);
    fake_world_end(&world);
}

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

static int32_t create_and_destroy(void)
{
    struct tresor_context *context;
    int32_t code = tresor__context_create_over(&world.faulty.sys, &world.options, &context);
    assert_int_equal(context != NULL, code == TRESOR_OK);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
    assert_null(faulty_sys_check(&world.faulty));
    assert_int_equal(world.memory.outstanding_bytes, 0);
    fake_sys_free(&world.fake);
    return code;
}

/* A context that was to be watched is not made without. */
static void creation_that_fails_leaves_nothing(void **state)
{
    int before = count_threads();
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    uint64_t nth = 1;
    (void)state;
    for (; code != TRESOR_OK; nth++) {
        begin_v1();
        world.memory.fail_call = nth;
        code = create_and_destroy();
        if (code != TRESOR_OK)
            assert_error(code, TRESOR_ERROR_NO_MEMORY);
    }
    assert_true(nth > 12);
    begin_v1();
    threads_left = 0;
    assert_error(create_and_destroy(), TRESOR_ERROR_NO_MEMORY);
    threads_left = UINT32_MAX;
    for (nth = 1; nth <= 2; nth++) { /* the context's bell, and the watch's */
        begin_v1();
        world.faulty.plan =
            (struct faulty_plan){.row = FAULTY_BELL_OPEN, .nth = nth, .os_errno = EMFILE};
        assert_error(create_and_destroy(), TRESOR_ERROR_DESCRIPTORS);
    }
    threads_must_become(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_older_hierarchy),
        cmocka_unit_test(the_unified_hierarchy),
        cmocka_unit_test(numbers_that_are_none),
        cmocka_unit_test(a_system_that_tells_nothing),
        cmocka_unit_test(nothing_is_watched_where_nobody_asked),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(the_loop_is_told),
        cmocka_unit_test(one_event_tells_of_all_until_it_is_taken),
        cmocka_unit_test(waits_sleep_until_it_is_told),
        cmocka_unit_test(requests_do_not_wait_for_it),
        cmocka_unit_test(it_outlasts_a_backend),
        cmocka_unit_test(it_ends_whatever_it_waits_for),
        cmocka_unit_test(a_context_that_stays_is_watched_on),
        cmocka_unit_test(a_budget_shrinks_with_its_group),
        cmocka_unit_test(a_group_beyond_all_help_takes_everything),
        cmocka_unit_test(a_budget_stays_where_nobody_asked),
        cmocka_unit_test(what_is_refused_is_not_watched),
        cmocka_unit_test(a_sleep_that_fails_ends_it),
        cmocka_unit_test(what_ends_while_nobody_asks_is_told),
        cmocka_unit_test(what_is_gone_is_watched_no_more),
        cmocka_unit_test(creation_that_fails_leaves_nothing),
    };
    threads_left = UINT32_MAX;
    return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
