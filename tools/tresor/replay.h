/* SPDX-License-Identifier: MIT */
/* Taking the steps of a trace again. */
#ifndef TOOL_REPLAY_H
#define TOOL_REPLAY_H

#include "trace_read.h"

struct replay_result {
    uint64_t steps; /* taken as they were recorded, */
    uint64_t calls;
    uint64_t answers;
    uint64_t line; /* and the first that differs, 0: none */
    const char *why;
    char *recorded; /* its text, and what came instead; either may be NULL; to be freed */
    char *replayed;
};

/**
 * Make the calls of a whole trace (trace_check) again, on a context whose backend answers what the
 * trace says. `steps` gets the line of each step that is the same, byte for byte; NULL: nobody.
 * False where something differs.
 */
bool replay_run(const char *bytes, size_t size_bytes, FILE *steps, struct replay_result *result);
void replay_result_free(struct replay_result *result);

#endif
