/* SPDX-License-Identifier: MIT */
/* A load: what it is told, and what became of it, for its reports. */
#ifndef TOOL_LOAD_H
#define TOOL_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/tresor.h>

#include "degraded.h"
#include "dispatching.h"
#include "failures.h"
#include "load_cold.h"
#include "model_options.h"
#include "recorder.h"
#include "walk.h"

struct load_options {
    struct model_options model;
    struct walk_options walk;
    const char *trace_path;
    bool trace_times;
    bool lock;
    bool cold;
    bool guard;
    bool split;
    bool is_json;
    bool finite;
    const char *check_path; /* of a SUMS file; NULL: none */
};

struct load_result {
    const char *path;
    const char *strategy;
    const char *backend; /* NULL if no context could be made */
    uint32_t requested;
    uint32_t loaded;
    uint32_t failed; /* what was cancelled is neither loaded nor failed */
    uint64_t bytes;
    uint64_t load_ns;
    uint64_t processor_ns; /* of the whole process, while it loaded */
    bool lock_wanted;
    uint32_t locked;
    bool cold_wanted;
    bool is_split; /* slices are counted as tensors are */
    struct walk_result walk;
    struct page_cache_count cold; /* before the load, of all files */
    struct dispatch_times times;  /* of the load's dispatches */
    struct tresor_counters counters;
    struct degraded degraded;
    struct failures failures;
};

/** Open the model, load what is asked for, and close it, recorded unless `recorder` is NULL. Returns an enum tool_exit. */
int load_run(const struct option_reader *reader, const struct load_options *options,
             struct recorder *recorder, struct load_result *result);

/** Split every tensor of three dimensions that can be. */
int32_t load_split(const struct opened *opened);

/** Promise the digests of what is selected, as the SUMS file at `path` has them. Returns an enum tool_exit: TOOL_USAGE, after
 * a message, where it is no such file, or not one of this model. */
int load_check(const struct option_reader *reader, const char *path, const struct opened *opened,
               const struct selection *selection, struct failures *failures);

void load_print_text(const struct load_result *result);
void load_print_json(const struct load_result *result);

#endif
