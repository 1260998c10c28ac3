/* SPDX-License-Identifier: MIT */
#include "loading.h"

#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "models.h"

void loading_open(struct loading *loading, const char *path,
                  const struct tresor_context_options *options)
{
    *loading = (struct loading){.file = {.size_bytes = sizeof loading->file}};
    int32_t code = tresor_context_create(options, &loading->context);
    if (code != TRESOR_OK)
        give_up("no context: %s", tresor_error_name(code));
    models_open(loading->context, path, &loading->source);
    if (tresor_item_of_source(loading->context, loading->source, &loading->all) != TRESOR_OK ||
        tresor_item_measure(loading->context, loading->all, NULL, &loading->tensor_bytes) !=
            TRESOR_OK ||
        tresor_source_get_file(loading->context, loading->source, 0, &loading->file) != TRESOR_OK)
        give_up("%s: it cannot be asked for", path);
}

/* A figure of what was not asked for would mislead. */
static void tell_degraded(const struct tresor_event *event)
{
    if (event->type == TRESOR_EVENT_DEGRADED)
        printf("degraded: %s: %s\n", tresor_degradation_name(event->flags),
               strerror(event->error.os_errno));
}

void loading_close(struct loading *loading)
{
    struct tresor_event event;
    models_close(loading->context, loading->source);
    while (tresor_next_event(loading->context, &event) == 1)
        tell_degraded(&event);
    if (tresor_context_destroy(loading->context) != TRESOR_OK)
        give_up("a context cannot be ended");
}

static void finish(const struct loading *loading, struct tresor_request request)
{
    int32_t code = tresor_finish(loading->context, request, 1, NULL);
    if (code != TRESOR_OK)
        give_up("a request failed: %s", tresor_error_name(code));
}

double loading_load_by(const struct loading *loading, uint32_t strategy)
{
    struct tresor_request_options options = {.size_bytes = sizeof options, .strategy = strategy};
    struct tresor_request request;
    double start = now_seconds();
    if (tresor_load(loading->context, &loading->all, 1, &options, &request) != TRESOR_OK)
        give_up("a load was refused");
    finish(loading, request);
    return now_seconds() - start;
}

double loading_load(const struct loading *loading)
{
    return loading_load_by(loading, TRESOR_STRATEGY_DEFAULT);
}

void loading_evict(const struct loading *loading)
{
    struct tresor_request request;
    if (tresor_evict(loading->context, &loading->all, 1, NULL, &request) != TRESOR_OK)
        give_up("an eviction was refused");
    finish(loading, request);
}

struct tresor_request loading_begin(const struct loading *loading)
{
    struct tresor_request request;
    if (tresor_load(loading->context, &loading->all, 1, NULL, &request) != TRESOR_OK)
        give_up("a load was refused");
    return request;
}

bool loading_is_done(const struct loading *loading, struct tresor_request request)
{
    struct tresor_event event;
    while (tresor_next_event(loading->context, &event) == 1) {
        tell_degraded(&event);
        if (event.type != TRESOR_EVENT_DONE || event.request.value != request.value)
            continue;
        if (event.error.code != TRESOR_OK)
            give_up("a load failed: %s", tresor_error_name(event.error.code));
        return true;
    }
    return false;
}
