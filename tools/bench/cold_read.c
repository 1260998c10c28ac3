/* SPDX-License-Identifier: MIT */
/* A whole model from the disk, read past the page cache, against raw direct reads and against what
 * mapping loaders do. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"
#include "ring.h"

#define GIB (1024.0 * 1024 * 1024)
#define COMMON_READAHEAD_BYTES (128 * 1024)

struct cold {
    char path[1024];
    struct pages pages; /* populated, for the raw reads */
    struct ring_shape shape;
    double processor[2 * PAIRS_MAX];
    double populate[2 * PAIRS_MAX];
    uint32_t run_count;
};

/* Of the processor, alone: what any way into fresh memory takes besides reading. */
static double populate_alone(size_t size_bytes)
{
    struct pages pages;
    pages_reserve(&pages, size_bytes);
    double start = processor_seconds();
    pages_populate(&pages);
    double seconds = processor_seconds() - start;
    pages_release(&pages);
    return seconds;
}

/* In a context of its own each time, so that its memory is fresh, as it is for a program that
 * starts. */
static double load_cold(void *argument)
{
    struct cold *cold = argument;
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_URING, TRESOR_DIRECT_ON);
    struct loading loading;
    cold_evict(cold->path);
    loading_open(&loading, cold->path, &options);
    double start = processor_seconds();
    double seconds = loading_load(&loading);
    double gib = (double)loading.tensor_bytes / GIB;
    if (cold->run_count < 2 * PAIRS_MAX) {
        cold->processor[cold->run_count] = (processor_seconds() - start) / gib;
        cold->populate[cold->run_count] = populate_alone(loading.tensor_bytes) / gib;
        cold->run_count++;
    }
    loading_close(&loading);
    return seconds;
}

static double raw_cold(void *argument)
{
    struct cold *cold = argument;
    cold_evict(cold->path);
    return ring_read(cold->path, &cold->pages, cold->shape);
}

/* The calls of loaders that map: read ahead by advice, populate, and ask for it all. */
static double map_cold(void *argument)
{
    struct cold *cold = argument;
    cold_evict(cold->path);
    int descriptor = open(cold->path, O_RDONLY | O_CLOEXEC);
    double start = now_seconds();
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    void *bytes =
        mmap(NULL, cold->pages.size_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (bytes == MAP_FAILED)
        give_up("%s cannot be mapped", cold->path);
    posix_madvise(bytes, cold->pages.size_bytes, POSIX_MADV_WILLNEED);
    double seconds = now_seconds() - start;
    munmap(bytes, cold->pages.size_bytes);
    close(descriptor);
    return seconds;
}

static bool report_processor(struct cold *cold)
{
    double beside[2 * PAIRS_MAX];
    for (uint32_t i = 0; i < cold->run_count; i++)
        beside[i] = cold->processor[i] - cold->populate[i];
    printf("%-44s %.3f s/GiB, of it populating alone %.3f\n", "cold read, processor time",
           median(cold->processor, cold->run_count), median(cold->populate, cold->run_count));
    return report("cold read, processor beside populating", median(beside, cold->run_count),
                  "s/GiB", 0.05);
}

static bool compare_all(struct cold *cold, const struct settings *settings,
                        uint64_t readahead_bytes, double mapped_target)
{
    char name[64];
    cold->run_count = 0;
    snprintf(name, sizeof name, "cold read, raw ring, readahead %llu KiB",
             (unsigned long long)readahead_bytes / 1024);
    bool met = compare(name, load_cold, raw_cold, cold, settings->pairs, 1 / 0.95);
    met = report_processor(cold) && met;
    snprintf(name, sizeof name, "cold read, mapping, readahead %llu KiB",
             (unsigned long long)readahead_bytes / 1024);
    return compare(name, load_cold, map_cold, cold, settings->pairs, mapped_target) && met;
}

bool bench_cold(const struct settings *settings)
{
    struct cold cold = {0};
    uint64_t readahead_bytes = 0;
    models_large(settings, cold.path, sizeof cold.path);
    pages_reserve(&cold.pages, models_bytes(cold.path));
    pages_populate(&cold.pages);
    cold_evict(cold.path);
    cold.shape = ring_find_best(cold.path, &cold.pages);
    readahead_get(cold.path, &readahead_bytes);
    bool met = compare_all(&cold, settings, readahead_bytes, 1 / 1.1);
    if (readahead_bytes == COMMON_READAHEAD_BYTES ||
        !readahead_set(cold.path, COMMON_READAHEAD_BYTES)) {
        printf("the readahead is %llu KiB and stays so: not measured at another\n",
               (unsigned long long)readahead_bytes / 1024);
    } else {
        met = compare_all(&cold, settings, COMMON_READAHEAD_BYTES, 1 / 2.5) && met;
        readahead_restore();
    }
    pages_release(&cold.pages);
    return met;
}
