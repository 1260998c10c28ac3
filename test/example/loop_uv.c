/* SPDX-License-Identifier: MIT */
/*
 * Load a model in a libuv loop that also has a timer of 1 ms, which goes on ticking.
 * Build: cc loop_uv.c $(pkg-config --cflags --libs tresor libuv)
 */
#include <inttypes.h>
#include <stdio.h>
#include <uv.h>
#include <tresor/tresor.h>

struct host {
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    uv_poll_t model;
    uv_timer_t timer;
    uint64_t ticks;
    int32_t has_failed;
};

static void start_load(struct host *host)
{
    struct tresor_item all;
    host->ticks = 0;
    tresor_item_of_source(host->context, host->source, &all);
    tresor_load(host->context, &all, 1, NULL, &host->request);
}

/* A loop without handles ends. */
static void leave(struct host *host)
{
    uv_close((uv_handle_t *)&host->model, NULL);
    uv_close((uv_handle_t *)&host->timer, NULL);
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
        leave(host);
    }
}

static void on_model(uv_poll_t *model, int status, int events)
{
    struct host *host = model->data;
    struct tresor_event event;
    (void)status;
    (void)events;
    tresor_dispatch(host->context);
    while (tresor_next_event(host->context, &event) == 1)
        see(host, &event);
}

static void on_timer(uv_timer_t *timer)
{
    struct host *host = timer->data;
    host->ticks++;
}

int main(int argc, char **argv)
{
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = TRESOR_BACKEND_POOL};
    struct host host = {.model.data = &host, .timer.data = &host};
    uv_loop_t *loop = uv_default_loop();
    if (argc != 2 || tresor_context_create(&options, &host.context) != TRESOR_OK)
        return 2;
    if (uv_poll_init(loop, &host.model, tresor_get_fd(host.context)) != 0 ||
        uv_poll_start(&host.model, UV_READABLE, on_model) != 0 ||
        uv_timer_init(loop, &host.timer) != 0 ||
        uv_timer_start(&host.timer, on_timer, 1, 1) != 0 ||
        tresor_source_open(host.context, argv[1], 0, &host.source, &host.request) != TRESOR_OK)
        return 2;
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    tresor_context_destroy(host.context);
    return host.has_failed;
}
