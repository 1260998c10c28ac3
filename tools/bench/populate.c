/* SPDX-License-Identifier: MIT */
/*
 * A whole model from a cold page cache by mmap, against what loaders usually ask of the kernel, at the device's own
 * readahead and at the usual one. Each run finds no page cached.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cold.h"
#include "measure.h"
#include "models.h"

enum { USUAL_READAHEAD_BYTES = 128 * 1024 };

struct cold_model {
    char path[1024];
    size_t size_bytes;
};

/* The source is opened before the time starts, as the raw side's file is; what its header brought in is evicted. */
static double load_cold(void *argument)
{
    const struct cold_model *model = argument;
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = TRESOR_BACKEND_POOL};
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_item all;
    if (tresor_context_create(&options, &context) != TRESOR_OK)
        give_up("no context");
    models_open(context, model->path, &source);
    tresor_item_of_source(context, source, &all);
    cold_evict(model->path);
    double start = now_seconds();
    tresor_load(context, &all, 1, NULL, &request);
    if (tresor_finish(context, request, 1, NULL) != TRESOR_OK)
        give_up("the load failed");
    double seconds = now_seconds() - start;
    models_close(context, source);
    tresor_context_destroy(context);
    return seconds;
}

static double raw_cold(void *argument)
{
    const struct cold_model *model = argument;
    int descriptor = open(model->path, O_RDONLY | O_CLOEXEC);
    cold_evict(model->path);
    double start = now_seconds();
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    void *bytes = mmap(NULL, model->size_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (bytes == MAP_FAILED || posix_madvise(bytes, model->size_bytes, POSIX_MADV_WILLNEED) != 0)
        give_up("the raw load failed");
    double seconds = now_seconds() - start;
    munmap(bytes, model->size_bytes);
    close(descriptor);
    return seconds;
}

static bool compare_at(struct cold_model *model, uint32_t pairs, uint64_t readahead_bytes)
{
    char name[64];
    snprintf(name, sizeof name, "cold mmap, read_ahead_kb %llu",
             (unsigned long long)readahead_bytes / 1024);
    return compare(name, load_cold, raw_cold, model, pairs, 1.0);
}

bool bench_populate(const struct settings *settings)
{
    struct cold_model model = {0};
    struct stat status;
    uint64_t readahead_bytes = 0;
    models_large(settings, model.path, sizeof model.path);
    if (stat(model.path, &status) != 0)
        give_up("%s is gone", model.path);
    model.size_bytes = (size_t)status.st_size;
    if (!readahead_get(model.path, &readahead_bytes))
        printf("what the device reads ahead is not known\n");
    bool met = compare_at(&model, settings->pairs, readahead_bytes);
    if (readahead_bytes == USUAL_READAHEAD_BYTES)
        return met;
    if (!readahead_set(model.path, USUAL_READAHEAD_BYTES)) {
        printf("cold mmap, read_ahead_kb 128: not measured, it may not be set here\n");
        return met;
    }
    met = compare_at(&model, settings->pairs, USUAL_READAHEAD_BYTES) && met;
    readahead_restore();
    return met;
}
