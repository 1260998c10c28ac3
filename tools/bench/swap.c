/* SPDX-License-Identifier: MIT */
/* A whole resident model moved to the other strategy in place, against a copy of it, and against a cold load. */
#include <stdio.h>
#include <string.h>

#include "cold.h"
#include "loading.h"
#include "measure.h"
#include "models.h"
#include "pages.h"

struct model {
    struct loading loading;
    struct pages pages; /* touched, that the copy goes to */
    const void *data;   /* of the first tensor */
    uint32_t strategy;  /* that is measured */
    char path[1024];
};

static double swap_to(const struct model *model, uint32_t strategy)
{
    struct tresor_request request;
    double start = now_seconds();
    if (tresor_swap(model->loading.context, &model->loading.all, 1, strategy, NULL, &request) !=
            TRESOR_OK ||
        tresor_finish(model->loading.context, request, 1, NULL) != TRESOR_OK)
        give_up("a swap failed");
    return now_seconds() - start;
}

/* To the strategy and back; only the way there counts. */
static double swap(void *argument)
{
    const struct model *model = argument;
    double seconds = swap_to(model, model->strategy);
    swap_to(model, model->strategy == TRESOR_STRATEGY_READ ? TRESOR_STRATEGY_MMAP
                                                           : TRESOR_STRATEGY_READ);
    return seconds;
}

static double copy(void *argument)
{
    const struct model *model = argument;
    double start = now_seconds();
    memcpy(model->pages.bytes, model->data, model->loading.tensor_bytes);
    return now_seconds() - start;
}

/* In a context of its own, while the page cache has nothing, and so before and after nothing of it is mapped. */
static double load_cold(void *argument)
{
    struct model *model = argument;
    struct loading loading;
    loading_evict(&model->loading);
    cold_evict(model->path);
    loading_open(&loading, model->path, NULL);
    double seconds = loading_load_by(&loading, model->strategy);
    loading_close(&loading);
    loading_load_by(&model->loading, model->strategy == TRESOR_STRATEGY_READ
                                         ? TRESOR_STRATEGY_MMAP
                                         : TRESOR_STRATEGY_READ);
    return seconds;
}

/* Lines of what the process has mapped. */
static uint32_t map_entries(void)
{
    uint32_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    for (int byte = file ? getc(file) : EOF; byte != EOF; byte = getc(file))
        lines += byte == '\n';
    if (file)
        fclose(file);
    return lines;
}

static void count_entries(const struct model *model)
{
    uint32_t mapped = map_entries();
    swap_to(model, TRESOR_STRATEGY_READ);
    uint32_t private = map_entries();
    swap_to(model, TRESOR_STRATEGY_MMAP);
    printf("%-44s %u mapped, %u swapped to read, %u swapped back\n", "map entries of the process",
           mapped, private, map_entries());
}

bool bench_swap(const struct settings *settings)
{
    static const struct {
        const char *name;
        uint32_t from;
        uint32_t to;
    } rows[] = {{"read", TRESOR_STRATEGY_MMAP, TRESOR_STRATEGY_READ},
                {"mmap", TRESOR_STRATEGY_READ, TRESOR_STRATEGY_MMAP}};
    struct model model = {0};
    char name[64];
    models_large(settings, model.path, sizeof model.path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        loading_open(&model.loading, model.path, NULL);
        loading_load_by(&model.loading, rows[i].from);
        if (tresor_acquire(model.loading.context, model.loading.all, &model.data) != TRESOR_OK ||
            tresor_release(model.loading.context, model.loading.all) != TRESOR_OK)
            give_up("the model is not there");
        pages_reserve(&model.pages, model.loading.tensor_bytes);
        pages_populate(&model.pages);
        model.strategy = rows[i].to;
        snprintf(name, sizeof name, "swap to %s, against a copy", rows[i].name);
        show(name, swap, copy, &model, settings->pairs);
        pages_release(&model.pages);
        snprintf(name, sizeof name, "swap to %s, against a cold load", rows[i].name);
        show(name, swap, load_cold, &model, settings->pairs);
        if (rows[i].from == TRESOR_STRATEGY_MMAP)
            count_entries(&model);
        loading_close(&model.loading);
    }
    return true;
}
