/* SPDX-License-Identifier: MIT */
/*
 * A trace in the format of Chrome's tracing, which Perfetto reads too. Each kind of machine is a
 * process, and each instance a thread of it, whose spans are the states that it was in, but for its
 * first. The host's calls are spans of process 1, effects spans of process 2.
 */
#ifndef TOOL_CHROME_H
#define TOOL_CHROME_H

#include <stdbool.h>
#include <stddef.h>

/** Write a whole trace (trace_check), which came from the file at `kept_path`. False with errno. */
bool chrome_write(const char *path, const char *kept_path, const char *bytes, size_t size_bytes);

#endif
