/* SPDX-License-Identifier: MIT */
/* The JSON that `tresor load` prints. */
#ifndef TEST_TOOL_REPORT_H
#define TEST_TOOL_REPORT_H

#include "harness.h"

/** A count of tensors: "requested", "loaded" or "failed". */
int64_t tensors_at(json_t *report, const char *key);

size_t error_count(json_t *report);

/** The name of an error, like "LOCK_LIMIT". */
const char *error_name(json_t *report, size_t index);

/** Fail the test unless the report has every key that it must have, and no other. */
void check_keys(json_t *report);

#endif
