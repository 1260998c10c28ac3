/* SPDX-License-Identifier: MIT */
/* Files like those that parsers of models fell over, as published or of the same kind, and what must become of them. */
#ifndef TEST_SUPPORT_HOSTILE_H
#define TEST_SUPPORT_HOSTILE_H

#include "support/bytes.h"

struct hostile_file {
    const char *name; /* as published, or of its kind */
    const char *what; /* the file says */
    void (*put)(struct bytes *bytes);
    int32_t code; /* enum tresor_error_code */
};

/** All of them that the build can read, and how many. */
const struct hostile_file *hostile_files(size_t *count);

#endif
