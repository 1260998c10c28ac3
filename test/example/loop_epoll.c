/* SPDX-License-Identifier: MIT */
/*
 * Load a model in a loop around epoll(7) that also has a timer of 1 ms, which goes on ticking.
 * Build: cc loop_epoll.c $(pkg-config --cflags --libs tresor)
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <tresor/tresor.h>

struct host {
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    int timer;
    uint64_t ticks;
    int32_t is_over;
    int32_t has_failed;
};

static void start_load(struct host *host)
{
    struct tresor_item all;
    host->ticks = 0;
    tresor_item_of_source(host->context, host->source, &all);
    tresor_load(host->context, &all, 1, NULL, &host->request);
}

static void see(struct host *host, const struct tresor_event *event)
{
    char text[512];
    if (event->error.code != TRESOR_OK) {
        tresor_error_format(host->context, &event->error, text, sizeof text);
        fprintf(stderr, "%s\n", text);
        host->has_failed = 1;
    }
    if (event->type != TRESOR_EVENT_DONE)
        return;
    if (event->verb == TRESOR_VERB_OPEN && event->error.code == TRESOR_OK) {
        start_load(host);
    } else if (event->verb == TRESOR_VERB_LOAD) {
        printf("%" PRIu32 " tensors, %" PRIu64 " bytes, %" PRIu64 " ticks\n", event->done,
               event->bytes, host->ticks);
        tresor_source_close(host->context, host->source, 0, &host->request);
    } else {
        host->is_over = 1;
    }
}

static void on_model(struct host *host)
{
    struct tresor_event event;
    tresor_dispatch(host->context);
    while (tresor_next_event(host->context, &event) == 1)
        see(host, &event);
}

static void on_timer(struct host *host)
{
    uint64_t expired = 0;
    if (read(host->timer, &expired, sizeof expired) == sizeof expired)
        host->ticks += expired;
}

static int watch(int loop, int descriptor)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = descriptor};
    return epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &wanted);
}

int main(int argc, char **argv)
{
    const struct itimerspec period = {{.tv_nsec = 1000000}, {.tv_nsec = 1000000}};
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = TRESOR_BACKEND_POOL};
    struct host host = {.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    struct epoll_event ready;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (argc != 2 || tresor_context_create(&options, &host.context) != TRESOR_OK)
        return 2;
    if (watch(loop, tresor_get_fd(host.context)) != 0 || watch(loop, host.timer) != 0 ||
        timerfd_settime(host.timer, 0, &period, NULL) != 0 ||
        tresor_source_open(host.context, argv[1], 0, &host.source, &host.request) != TRESOR_OK)
        return 2;
    while (!host.is_over && epoll_wait(loop, &ready, 1, -1) > 0) {
        if (ready.data.fd == host.timer)
            on_timer(&host);
        else
            on_model(&host);
    }
    close(loop);
    close(host.timer);
    tresor_context_destroy(host.context);
    return host.has_failed;
}
