/* SPDX-License-Identifier: MIT */
/* How long one dispatch holds its caller while a model is loaded cold, in a loop that polls the
 * context's descriptor. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "cold.h"
#include "direct.h"
#include "dispatching.h"
#include "loading.h"
#include "measure.h"
#include "models.h"

enum {
    CALLS_MIN = 20000,
    LOADS_MAX = 500,
    POLL_MS = 10000,
    STRETCH_NS = 50000,
};

static void load_polling(const struct loading *loading, struct dispatch_times *times)
{
    struct pollfd wait = {.events = POLLIN};
    wait.fd = tresor_get_fd(loading->context);
    if (wait.fd < 0)
        give_up("no descriptor: %s", tresor_error_name(wait.fd));
    struct tresor_request request = loading_begin(loading);
    do {
        const struct dispatch_start start = dispatch_times_start();
        const int32_t more = tresor_dispatch(loading->context);
        dispatch_times_add(times, &start);
        if (more == 0 && poll(&wait, 1, POLL_MS) == 0)
            give_up("the descriptor kept silent for ten seconds");
    } while (!loading_is_done(loading, request));
}

static void stretch(struct latencies *wall, struct latencies *processor)
{
    uint64_t from_ns = clock_ns();
    uint64_t processor_from_ns = clock_of_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns() < from_ns + STRETCH_NS)
        continue;
    latencies_add(processor, clock_of_ns(CLOCK_THREAD_CPUTIME_ID) - processor_from_ns);
    latencies_add(wall, clock_ns() - from_ns);
}

/* Loads until it is ended. */
_Noreturn static void load_for_ever(const char *path)
{
    struct tresor_context_options options =
        direct_options(TRESOR_BACKEND_POOL, TRESOR_DIRECT_AUTO);
    struct loading loading;
    loading_open(&loading, path, &options);
    for (;;) {
        cold_evict(path);
        loading_load(&loading);
        loading_evict(&loading);
    }
}

/* What the machine does, while another process loads, to code that does nothing: interrupts, what the host of a virtual
 * machine takes, and who else runs are on a thread's clocks too. */
static void show_noise(const char *path)
{
    static struct latencies wall;
    static struct latencies processor;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        give_up("no process");
    if (child == 0)
        load_for_ever(path);
    for (int i = 0; i < CALLS_MIN; i++) {
        const struct timespec pause = {.tv_nsec = STRETCH_NS};
        nanosleep(&pause, NULL);
        stretch(&wall, &processor);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("for comparison, %d stretches of %d us of nothing beside such loads: longest on the thread's processor %.1f us, "
           "p99.9 by the wall %.1f us\n",
           CALLS_MIN, STRETCH_NS / 1000, (double)processor.max_ns / 1e3,
           (double)latencies_at(&wall, 999000) / 1e3);
}

static bool report_times(const char *name, const struct dispatch_times *times, uint32_t loads)
{
    const struct latencies *wall = &times->wall;
    char line[64];
    printf("dispatch, %s: %llu calls in %u loads, p50 %.1f us, p99 %.1f us, longest %.1f us; "
           "processor p99.9 %.1f us\n",
           name, (unsigned long long)wall->count, loads, (double)latencies_at(wall, 500000) / 1e3,
           (double)latencies_at(wall, 990000) / 1e3, (double)wall->max_ns / 1e3,
           (double)latencies_at(&times->processor, 999000) / 1e3);
    snprintf(line, sizeof line, "dispatch, %s, longest, thread's processor", name);
    bool met = report(line, (double)times->processor.max_ns / 1e3, "us", 1000);
    snprintf(line, sizeof line, "dispatch, %s, p99.9, wall", name);
    return report(line, (double)latencies_at(wall, 999000) / 1e3, "us", 200) && met;
}

static bool measure_on(const char *name, uint32_t backend, const char *path)
{
    static struct dispatch_times times;
    struct tresor_context_options options = direct_options(backend, TRESOR_DIRECT_AUTO);
    struct loading loading;
    uint32_t loads = 0;
    times = (struct dispatch_times){0};
    loading_open(&loading, path, &options);
    for (; loads < LOADS_MAX && times.wall.count < CALLS_MIN; loads++) {
        cold_evict(path);
        load_polling(&loading, &times);
        loading_evict(&loading);
    }
    loading_close(&loading);
    if (times.wall.count < CALLS_MIN)
        give_up("too few dispatches to tell");
    return report_times(name, &times, loads);
}

bool bench_dispatch(const struct settings *settings)
{
    char path[1024];
    models_large(settings, path, sizeof path);
    show_noise(path);
    bool met = measure_on("uring", TRESOR_BACKEND_URING, path);
    return measure_on("pool", TRESOR_BACKEND_POOL, path) && met;
}
