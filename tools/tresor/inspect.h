/* SPDX-License-Identifier: MIT */
/* The two forms of what `tresor inspect` tells. */
#ifndef TOOL_INSPECT_H
#define TOOL_INSPECT_H

#include "opened.h"

/* They return an error code: whatever the library, or a lack of memory, answered first. */
int32_t inspect_print_text(const struct opened *opened);
int32_t inspect_print_json(const struct opened *opened);

#endif
