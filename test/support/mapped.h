/* SPDX-License-Identifier: MIT */
/* Files to map in a folder of the test's own, over the real system with books kept, and what became of their pages. */
#ifndef TEST_SUPPORT_MAPPED_H
#define TEST_SUPPORT_MAPPED_H

#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/temporary.h"

enum {
    MAPPED_PAGES = 5,
    MAPPED_PATH_BYTES = TEMPORARY_PATH_BYTES + 32,
};

struct mapped {
    char folder[TEMPORARY_PATH_BYTES];
    char path[MAPPED_PATH_BYTES];  /* a file of some pages and a bit */
    char empty[MAPPED_PATH_BYTES]; /* one without a byte */
    uint8_t *bytes;                /* what the file holds */
    size_t size_bytes;
    size_t page_bytes;
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct tresor_allocator allocator;
};

void mapped_make(struct mapped *mapped);
void mapped_remove(struct mapped *mapped);

/** Write the file anew, as it was, and start the books anew. */
void mapped_reset(struct mapped *mapped);

/** Fail the test if anything is held, or was done that may not be. */
void mapped_must_be_clean(struct mapped *mapped);

/** How many of the range's pages this process has in its page tables. */
size_t mapped_present(const struct mapped *mapped, const void *address, size_t length);

/** Whether the disk has, at that place of the file, that byte. */
bool mapped_file_has(const struct mapped *mapped, size_t offset, uint8_t byte);

/** Every row fails with each of its errors, once or from then on, at its first call and the next and so on, until `script` ran
 * without one; then every allocation does. Nothing may be left after any. The script leaves the file as it was. */
void mapped_fail_each(struct mapped *mapped, void (*script)(struct mapped *mapped));

#endif
