/* SPDX-License-Identifier: MIT */
/* What went wrong with single tensors, or with all at once: printed, and kept for a report. */
#ifndef TOOL_FAILURES_H
#define TOOL_FAILURES_H

#include <stdint.h>

#include <jansson.h>

#include "opened.h"
#include "progress.h"

struct failures {
    const struct opened *opened;
    struct progress *progress; /* to be erased before a line is printed; may be NULL */
    json_t *list;              /* NULL: they are only printed */
    int32_t ignored_code;      /* told otherwise, or TRESOR_OK */
    uint64_t lines_max;        /* more are only counted */
    uint64_t count;
};

void failures_add(struct failures *failures, const struct tresor_error *error);

/** Say how many were not printed. */
void failures_end(const struct failures *failures);

#endif
