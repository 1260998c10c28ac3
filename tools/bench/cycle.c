/* SPDX-License-Identifier: MIT */
/* A load and an eviction of one tensor through all machines, on a backend that answers at once. */
#include <stdio.h>
#include <stdlib.h>

#include "instant.h"
#include "measure.h"
#include "models.h"

enum { CYCLES = 200000 };

static uint64_t allocations;

static void *count_reallocate(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)cookie;
    (void)old_bytes;
    allocations++;
    return realloc(block, new_bytes);
}

static void count_free(void *cookie, void *block, size_t size_bytes)
{
    (void)cookie;
    (void)size_bytes;
    free(block);
}

static void end(struct tresor_context *context, struct tresor_request request)
{
    struct tresor_event event;
    while (tresor_next_event(context, &event) == 0)
        tresor_dispatch(context);
    if (event.request.value != request.value || event.error.code != TRESOR_OK)
        give_up("a cycle failed: %s", tresor_error_name(event.error.code));
}

static double cycles(struct tresor_context *context, struct tresor_item item,
                     const struct tresor_request_options *options)
{
    struct tresor_request request;
    /* Of the processor, for nothing here waits, and a busy machine would be measured otherwise. */
    double start = processor_seconds();
    for (uint32_t i = 0; i < CYCLES; i++) {
        tresor_load(context, &item, 1, options, &request);
        end(context, request);
        tresor_evict(context, &item, 1, NULL, &request);
        end(context, request);
    }
    return (processor_seconds() - start) / CYCLES * 1e9;
}

static double best_cycles(const struct settings *settings, struct tresor_context *context,
                          struct tresor_item item, uint32_t strategy)
{
    struct tresor_request_options options = {.size_bytes = sizeof options, .strategy = strategy};
    double values[PAIRS_MAX];
    for (uint32_t i = 0; i < settings->pairs; i++)
        values[i] = cycles(context, item, &options);
    return median(values, settings->pairs);
}

bool bench_cycle(const struct settings *settings)
{
    struct tresor_context_options options = {
        .size_bytes = sizeof options,
        .allocator = {.reallocate = count_reallocate, .free = count_free},
    };
    struct tresor_context *context = NULL;
    struct tresor_source source;
    struct tresor_item item;
    char path[1024];
    models_small(settings, path, sizeof path);
    if (instant_create(&options, &context) != TRESOR_OK)
        give_up("no context");
    models_open(context, path, &source);
    tresor_item_of_tensor(context, source, 1, &item);
    uint64_t before = allocations;
    double mmap_ns = best_cycles(settings, context, item, TRESOR_STRATEGY_MMAP);
    double read_ns = best_cycles(settings, context, item, TRESOR_STRATEGY_READ);
    bool met = report("load+evict cycle, mmap", mmap_ns, "ns", 300);
    met = report("load+evict cycle, read", read_ns, "ns", 300) && met;
    met = report("allocations in all cycles", (double)(allocations - before), "", 0) && met;
    models_close(context, source);
    tresor_context_destroy(context);
    return met;
}
