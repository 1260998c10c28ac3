/* SPDX-License-Identifier: MIT */
/* What works with less than was asked for: kept for a report, or printed at once. */
#ifndef TOOL_DEGRADED_H
#define TOOL_DEGRADED_H

#include <jansson.h>

#include "opened.h"

struct degraded {
    const struct opened *opened;
    json_t *list; /* of {file, what, why}; NULL: they are printed to stderr */
};

void degraded_add(struct degraded *degraded, const struct tresor_event *event);

/** Take what no request took, like that of a model that could not be opened. */
void degraded_drain(struct degraded *degraded);

/** Print a line for each one in the list. */
void degraded_print_list(const json_t *list);

#endif
