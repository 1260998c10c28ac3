/* SPDX-License-Identifier: MIT */
/* A folder for one test, removed with all that is in it. */
#ifndef TEST_SUPPORT_TEMPORARY_H
#define TEST_SUPPORT_TEMPORARY_H

#include <stddef.h>

enum { TEMPORARY_PATH_BYTES = 512 };

/** Make a folder and write its path. Aborts where that fails. */
void temporary_make(char path[TEMPORARY_PATH_BYTES]);

/** Remove the files in it and the folder itself. */
void temporary_remove(const char *path);

/** Write a whole file; aborts where that fails. */
void temporary_write(const char *path, const void *bytes, size_t size_bytes);

#endif
