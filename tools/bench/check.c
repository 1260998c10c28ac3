/* SPDX-License-Identifier: MIT */
/* A cold load whose tensors are checked against their digests, and searched for what is not finite, against one that is not. */
#include <stdio.h>
#include <stdlib.h>

#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"

#define CHECK_TARGET 1.15

struct checked {
    char path[1024];
    struct tresor_digest *digests;
    uint32_t count;
    uint32_t strategy;
    uint32_t flags;
};

static void take_items(const struct loading *loading, struct tresor_request request,
                       struct checked *checked)
{
    struct tresor_event event;
    for (bool is_done = false; !is_done;) {
        tresor_wait(loading->context, -1);
        while (!is_done && tresor_next_event(loading->context, &event) == 1) {
            uint32_t tensor = 0;
            is_done = event.type == TRESOR_EVENT_DONE && event.request.value == request.value;
            if (event.type != TRESOR_EVENT_ITEM || event.done == 0)
                continue;
            tresor_item_get_tensor(loading->context, event.item, 0, &tensor);
            checked->digests[tensor] =
                (struct tresor_digest){event.digest_high, event.digest_low};
        }
    }
}

static void learn(struct checked *checked)
{
    struct loading loading;
    struct tresor_request request;
    const struct tresor_request_options options = {.size_bytes = sizeof options,
                                                   .flags = TRESOR_REQUEST_ITEMS};
    loading_open(&loading, checked->path, NULL);
    tresor_item_measure(loading.context, loading.all, &checked->count, NULL);
    checked->digests = calloc(checked->count, sizeof *checked->digests);
    loading_load(&loading);
    if (!checked->digests ||
        tresor_digest(loading.context, &loading.all, 1, &options, &request) != TRESOR_OK)
        give_up("%s: no digests", checked->path);
    take_items(&loading, request, checked);
    loading_close(&loading);
}

static void promise(const struct loading *loading, const struct checked *checked)
{
    for (uint32_t i = 0; i < checked->count; i++) {
        struct tresor_item_digest digest = {.digest = checked->digests[i]};
        if (tresor_item_of_tensor(loading->context, loading->source, i, &digest.item) != TRESOR_OK ||
            tresor_source_set_digests(loading->context, loading->source, &digest, 1) != TRESOR_OK)
            give_up("%s: a digest was refused", checked->path);
    }
}

static double load(const struct checked *checked, uint32_t flags)
{
    struct tresor_context_options options =
        direct_options(TRESOR_BACKEND_URING,
                       checked->strategy == TRESOR_STRATEGY_READ ? TRESOR_DIRECT_ON : TRESOR_DIRECT_OFF);
    const struct tresor_request_options how = {
        .size_bytes = sizeof how, .strategy = checked->strategy, .flags = flags};
    struct tresor_request request;
    struct loading loading;
    cold_evict(checked->path);
    loading_open(&loading, checked->path, &options);
    promise(&loading, checked);
    double start = now_seconds();
    if (tresor_load(loading.context, &loading.all, 1, &how, &request) != TRESOR_OK ||
        tresor_finish(loading.context, request, 1, NULL) != TRESOR_OK)
        give_up("%s: a checked load failed", checked->path);
    double seconds = now_seconds() - start;
    loading_close(&loading);
    return seconds;
}

static double load_checked(void *argument)
{
    struct checked *checked = argument;
    return load(checked, checked->flags);
}

static double load_unchecked(void *argument)
{
    return load(argument, 0);
}

bool bench_check(const struct settings *settings)
{
    static const struct {
        const char *name;
        uint32_t strategy;
        uint32_t flags;
    } rows[] = {
        {"cold mmap, checked", TRESOR_STRATEGY_MMAP, TRESOR_REQUEST_CHECK},
        {"cold read, checked", TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK},
        {"cold read, finite", TRESOR_STRATEGY_READ, TRESOR_REQUEST_FINITE},
        {"cold read, checked and finite", TRESOR_STRATEGY_READ,
         TRESOR_REQUEST_CHECK | TRESOR_REQUEST_FINITE},
    };
    struct checked checked = {0};
    bool met = true;
    if (!tresor_can_digest()) {
        puts("check: this build makes no digests: not measured");
        return true;
    }
    models_large(settings, checked.path, sizeof checked.path);
    learn(&checked);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        checked.strategy = rows[i].strategy;
        checked.flags = rows[i].flags;
        met = compare(rows[i].name, load_checked, load_unchecked, &checked, settings->pairs,
                      CHECK_TARGET) && met;
    }
    free(checked.digests);
    return met;
}
