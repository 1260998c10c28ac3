/* SPDX-License-Identifier: MIT */
#ifndef TOOL_WRITING_H
#define TOOL_WRITING_H

#include <stdio.h>

/** An empty file, or a device or a pipe, to be written from the start; NULL with errno, which is
 * EEXIST where it is the file at `kept_path`: that stays as it is. */
FILE *writing_begin(const char *path, const char *kept_path);

#endif
