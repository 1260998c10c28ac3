/* SPDX-License-Identifier: MIT */
/* Acquire and release of what is resident, by one thread: one tensor, and a group of nine, as many as a layer has. */
#include <stdio.h>

#include <tresor/tresor.h>

#include "loading.h"
#include "measure.h"
#include "models.h"

enum {
    CALLS = 2000000,
    GROUP = 9,
};

static double calls(struct tresor_context *context, struct tresor_item item)
{
    const void *data = NULL;
    /* Of the processor, for nothing here waits, and a busy machine would be measured otherwise. */
    double start = processor_seconds();
    for (uint32_t i = 0; i < CALLS; i++)
        if (tresor_acquire(context, item, &data) != TRESOR_OK ||
            tresor_release(context, item) != TRESOR_OK)
            give_up("what is resident cannot be acquired");
    return (processor_seconds() - start) / CALLS * 1e9;
}

static double measure(const struct settings *settings, const char *name,
                      struct tresor_context *context, struct tresor_item item)
{
    double values[PAIRS_MAX];
    calls(context, item); /* once to warm up */
    for (uint32_t i = 0; i < settings->pairs; i++)
        values[i] = calls(context, item);
    double middle = median(values, settings->pairs);
    printf("%-44s %.1f ns (%.1f to %.1f)\n", name, middle, values[0],
           values[settings->pairs - 1]);
    return middle;
}

bool bench_acquire(const struct settings *settings)
{
    uint32_t tensors[GROUP];
    struct tresor_item one;
    struct tresor_item group;
    struct loading loading;
    char path[1024];
    models_small(settings, path, sizeof path);
    loading_open(&loading, path, NULL);
    loading_load(&loading);
    for (uint32_t i = 0; i < GROUP; i++)
        tensors[i] = i + 1;
    if (tresor_item_of_tensor(loading.context, loading.source, 1, &one) != TRESOR_OK ||
        tresor_item_of_list(loading.context, loading.source, tensors, GROUP, &group) != TRESOR_OK)
        give_up("the model has too few tensors");
    double single_ns = measure(settings, "acquire+release, one tensor", loading.context, one);
    measure(settings, "acquire+release, nine tensors", loading.context, group);
    loading_close(&loading);
    return report("acquire+release, one tensor, median", single_ns, "ns", 25);
}
