/* SPDX-License-Identifier: MIT */
/*
 * Files for the face of llama.cpp, under a table that keeps books. Its direct reads are real reads of a real file that insist on
 * an alignment, so that no file system has to have them.
 */
#ifndef TEST_COMPAT_LLAMA_WORLD_H
#define TEST_COMPAT_LLAMA_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "compat/llama.h"
#include "support/faulty_sys.h"
#include "support/temporary.h"

enum { WORLD_ALIGNMENT = 512 };

struct world {
    struct tresor__sys under; /* with such direct reads */
    struct faulty_sys faulty;
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 16];
    uint8_t *bytes; /* of the file at `path` */
    size_t size_bytes;
};

/** A folder with one file of `size_bytes` whose bytes tell their places. */
void world_begin(struct world *world, size_t size_bytes);

/** The books must be in order. */
void world_end(struct world *world);

/** A new table over the same file. */
void world_again(struct world *world);

/** Opens the file; must succeed. */
struct tresor_llama_file *world_open(struct world *world, const char *mode, bool direct);

#endif
