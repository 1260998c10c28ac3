/* SPDX-License-Identifier: MIT */
/* A whole model from a warm page cache, against the raw calls into the same kind of memory. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"
#include "pages.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

enum {
    READ_BYTES = 2 * 1024 * 1024
};

struct model {
    struct loading loading;
    struct pages pages; /* touched, for the reads of two threads */
    uint32_t backend;
    char path[1024];
    size_t size_bytes;
};

static double load(const struct model *model, uint32_t strategy)
{
    double seconds = loading_load_by(&model->loading, strategy);
    loading_evict(&model->loading);
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

/* Of a context that was just made; or of one that has loaded and evicted before. */
static double load_in_new_context(struct model *model, bool is_again)
{
    struct tresor_context_options options = direct_options(model->backend, TRESOR_DIRECT_AUTO);
    struct loading loading;
    options.spare_bytes = is_again ? UINT64_C(1) << 40 : 0; /* the raw side's pages are made before, too */
    loading_open(&loading, model->path, &options);
    double seconds = loading_load(&loading);
    if (is_again) {
        loading_evict(&loading);
        seconds = loading_load(&loading);
    }
    loading_close(&loading);
    return seconds;
}

static double load_first(void *argument)
{
    return load_in_new_context(argument, false);
}

static double load_again(void *argument)
{
    return load_in_new_context(argument, true);
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

static void read_part(int descriptor, char *bytes, size_t from, size_t to)
{
    while (from < to) {
        size_t length = to - from < READ_BYTES ? to - from : READ_BYTES;
        ssize_t got = pread(descriptor, bytes + from, length, (off_t)from);
        if (got <= 0)
            give_up("the raw read failed");
        from += (size_t)got;
    }
}

/* Memory as the read strategy has it: 2 MiB pages, populated; both sides' time counts from the
 * mapping on. */
static double raw_read(void *argument)
{
    const struct model *model = argument;
    struct pages pages;
    int descriptor = open(model->path, O_RDONLY | O_CLOEXEC);
    double start = now_seconds();
    pages_reserve(&pages, model->size_bytes);
    pages_populate(&pages);
    read_part(descriptor, pages.bytes, 0, model->size_bytes);
    double seconds = now_seconds() - start;
    pages_release(&pages);
    close(descriptor);
    return seconds;
}

struct part {
    int descriptor;
    char *bytes;
    size_t from;
    size_t to;
};

static void *run_part(void *argument)
{
    const struct part *part = argument;
    read_part(part->descriptor, part->bytes, part->from, part->to);
    return NULL;
}

static double raw_two_threads(void *argument)
{
    const struct model *model = argument;
    int descriptor = open(model->path, O_RDONLY | O_CLOEXEC);
    size_t half = model->size_bytes / 2 / READ_BYTES * READ_BYTES;
    struct part parts[] = {{descriptor, model->pages.bytes, 0, half},
                           {descriptor, model->pages.bytes, half, model->size_bytes}};
    pthread_t thread;
    double start = now_seconds();
    if (pthread_create(&thread, NULL, run_part, &parts[0]) != 0)
        give_up("no thread");
    run_part(&parts[1]);
    pthread_join(thread, NULL);
    double seconds = now_seconds() - start;
    close(descriptor);
    return seconds;
}

static bool bench_two_threads(struct model *model, const struct settings *settings)
{
    static const struct {
        const char *name;
        uint32_t backend;
    } rows[] = {{"pool", TRESOR_BACKEND_POOL}, {"uring", TRESOR_BACKEND_URING}};
    bool met = true;
    pages_reserve(&model->pages, model->size_bytes);
    pages_populate(&model->pages);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64];
        model->backend = rows[i].backend;
        snprintf(name, sizeof name, "warm read, %s, first load", rows[i].name);
        show(name, load_first, raw_two_threads, model, settings->pairs);
        snprintf(name, sizeof name, "warm read, %s, second load", rows[i].name);
        met = compare(name, load_again, raw_two_threads, model, settings->pairs, 1 / 0.9) && met;
    }
    pages_release(&model->pages);
    return met;
}

bool bench_warm(const struct settings *settings)
{
    struct model model = {0};
    models_large(settings, model.path, sizeof model.path);
    model.size_bytes = models_bytes(model.path);
    /* One thread against one thread. */
    const struct tresor_context_options options = {.size_bytes = sizeof options,
                                                   .backend = TRESOR_BACKEND_SYNC};
    loading_open(&model.loading, model.path, &options);
    bool met =
        compare("warm mmap, whole model", load_mmap, raw_mmap, &model, settings->pairs, 1.05);
    met = compare("warm read, whole model", load_read, raw_read, &model, settings->pairs, 1.05) &&
          met;
    loading_close(&model.loading);
    return bench_two_threads(&model, settings) && met;
}
