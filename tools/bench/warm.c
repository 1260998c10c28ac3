/* SPDX-License-Identifier: MIT */
/* A whole model from a warm page cache, against the raw calls into the same kind of memory. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "models.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024, READ_BYTES = 2 * 1024 * 1024 };

struct model {
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_item all;
    char path[1024];
    size_t size_bytes;
};

static double load(const struct model *model, uint32_t strategy)
{
    struct tresor_request_options options = {.size_bytes = sizeof options, .strategy = strategy};
    struct tresor_request request;
    double start = now_seconds();
    tresor_load(model->context, &model->all, 1, &options, &request);
    if (tresor_finish(model->context, request, 1, NULL) != TRESOR_OK)
        give_up("the load failed");
    double seconds = now_seconds() - start;
    tresor_evict(model->context, &model->all, 1, NULL, &request);
    if (tresor_finish(model->context, request, 1, NULL) != TRESOR_OK)
        give_up("the eviction failed");
    return seconds;
}

static double load_mmap(void *argument)
{
    return load(argument, TRESOR_STRATEGY_MMAP);
}

static double load_read(void *argument)
{
    return load(argument, TRESOR_STRATEGY_READ);
}

static double raw_mmap(void *argument)
{
    const struct model *model = argument;
    int descriptor = open(model->path, O_RDONLY | O_CLOEXEC);
    double start = now_seconds();
    void *bytes = mmap(NULL, model->size_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED || madvise(bytes, model->size_bytes, MADV_POPULATE_READ) != 0)
        give_up("the raw populate failed");
    double seconds = now_seconds() - start;
    munmap(bytes, model->size_bytes);
    close(descriptor);
    return seconds;
}

/* Memory as the read strategy has it: 2 MiB pages, populated; both sides' time counts from the mapping on. */
static double raw_read(void *argument)
{
    const struct model *model = argument;
    size_t length = model->size_bytes + HUGE_PAGE_BYTES;
    int descriptor = open(model->path, O_RDONLY | O_CLOEXEC);
    double start = now_seconds();
    char *range = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *bytes = range + (HUGE_PAGE_BYTES - (uintptr_t)range % HUGE_PAGE_BYTES);
    madvise(bytes, model->size_bytes, MADV_HUGEPAGE);
    if (range == MAP_FAILED || madvise(bytes, model->size_bytes, MADV_POPULATE_WRITE) != 0)
        give_up("the raw populate failed");
    for (size_t done = 0; done < model->size_bytes;) {
        ssize_t got = pread(descriptor, bytes + done, READ_BYTES, (off_t)done);
        if (got <= 0)
            give_up("the raw read failed");
        done += (size_t)got;
    }
    double seconds = now_seconds() - start;
    munmap(range, length);
    close(descriptor);
    return seconds;
}

static size_t file_bytes(const char *path)
{
    struct stat stat_of_path;
    return stat(path, &stat_of_path) == 0 ? (size_t)stat_of_path.st_size : 0;
}

bool bench_warm(const struct settings *settings)
{
    struct model model = {0};
    models_large(settings, model.path, sizeof model.path);
    model.size_bytes = file_bytes(model.path);
    if (tresor_context_create(NULL, &model.context) != TRESOR_OK)
        give_up("no context");
    models_open(model.context, model.path, &model.source);
    tresor_item_of_source(model.context, model.source, &model.all);
    bool met = compare("warm mmap, whole model", load_mmap, raw_mmap, &model, settings->pairs, 1.05);
    met = compare("warm read, whole model", load_read, raw_read, &model, settings->pairs, 1.05) &&
          met;
    models_close(model.context, model.source);
    tresor_context_destroy(model.context);
    return met;
}
