/* SPDX-License-Identifier: MIT */
/* Run a program to its end and keep what it printed. */
#ifndef TEST_SUPPORT_SPAWN_H
#define TEST_SUPPORT_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAWN_TEXT_BYTES 131072

/** What one stream had: always ended by a zero; what did not fit is counted, not kept. */
struct spawn_text {
    char bytes[SPAWN_TEXT_BYTES];
    size_t length;
    size_t dropped_bytes;
};

struct spawn_result {
    int exit_code;     /* -1 if a signal ended the program */
    int signal_number; /* 0 if none did */
    struct spawn_text output;
    struct spawn_text errors;
};

/**
 * Run the program arguments[0], found like a shell would, with the arguments up to a NULL, this
 * process's environment, and nothing to read. False with errno if it could not be run.
 */
bool spawn_run(struct spawn_result *result, const char *const *arguments);

#define SPAWN_NO_LIMIT UINT64_MAX

struct spawn_limits {
    uint64_t locked_bytes_max; /* RLIMIT_MEMLOCK */
};

/**
 * The same with less: as a user who owns nothing, if this process is root, and with these limits.
 * arguments[0] is a path, which that user need not be able to reach.
 */
bool spawn_run_limited(struct spawn_result *result, const char *const *arguments,
                       const struct spawn_limits *limits);

#endif
