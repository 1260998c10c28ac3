/* SPDX-License-Identifier: MIT */
/* A file with one line of JSON for every transition of a context's machines. */
#ifndef TOOL_TRACE_H
#define TOOL_TRACE_H

#include <stdbool.h>
#include <stdio.h>

#include <tresor/observe.h>

struct trace {
    const char *path; /* NULL: none is wanted */
    FILE *file;
    int failed_errno; /* of the first write that failed */
};

/** Begin the file, or nothing without a path. False, after a message, if it cannot be had, or is
 * `model_path`. */
bool trace_begin(struct trace *trace, const char *path, const char *model_path);

/** The observer; its cookie is the trace. */
tresor_observer trace_transition;

/** End the file. False, after a message, if it is not whole. */
bool trace_end(struct trace *trace);

#endif
