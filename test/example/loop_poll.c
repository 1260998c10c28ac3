/* SPDX-License-Identifier: MIT */
/* Load a model in a loop around poll(2). Build: cc loop_poll.c $(pkg-config --cflags --libs tresor) */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <tresor/tresor.h>

struct host {
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    int32_t is_over;
    int32_t has_failed;
};

static void start_load(struct host *host)
{
    struct tresor_item all;
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
        printf("%" PRIu32 " tensors, %" PRIu64 " bytes\n", event->done, event->bytes);
        tresor_source_close(host->context, host->source, 0, &host->request);
    } else {
        host->is_over = 1;
    }
}

int main(int argc, char **argv)
{
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = TRESOR_BACKEND_POOL};
    struct host host = {0};
    struct tresor_event event;
    if (argc != 2 || tresor_context_create(&options, &host.context) != TRESOR_OK)
        return 2;
    if (tresor_source_open(host.context, argv[1], 0, &host.source, &host.request) != TRESOR_OK)
        return 2;
    struct pollfd ready = {.fd = tresor_get_fd(host.context), .events = POLLIN};
    while (!host.is_over && poll(&ready, 1, -1) > 0) {
        tresor_dispatch(host.context);
        while (tresor_next_event(host.context, &event) == 1)
            see(&host, &event);
    }
    tresor_context_destroy(host.context);
    return host.has_failed;
}
