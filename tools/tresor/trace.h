/* SPDX-License-Identifier: MIT */
/*
 * A trace is a file of lines, each an object of JSON:
 *
 *   {"trace": "tresor", ...}     the first: versions, what the system said, the context's options
 *   {"call": "load", ...}        what the host asks; then, behind what happens within it:
 *   {"returned": "load", ...}    what it was told
 *   {"effect": 7, ...}           what a machine asks of the backend
 *   {"poll": 8, ...}             the backend is asked for completions, and these come:
 *   {"answer": 7, ...}           one of them: all that the machine learns, without addresses and descriptors
 *   {"pending": true, ...}       whether the backend was found to have something to do
 *   {"sequence": 12, ...}        a step: one transition of one machine
 *   {"end": 345, ...}            the last: how many lines came before it
 *
 * The last member of each is a sum over all bytes before it, so that a line that is damaged, or missing, is found. Before
 * it may stand "time_us", when the line was written, counted from the first; no input and no step depends on it.
 */
#ifndef TOOL_TRACE_H
#define TOOL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    TRACE_VERSION = 1,
};

/** The sum of no bytes. */
#define TRACE_SUM_START UINT32_C(0x811c9dc5)

/** The sum of bytes that follow those of which `sum` is. A byte that is another makes it another. */
uint32_t trace_sum(uint32_t sum, const char *bytes, size_t size_bytes);

/** Being written. */
struct trace {
    const char *path; /* NULL: none is wanted */
    bool has_times;
    FILE *file;
    int failed_errno; /* of the first write that failed */
    uint32_t sum;
    uint64_t line_count;
    uint64_t start_ns;
};

/** Begin the file, or nothing without a path. False, after a message, if it cannot be had, or is
 * `model_path`. */
bool trace_begin(struct trace *trace, const char *path, bool has_times, const char *model_path);

/** Write a line, which is an object without its last brace. */
void trace_write(struct trace *trace, const char *body, size_t size_bytes);

/** End the file. False, after a message, if it is not whole. */
bool trace_end(struct trace *trace);

#endif
