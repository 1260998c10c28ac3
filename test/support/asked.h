/* SPDX-License-Identifier: MIT */
/*
 * Effects that are asked of a backend by hand, without machines: reads of one file past the page cache, each to a place of
 * its own. Every one must be answered once.
 */
#ifndef TEST_SUPPORT_ASKED_H
#define TEST_SUPPORT_ASKED_H

#include "backend/backend.h"
#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/temporary.h"

enum {
    ASKED_MAX = 256, /* reads, each of a block: read i is of block i */
    ASKED_BLOCK_BYTES = 64 * 1024,
    ASKED_FILE_BYTES = ASKED_MAX * ASKED_BLOCK_BYTES,
};

/** What read i came to, and a cancel of it. */
struct asked_answers {
    uint32_t reads;
    uint32_t cancels;
    struct tresor__completion read;
    struct tresor__completion cancel;
};

struct asked {
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct tresor_allocator allocator;
    struct tresor__bell bell;
    struct tresor__backend *backend; /* the test's to make, over faulty, allocator and bell */
    char folder[TEMPORARY_PATH_BYTES];
    int descriptor;
    uint8_t *bytes; /* of the file */
    uint8_t *place; /* where the reads go */
    uint32_t outstanding;
    struct asked_answers answers[ASKED_MAX];
};

/** A file, and memory for it. False where its folder's system has no direct reads. */
bool asked_make(struct asked *asked);
void asked_remove(struct asked *asked);

/** Start anew: empty books, a descriptor and cleared memory. */
void asked_begin(struct asked *asked);

/** Destroy the backend; nothing may be held or wrong. */
void asked_end(struct asked *asked);

/** Submit `count` reads from block `first` on; `flags` are of enum tresor__effect_flag. */
void asked_read(struct asked *asked, uint32_t first, uint32_t count, uint8_t flags);
void asked_cancel(struct asked *asked, uint32_t block);

/** One poll with a whole share; how many completions. */
uint32_t asked_poll(struct asked *asked);

/** Poll and wait until all is answered. */
void asked_run(struct asked *asked);

/** Reads that are right, byte for byte; one that is answered as whole and is not fails the test. */
uint32_t asked_count_whole(const struct asked *asked);

#endif
