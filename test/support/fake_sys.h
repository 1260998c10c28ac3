/* SPDX-License-Identifier: MIT */
/*
 * A system-call table without a system: files are blocks of memory, mappings are parts of one arena. File pages are
 * there only after they were populated; before, and after they were taken away, a place holds rubbish.
 */
#ifndef TEST_SUPPORT_FAKE_SYS_H
#define TEST_SUPPORT_FAKE_SYS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/sys.h"
#include "support/bytes.h"
#include "support/range_set.h"

enum {
    FAKE_FILES = 16,
    FAKE_DESCRIPTOR_FIRST = 1000, /* file i is FIRST + i, the bell the one after the last file */
    FAKE_PAGE_BYTES = 4096,
    FAKE_RUBBISH = 0xdd,
};

struct fake_file {
    const char *path;
    const struct bytes *bytes;
    uint64_t size_bytes; /* what stat says and reads end at; the test may lower it */
    int64_t modified_ns;
};

struct fake_sys {
    struct tresor__sys sys;
    struct fake_file files[FAKE_FILES];
    uint32_t file_count;
    uint8_t *arena;
    size_t arena_bytes; /* of all mappings together; a multiple of 2 MiB, and may be set until the first of them */
    struct range_set used;
    uint64_t lock_limit_bytes; /* UINT64_MAX: none */
    struct range_set locked;
    uint64_t cached_until;    /* what cached_bytes says: the pages that begin before it are cached */
    bool refuses_huge_reads;
    uint64_t readahead_bytes; /* 0: not known */
    bool is_old; /* it cannot populate: EINVAL, as before Linux 5.14 */
};

void fake_sys_init(struct fake_sys *fake);
void fake_sys_free(struct fake_sys *fake);

/** `path` and `bytes` must outlive it. */
void fake_sys_add(struct fake_sys *fake, const char *path, const struct bytes *bytes);

#endif
