/* SPDX-License-Identifier: MIT */
/* Parses whole files, or windows that grow, from blocks of exactly that size so that ASan sees any
 * read past them. */
#ifndef TEST_SUPPORT_PARSING_H
#define TEST_SUPPORT_PARSING_H

#include "format/format.h"
#include "support/bytes.h"

/** An empty directory with a fixed hash key. */
void directory_start(struct tresor__directory *directory, const struct tresor_allocator *allocator);

/** Parse the first `size` bytes as a whole file. */
void parse_whole(const uint8_t *data, size_t size, uint32_t file,
                 struct tresor__directory *directory, struct tresor__parse_output *output);

/**
 * Parse with a window that begins at `first` bytes and, at each NEED, grows by `step` (0: to what
 * was asked for). Checks each NEED's promise. Returns how many calls it took.
 */
uint64_t parse_growing(const struct bytes *bytes, size_t first, size_t step, uint32_t file,
                       struct tresor__directory *directory, struct tresor__parse_output *output);

/** Parse as file 0 of a new directory and finish. TRESOR_OK or the error's code; frees all. */
int32_t parse_outcome(const uint8_t *data, size_t size, struct tresor_error *error);

/** Fail the test unless both hold the same. */
void assert_same_directory(const struct tresor__directory *first,
                           const struct tresor__directory *second);

#endif
