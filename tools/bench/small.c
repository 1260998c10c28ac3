/* SPDX-License-Identifier: MIT */
/* A model of very many small tensors from the disk, against one direct pass over the same bytes. */
#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"
#include "ring.h"

struct small {
    char path[1024];
    struct pages pages; /* populated */
    struct ring_shape shape;
};

static double load_small(void *argument)
{
    struct small *small = argument;
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_URING, TRESOR_DIRECT_ON);
    struct loading loading;
    cold_evict(small->path);
    loading_open(&loading, small->path, &options);
    double seconds = loading_load(&loading);
    loading_close(&loading);
    return seconds;
}

static double raw_pass(void *argument)
{
    struct small *small = argument;
    cold_evict(small->path);
    return ring_read(small->path, &small->pages, small->shape);
}

bool bench_small(const struct settings *settings)
{
    struct small small = {0};
    models_many(settings, small.path, sizeof small.path);
    pages_reserve(&small.pages, models_bytes(small.path));
    pages_populate(&small.pages);
    cold_evict(small.path);
    small.shape = ring_find_best(small.path, &small.pages);
    bool met = compare("cold read, 100,000 tensors of 16 KiB", load_small, raw_pass, &small,
                       settings->pairs, 1.1);
    pages_release(&small.pages);
    return met;
}
