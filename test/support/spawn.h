/* SPDX-License-Identifier: MIT */
/* Run a program to its end and keep what it printed. */
#ifndef TEST_SUPPORT_SPAWN_H
#define TEST_SUPPORT_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#define SPAWN_TEXT_BYTES 65536

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

#endif
