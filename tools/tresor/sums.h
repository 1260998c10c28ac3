/* SPDX-License-Identifier: MIT */
/* A SUMS file: the XXH128 of every tensor, one a line. docs/sums.md says what it is, byte by byte. */
#ifndef TOOL_SUMS_H
#define TOOL_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <tresor/tresor.h>

#define SUMS_HEADER "tresor-sums 1 xxh128"

struct sum {
    char *name; /* in the file's own bytes, unescaped; not ended */
    size_t name_bytes;
    struct tresor_digest digest;
    size_t line;
    bool is_used;
};

struct sums {
    char *bytes; /* of the file */
    struct sum *list; /* by name */
    size_t count;
};

/** What is wrong with a file, and on which line; line 0: with all of it. */
struct sums_error {
    size_t line;
    const char *text;
};

void sums_print_header(FILE *stream);
void sums_print(FILE *stream, const struct tresor_digest *digest, const char *name,
                size_t name_bytes);

/** Read a whole file. False where it cannot be read, or has anything that sums_print does not write; sums_free either way. */
bool sums_read(const char *path, struct sums *sums, struct sums_error *error);

/** The same of `size_bytes` in memory, which becomes the sums' own: malloc's. */
bool sums_parse(char *bytes, size_t size_bytes, struct sums *sums, struct sums_error *error);

/** By name; NULL where there is none. It is marked as used. */
const struct sum *sums_take(struct sums *sums, const char *name, size_t name_bytes);

/** The line of the first that was never taken; 0: all were. */
size_t sums_first_unused(const struct sums *sums);

void sums_free(struct sums *sums);

#endif
