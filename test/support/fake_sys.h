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
    FAKE_RING_READS = 256,
    FAKE_TEXTS = 32,
    FAKE_PLACEMENTS = 64,
    FAKE_WATCHES = 8,
    FAKE_PATH_BYTES = 128,
    FAKE_BOUNDS = 1024,
    FAKE_FILES = 48,
    FAKE_SECTORS = 8,
    FAKE_SECTOR_BYTES = 512,
    FAKE_GUARD_RANGES = 16,
    FAKE_DESCRIPTOR_FIRST = 1000, /* file i is FIRST + i, the bell the one after the last file */
    FAKE_DIRECT_FIRST = 2000,     /* file i for direct reads */
    FAKE_PAGE_BYTES = 4096,
    FAKE_RUBBISH = 0xdd,
};

struct fake_file {
    const char *path;
    const struct bytes *bytes;
    uint64_t size_bytes; /* what stat says and reads end at; the test may lower it */
    int64_t modified_ns;
    int64_t changed_ns;
    bool is_replaced; /* another file has its path; who has opened it still reads it */
    uint64_t cached_start_bytes; /* what the page cache holds, up to `end`; the test may set both */
    uint64_t cached_end_bytes;
};

/** What the disk cannot read. Where it could have read what is before, a read ends there. */
struct fake_sector {
    uint32_t file;
    uint64_t offset_bytes; /* a multiple of FAKE_SECTOR_BYTES */
    uint32_t fails_left;   /* UINT32_MAX: for ever */
};

/** A page of a file, mapped and looked at, in or before which the file ended then, before its time. */
struct fake_cut {
    uint8_t *page;
    const struct fake_file *file;
    uint64_t offset_bytes;
};

/** The one ring that there can be at a time. */
struct fake_ring {
    bool is_open;
    uint64_t seed; /* 0: reads end in their order and all at the first reap */
    struct tresor__sys_ring_entry reads[FAKE_RING_READS];
    bool is_cancelled[FAKE_RING_READS];
    uint32_t count;
};

/** What is slept on: a real descriptor, which the test makes rise. */
struct fake_watch {
    enum tresor__sys_watch_kind kind;
    char path[FAKE_PATH_BYTES];
    char trigger[32];
    int descriptor;
    _Atomic bool is_gone; /* the next one who sleeps on it is told so */
};

/** A file that the system tells of itself in. */
struct fake_text {
    const char *path;
    const char *text;
};

/** Where pages were to be put. */
struct fake_placement {
    const uint8_t *address;
    size_t length;
    enum tresor__sys_placement placement;
    uint64_t nodes;
};

struct fake_sys {
    struct tresor__sys sys;
    struct fake_file files[FAKE_FILES];
    uint32_t file_count;
    struct fake_sector sectors[FAKE_SECTORS];
    uint32_t sector_count;
    struct fake_cut *cuts;
    uint32_t cut_count;
    uint32_t cut_capacity;
    uint64_t transfers;     /* of a file's bytes to memory, so far */
    uint64_t flip_transfer; /* from this one on each brings a byte that is not the file's; 0: none does */
    uint8_t *arena;
    uint8_t *pages; /* what each page of the arena is */
    uint64_t private_bytes;       /* of private maps, touched or not */
    uint64_t private_limit_bytes; /* ENOMEM beyond; UINT64_MAX: none */
    uint32_t maps_limit;          /* ENOMEM for what would make more maps; 0: none */
    size_t arena_bytes; /* of all mappings together; a multiple of 2 MiB, and may be set until the first of them */
    struct range_set used;
    uintptr_t bounds[FAKE_BOUNDS]; /* where a map ends or begins, in no order; neighbours are never joined */
    uint32_t bound_count;
    uint32_t crossing_moves; /* that were refused for a bound within them */
    uint64_t lock_limit_bytes; /* UINT64_MAX: none */
    struct range_set locked;
    struct fake_ring ring;
    bool has_no_ring; /* ENOSYS */
    bool has_workers; /* the bell is a real one, for threads to wait for */
    int bell[2];
    uint32_t direct_alignment_bytes; /* 512; 0: no direct reads; what does not keep to it is EINVAL */
    bool is_direct_silent;           /* it does not tell its alignment, only keeps to it */
    uint64_t cached_until;    /* what cached_bytes says: the pages that begin before it are cached */
    bool has_no_moves; /* EINVAL, as before Linux 5.7 */
    int64_t max_maps;  /* that a process may have */
    bool refuses_huge_reads;
    uint64_t readahead_bytes; /* 0: not known */
    struct fake_text texts[FAKE_TEXTS]; /* up to the first without a path; others are not there */
    struct fake_placement placements[FAKE_PLACEMENTS];
    uint32_t placement_count;
    uint32_t random_advices;  /* for file pages, to be used at random */
    int32_t placement_errno;  /* 0: not refused */
    struct fake_watch watches[FAKE_WATCHES]; /* that were opened; the last one stays when it is closed */
    uint32_t watch_count;
    const char *const *watch_paths; /* that can be watched, up to NULL; NULL: none */
    int32_t guard_errno; /* of guard_open; 0: there is a guard */
    uint32_t guards;     /* opened and not closed */
    struct tresor__guard_range *guard_ranges[FAKE_GUARD_RANGES]; /* added and not removed, in no order */
    uint32_t guard_range_count;
    bool is_old; /* it cannot populate: EINVAL, as before Linux 5.14 */
};

void fake_sys_init(struct fake_sys *fake);

/** As new, with its arena's size and memory. */
void fake_sys_reset(struct fake_sys *fake);

/** Files have their sizes, the disk reads all of them, and nothing but locks has a limit. */
void fake_sys_heal(struct fake_sys *fake);

/** All bytes of a file are written to it once more, which who has it mapped sees. */
void fake_sys_restore(struct fake_sys *fake, uint32_t file);

/** Put another file in the place of one, as rename(2) does; false where there are too many. */
bool fake_sys_replace(struct fake_sys *fake, uint32_t file, const struct bytes *bytes);

/** How many maps there are; neighbours count as two. */
uint32_t fake_sys_map_count(const struct fake_sys *fake);

void fake_sys_free(struct fake_sys *fake);

/** fake_ring.c: the rows of rings. Reads are made when they are reaped. */
int64_t fake_ring_init(void *cookie, const struct tresor_allocator *allocator, uint32_t entries,
                       int bell, struct tresor__sys_ring **ring);
int64_t fake_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                         const struct tresor__sys_ring_entry *entries, uint32_t count);
int64_t fake_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                       struct tresor__sys_ring_result *results, uint32_t limit);
int64_t fake_ring_close(void *cookie, struct tresor__sys_ring *ring);

/** `path` and `bytes` must outlive it. */
void fake_sys_add(struct fake_sys *fake, const char *path, const struct bytes *bytes);

/** What the guard's handler does of a fault at an address: false where no range has it. Any thread. */
bool fake_sys_fault(struct fake_sys *fake, const void *address);

/** Opened by path; NULL where it was not. Make what it tells of happen, or it tell nothing more, on any thread. */
struct fake_watch *fake_sys_watch(struct fake_sys *fake, const char *path);
void fake_sys_rise(struct fake_watch *watch);
void fake_sys_lose(struct fake_watch *watch);

#endif
