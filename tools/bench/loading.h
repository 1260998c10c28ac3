/* SPDX-License-Identifier: MIT */
/* The library's side: one model, open in a context of its own, loaded and evicted as a whole. */
#ifndef TRESOR_BENCH_LOADING_H
#define TRESOR_BENCH_LOADING_H

#include <stdbool.h>

#include <tresor/tresor.h>

struct loading {
    struct tresor_context *context;
    struct tresor_source source;
    struct tresor_item all;
    struct tresor_file_info file; /* of the only one */
    uint64_t tensor_bytes;
};

/** NULL options are the defaults. */
void loading_open(struct loading *loading, const char *path,
                  const struct tresor_context_options *options);
void loading_close(struct loading *loading);

/** Load everything by the context's strategy and wait for it. Seconds. */
double loading_load(const struct loading *loading);
double loading_load_by(const struct loading *loading, uint32_t strategy);
void loading_evict(const struct loading *loading);

/** Ask for everything; and take what has happened: true once the request has ended. Gives up where
 * it failed. */
struct tresor_request loading_begin(const struct loading *loading);
bool loading_is_done(const struct loading *loading, struct tresor_request request);

#endif
