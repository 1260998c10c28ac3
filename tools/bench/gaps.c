/* SPDX-License-Identifier: MIT */
/*
 * A host that computes 20 ms between its rounds of dispatch: how much must be in flight to last
 * that long. There is no target; these figures choose the defaults of blocks_max and block_bytes.
 */
#include <stdio.h>

#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (1024.0 * 1024 * 1024)
#define COMPUTE_SECONDS 0.020

static void compute(void)
{
    double end = now_seconds() + COMPUTE_SECONDS;
    while (now_seconds() < end)
        continue;
}

static double load_computing(const struct loading *loading)
{
    double start = now_seconds();
    struct tresor_request request = loading_begin(loading);
    for (;;) {
        while (tresor_dispatch(loading->context) == 1)
            continue;
        if (loading_is_done(loading, request))
            return now_seconds() - start;
        compute();
    }
}

static void measure(const struct settings *settings, const char *path, uint64_t block_bytes,
                    uint64_t in_flight_bytes)
{
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_URING, TRESOR_DIRECT_ON);
    double rates[PAIRS_MAX];
    options.block_bytes = block_bytes;
    options.blocks_max = (uint32_t)(in_flight_bytes / block_bytes);
    for (uint32_t i = 0; i < settings->pairs; i++) {
        struct loading loading;
        cold_evict(path);
        loading_open(&loading, path, &options);
        rates[i] = (double)loading.tensor_bytes / load_computing(&loading) / GIB;
        loading_close(&loading);
    }
    double middle = median(rates, settings->pairs);
    printf(
        "gaps of 20 ms, %3u blocks of %llu MiB in flight (%3llu MiB)   %.2f GiB/s (%.2f to %.2f)\n",
        options.blocks_max, (unsigned long long)(block_bytes / MIB),
        (unsigned long long)(in_flight_bytes / MIB), middle, rates[0], rates[settings->pairs - 1]);
}

bool bench_gaps(const struct settings *settings)
{
    static const uint64_t in_flight[] = {16 * MIB, 64 * MIB, 128 * MIB, 256 * MIB};
    static const uint64_t blocks[] = {1 * MIB, 2 * MIB, 4 * MIB};
    char path[1024];
    models_large(settings, path, sizeof path);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        for (size_t j = 0; j < sizeof in_flight / sizeof in_flight[0]; j++)
            measure(settings, path, blocks[i], in_flight[j]);
    return true;
}
