/* SPDX-License-Identifier: MIT */
/* What became of a load, for its reports. */
#ifndef TOOL_LOAD_H
#define TOOL_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/tresor.h>

#include "failures.h"

struct load_result {
    const char *path;
    const char *strategy;
    const char *backend; /* NULL if no context could be made */
    uint32_t requested;
    uint32_t loaded;
    uint32_t failed; /* what was cancelled is neither loaded nor failed */
    uint64_t bytes;
    uint64_t load_ns;
    bool lock_wanted;
    uint32_t locked;
    struct tresor_counters counters;
    struct failures failures;
};

void load_print_text(const struct load_result *result);
void load_print_json(const struct load_result *result);

#endif
