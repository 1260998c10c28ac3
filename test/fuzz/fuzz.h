/* SPDX-License-Identifier: MIT */
/* What the fuzzers share: each target is one file with this function, run by libFuzzer or over a folder by run_corpus.c. */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/format.h"

/** One input, any bytes. Returns 0, or ends the process where something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What must hold, also in builds without assertions. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** Parse a whole file in every way that a source might, and check what comes out of it. */
void fuzz_parse(const uint8_t *data, size_t size);

/** Check a directory that was accepted and finished; its one file has that size. */
void fuzz_check_directory(const struct tresor__directory *directory, uint64_t file_size);

/** Check what a safetensors index says. */
void fuzz_check_shards(const struct tresor__directory *directory);

/** Check what a layout says; with sizes, also that its files have what it says. */
void fuzz_check_layout(const struct tresor__directory *directory, const uint64_t *file_sizes);

#endif
