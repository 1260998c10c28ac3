/* SPDX-License-Identifier: MIT */
/* What the benchmarks of direct reads share: the read strategy on a backend, past the page cache or
 * as it finds best. */
#ifndef TRESOR_BENCH_DIRECT_H
#define TRESOR_BENCH_DIRECT_H

#include <tresor/tresor.h>

static inline struct tresor_context_options direct_options(uint32_t backend, uint32_t direct)
{
    return (struct tresor_context_options){
        .size_bytes = sizeof(struct tresor_context_options),
        .strategy = TRESOR_STRATEGY_READ,
        .backend = backend,
        .direct = direct,
    };
}

#endif
