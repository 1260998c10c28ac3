/* SPDX-License-Identifier: MIT */
/* A model twice as large as its memory, walked over and over: by a plan, against raw direct reads
 * of what does not fit, and against a mapping with as much memory. */
#include <stdio.h>

#include <tresor/tresor.h>

#include "cold.h"
#include "measure.h"
#include "models.h"
#include "ring.h"
#include "steady.h"

#define GIB (1024.0 * 1024 * 1024)
#define MIB (1024.0 * 1024)

enum {
    COMMON_READAHEAD_BYTES = 128 * 1024,
    WARM_PASSES =
        1, /* and one more when ways are compared: then each pass is like the one before */
};

struct side {
    struct cage cage;
    struct pass passes[4 * PAIRS_MAX];
    uint32_t pass_count;
};

struct duel {
    char path[1024];
    char mapped_path[1024]; /* another file, for the page cache is shared */
    struct walk walk;
    struct pages pages; /* populated, as large as what does not fit */
    struct ring_shape shape;
    uint64_t budget_bytes;
    struct side ours;
    struct side mapped;
};

static double run_side(struct side *side)
{
    struct pass pass = cage_run(&side->cage);
    if (side->pass_count < 4 * PAIRS_MAX)
        side->passes[side->pass_count++] = pass;
    return pass.seconds;
}

static double run_ours(void *argument)
{
    struct duel *duel = argument;
    return run_side(&duel->ours);
}

static double run_mapped(void *argument)
{
    struct duel *duel = argument;
    return run_side(&duel->mapped);
}

static double run_raw(void *argument)
{
    struct duel *duel = argument;
    return ring_read(duel->path, &duel->pages, duel->shape);
}

static void start_side(struct side *side, cage_work *work, const struct steady *steady)
{
    side->pass_count = 0;
    cold_evict(steady->path); /* or pages would be there that the cage is not charged for */
    cage_start(&side->cage, work, steady);
    if (!side->cage.is_limited)
        puts("no memory control group can be made: what is mapped has all the memory there is");
    for (uint32_t i = 0; i < WARM_PASSES; i++)
        cage_run(&side->cage);
}

static void show_processor(const char *name, const struct side *side)
{
    double seconds[4 * PAIRS_MAX];
    for (uint32_t i = 0; i < side->pass_count; i++)
        seconds[i] = side->passes[i].processor_seconds;
    double middle = median(seconds, side->pass_count);
    printf("%-44s %.3f s of processor a pass (%.3f to %.3f)\n", name, middle, seconds[0],
           seconds[side->pass_count - 1]);
}

/* Of the last pass, which is like the others. */
static void show_counters(const char *name, const struct side *side)
{
    const struct pass *pass = &side->passes[side->pass_count - 1];
    printf(
        "%-44s read %.0f MiB of %.0f, %llu evicted, %llu wasted, %llu misses, %llu late, at most "
        "%.0f MiB charged\n",
        name, (double)pass->read_bytes / MIB, (double)pass->used_bytes / MIB,
        (unsigned long long)pass->evicted, (unsigned long long)pass->wasted,
        (unsigned long long)pass->misses, (unsigned long long)pass->late,
        (double)pass->charged_most_bytes / MIB);
}

static struct steady steady_of(const struct duel *duel, const char *path)
{
    return (struct steady){.path = path,
                           .walk = &duel->walk,
                           .budget_bytes = duel->budget_bytes,
                           .strategy = TRESOR_STRATEGY_READ};
}

static bool measure_at(struct duel *duel, const struct settings *settings, uint64_t readahead_bytes,
                       double mapped_target)
{
    struct steady ours = steady_of(duel, duel->path);
    struct steady mapped = steady_of(duel, duel->mapped_path);
    unsigned long long kib = readahead_bytes / 1024;
    char name[64];
    start_side(&duel->ours, steady_plan, &ours);
    start_side(&duel->mapped, steady_mapping, &mapped);
    snprintf(name, sizeof name, "plan, raw ring, readahead %llu KiB", kib);
    bool met = compare(name, run_ours, run_raw, duel, settings->pairs, 1.15);
    snprintf(name, sizeof name, "plan, mapping, readahead %llu KiB", kib);
    met = compare(name, run_ours, run_mapped, duel, settings->pairs, mapped_target) && met;
    show_processor("plan", &duel->ours);
    show_processor("mapping", &duel->mapped);
    show_counters("plan", &duel->ours);
    cage_end(&duel->ours.cage);
    cage_end(&duel->mapped.cage);
    return met;
}

/* By the mmap strategy under the same plan, for which nothing was promised. */
static void show_mmap(struct duel *duel, const struct settings *settings)
{
    struct steady steady = steady_of(duel, duel->mapped_path);
    steady.strategy = TRESOR_STRATEGY_MMAP;
    start_side(&duel->ours, steady_plan, &steady);
    show("plan, mmap strategy, raw ring", run_ours, run_raw, duel, settings->pairs);
    show_processor("plan, mmap strategy", &duel->ours);
    show_counters("plan, mmap strategy", &duel->ours);
    cage_end(&duel->ours.cage);
}

static void prepare(struct duel *duel, const struct settings *settings, bool by_layer)
{
    models_large(settings, duel->path, sizeof duel->path);
    models_large_mapped(settings, duel->mapped_path, sizeof duel->mapped_path);
    walk_of_model(&duel->walk, duel->path, by_layer);
    duel->budget_bytes = duel->walk.total_bytes / 2;
    size_t rest_bytes = duel->walk.total_bytes - duel->budget_bytes;
    pages_reserve(&duel->pages, rest_bytes - rest_bytes % HUGE_PAGE_BYTES);
    pages_populate(&duel->pages);
    cold_evict(duel->path);
    duel->shape = ring_find_best(duel->path, &duel->pages);
}

static void finish(struct duel *duel)
{
    pages_release(&duel->pages);
    walk_release(&duel->walk);
}

bool bench_plan(const struct settings *settings)
{
    static struct duel duel;
    uint64_t readahead_bytes = 0;
    prepare(&duel, settings, false);
    readahead_get(duel.path, &readahead_bytes);
    bool met = measure_at(&duel, settings, readahead_bytes, 1 / 2.0);
    if (readahead_bytes == COMMON_READAHEAD_BYTES ||
        !readahead_set(duel.path, COMMON_READAHEAD_BYTES)) {
        printf("the readahead is %llu KiB and stays so: not measured at another\n",
               (unsigned long long)readahead_bytes / 1024);
    } else {
        met = measure_at(&duel, settings, COMMON_READAHEAD_BYTES, 1 / 4.0) && met;
        readahead_restore();
    }
    show_mmap(&duel, settings);
    finish(&duel);
    return met;
}

static void show_variant(struct duel *duel, const struct settings *settings, const char *use,
                         uint64_t window_bytes, uint64_t block_bytes)
{
    struct steady steady = steady_of(duel, duel->path);
    char name[96];
    char window[24] = "as it is";
    char block[24] = "as they are";
    steady.window_bytes = window_bytes;
    steady.block_bytes = block_bytes;
    if (window_bytes > 0)
        snprintf(window, sizeof window, "%llu MiB", (unsigned long long)window_bytes >> 20);
    if (block_bytes > 0)
        snprintf(block, sizeof block, "%llu KiB", (unsigned long long)block_bytes >> 10);
    snprintf(name, sizeof name, "by %s, window %s, blocks %s", use, window, block);
    start_side(&duel->ours, steady_plan, &steady);
    show(name, run_ours, run_raw, duel, settings->pairs);
    show_processor("", &duel->ours);
    show_counters("", &duel->ours);
    cage_end(&duel->ours.cage);
}

/* How far ahead, by which reads, and whether tensors or layers are used together; 0 is the default.
 */
bool bench_windows(const struct settings *settings)
{
    static const uint64_t windows_mib[] = {0, 32, 64, 128, 256};
    static const uint64_t blocks_kib[] = {512, 1024, 4096};
    static const char *const uses[] = {"tensor", "layer"};
    static struct duel duel;
    for (uint32_t by_layer = 0; by_layer < 2; by_layer++) {
        prepare(&duel, settings, by_layer != 0);
        for (size_t i = 0; i < sizeof windows_mib / sizeof windows_mib[0]; i++)
            show_variant(&duel, settings, uses[by_layer], windows_mib[i] << 20, 0);
        for (size_t i = 0; i < sizeof blocks_kib / sizeof blocks_kib[0]; i++)
            show_variant(&duel, settings, uses[by_layer], 0, blocks_kib[i] << 10);
        finish(&duel);
    }
    return true;
}
