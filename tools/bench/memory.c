/* SPDX-License-Identifier: MIT */
/* What a direct cold load takes of memory and of the page cache besides the tensors themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"

#define MIB (1024.0 * 1024)

enum {
    WAIT_MS = 5
};

struct resident {
    uint64_t window_bytes;
    uint64_t other_bytes;
};

/* The mapping that a line of smaps begins, "from-to rights ...", or false for a line of another
 * kind. */
static bool begins_mapping(const char *line, uintptr_t *from)
{
    uintptr_t to;
    return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", from, &to) == 2;
}

static struct resident look(const struct tresor_file_info *file)
{
    struct resident resident = {0};
    uintptr_t window = (uintptr_t)file->window;
    uintptr_t from = 0;
    uint64_t kib;
    char line[512];
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (!maps)
        give_up("the process's own memory cannot be seen");
    while (fgets(line, sizeof line, maps)) {
        if (begins_mapping(line, &from) || sscanf(line, "Rss: %" SCNu64 " kB", &kib) != 1)
            continue;
        if (from >= window && from - window < file->window_bytes)
            resident.window_bytes += kib * 1024;
        else
            resident.other_bytes += kib * 1024;
    }
    fclose(maps);
    return resident;
}

static uint64_t more(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

/* The most that was beside the window at a look, and what of the window no tensor needs when all is
 * there. */
static uint64_t load_looking(const struct loading *loading, uint64_t before_bytes)
{
    struct tresor_request request = loading_begin(loading);
    uint64_t most_bytes = 0;
    do {
        tresor_wait(loading->context, WAIT_MS);
        uint64_t bytes = more(look(&loading->file).other_bytes, before_bytes);
        most_bytes = bytes > most_bytes ? bytes : most_bytes;
    } while (!loading_is_done(loading, request));
    return most_bytes + more(look(&loading->file).window_bytes, loading->tensor_bytes);
}

bool bench_memory(const struct settings *settings)
{
    static const struct tresor_file_info nowhere;
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_URING, TRESOR_DIRECT_ON);
    struct loading loading;
    double beside[PAIRS_MAX];
    double cached[PAIRS_MAX];
    char path[1024];
    models_large(settings, path, sizeof path);
    double model_bytes = (double)models_bytes(path);
    for (uint32_t i = 0; i < settings->pairs; i++) {
        cold_evict(path);
        uint64_t before_bytes = look(&nowhere).other_bytes;
        loading_open(&loading, path, &options);
        beside[i] = (double)load_looking(&loading, before_bytes) / MIB;
        cached[i] = (double)cold_cached_bytes(path) / model_bytes * 100;
        loading_close(&loading);
    }
    bool met = report("direct cold load, memory beside the tensors",
                      median(beside, settings->pairs), "MiB", 16);
    return report("direct cold load, of the file in page cache", median(cached, settings->pairs),
                  "%", 1) &&
           met;
}
