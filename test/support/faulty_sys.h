/* SPDX-License-Identifier: MIT */
/*
 * A system-call table around another one. It counts every call, makes chosen ones fail, cuts reads short, and keeps
 * books of what the library holds: descriptors, mapped ranges, locked ranges. Calls on what is not held are kept as
 * a violation, and so is what is left at the end. Its clock is its own, or the test's. Rows may be called on any thread.
 */
#ifndef TEST_SUPPORT_FAULTY_SYS_H
#define TEST_SUPPORT_FAULTY_SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/sys.h"
#include "support/range_set.h"

enum faulty_row {
    FAULTY_OPEN_FILE,
    FAULTY_OPEN_DIRECT,
    FAULTY_CLOSE,
    FAULTY_STAT,
    FAULTY_DIRECT_ALIGNMENT,
    FAULTY_READ,
    FAULTY_READ_CACHED,
    FAULTY_MAP,
    FAULTY_UNMAP,
    FAULTY_MOVE_PAGES,
    FAULTY_MAX_MAPS,
    FAULTY_PROTECT,
    FAULTY_ADVISE_MEMORY,
    FAULTY_ADVISE_FILE,
    FAULTY_CACHED_BYTES,
    FAULTY_READAHEAD_BYTES,
    FAULTY_LOCK,
    FAULTY_UNLOCK,
    FAULTY_LOCK_LIMIT,
    FAULTY_LOCKED,
    FAULTY_RANDOM,
    FAULTY_PAGE_BYTES,
    FAULTY_BELL_OPEN,
    FAULTY_BELL_RING,
    FAULTY_BELL_CLEAR,
    FAULTY_BELL_WAIT,
    FAULTY_WORD_WAIT,
    FAULTY_WORD_WAKE,
    FAULTY_RING_INIT, /* from here on only a backend with a ring asks */
    FAULTY_RING_SUBMIT,
    FAULTY_RING_REAP,
    FAULTY_RING_RESULT, /* not a call: each result that a reap brings */
    FAULTY_RING_CLOSE,
    FAULTY_READ_TEXT, /* from here on only a context that wants to know of nodes or of pressure asks */
    FAULTY_PLACE_MEMORY,
    FAULTY_WATCH_OPEN,
    FAULTY_WATCH_WAIT,
    FAULTY_GUARD_OPEN,
    FAULTY_DUPLICATE, /* only of a descriptor of the host's */
    FAULTY_OPEN_BY, /* from here on only the faces of other loaders ask */
    FAULTY_WRITE,
    FAULTY_MAP_VIEW,
    FAULTY_SYNC_MEMORY,
    FAULTY_RESIDENT_BYTES,
    FAULTY_ROWS,
    FAULTY_ANY = FAULTY_ROWS, /* in a plan: whatever row */
};

/** One call, before it is made. */
struct faulty_call {
    enum faulty_row row;
    uint64_t number; /* of its row, from 1 on */
    int descriptor;
    const char *path;
    const void *address;
    size_t length; /* a judge may lower a READ's and a WRITE's; entries of a RING_SUBMIT, bytes of a RING_RESULT */
    uint64_t offset;
    const void *target; /* of MOVE_PAGES */
    int kind; /* of MAP: enum tresor__sys_map; of ADVISE: the advice; of OPEN_BY: the flags */
};

/** Which call fails. */
struct faulty_plan {
    enum faulty_row row; /* or FAULTY_ANY: `nth` counts all calls */
    uint64_t nth;        /* from 1 on; 0: none */
    bool persistent;     /* from then on, not only once */
    bool lost;           /* says that it succeeded and does nothing: what a forgotten call looks like */
    int32_t os_errno;    /* 0: the `choice`th of the row's own, round and round */
    uint32_t choice;
};

enum faulty_reads {
    FAULTY_READS_WHOLE,
    FAULTY_READS_BYTE,
    FAULTY_READS_HALF,
    FAULTY_READS_RANDOM,
    FAULTY_READS_INTERRUPTED, /* each is EINTR once before it is made */
    FAULTY_READS_SOME, /* one in a few is of a random length */
};

enum {
    FAULTY_DESCRIPTORS = 64,
    FAULTY_RING_READS = 512,
};

/** A read that a ring has taken: until it ends its memory stays mapped and its file open. */
struct faulty_ring_read {
    const struct tresor__sys_ring *ring;
    uint64_t tag;
    int descriptor;
    struct range range;
    uint64_t offset;
};

struct faulty_sys {
    struct tresor__sys sys; /* give it to the context */
    const struct tresor__sys *under;
    struct faulty_plan plan;
    enum faulty_reads reads;
    bool moves_unmap; /* a move that was made to fail has taken its target away, as mremap(2) may */
    bool refusals_stay; /* what an unmap that was made to fail has left does not count at the end */
    uint64_t seed;
    /* Looks at every call that the plan lets pass; answers the errno that it shall fail with, or 0. May be NULL. */
    int32_t (*judge)(void *judge_cookie, struct faulty_call *call);
    void *judge_cookie;
    bool has_workers; /* a wait really sleeps */

    pthread_mutex_t lock;
    uint64_t counts[FAULTY_ROWS];
    uint64_t total;
    uint64_t injected;
    uint64_t read_bytes; /* that reads answered */
    bool interrupted;    /* the last read was */
    int64_t clock_ms;
    const uint64_t *clock_ns; /* another's clock, which its waits do not move; NULL: its own */

    int descriptors[FAULTY_DESCRIPTORS]; /* open */
    uint32_t descriptor_count;
    struct faulty_ring_read ring_reads[FAULTY_RING_READS];
    uint32_t ring_read_count;
    uint32_t ring_count; /* made and not closed */
    int host_descriptors[FAULTY_DESCRIPTORS]; /* the host's own, which may be duplicated */
    uint32_t host_descriptor_count;
    struct range_set mapped;
    struct range_set locked;
    struct range_set lent; /* the host's own memory, which a ring may be told to read into */
    uint32_t guards; /* opened and not closed */
    uint32_t guard_ranges; /* added and not removed */
    struct range_set refused; /* mapped, and an unmap of it was made to fail */
    char violation[256];
};

/** Start anew over `under`, which must outlive it: no plan, whole reads, empty books. */
void faulty_sys_init(struct faulty_sys *faulty, const struct tresor__sys *under);

/**
 * What is wrong: a violation, or what is held; NULL if nothing. Ranges whose unmapping was made to fail for good, or
 * whose refusal stays, do not count.
 */
const char *faulty_sys_check(struct faulty_sys *faulty);

/** Memory of the host's own that a COPY may go to, from the start of a page on, until it is taken back. */
void faulty_sys_lend(struct faulty_sys *faulty, const void *address, size_t length);
void faulty_sys_take_back(struct faulty_sys *faulty, const void *address, size_t length);

/** A descriptor of the host's that is open, and may be duplicated; `handed_over`: it is the library's to close. */
void faulty_sys_show(struct faulty_sys *faulty, int descriptor, bool handed_over);
/** One that was not handed over after all. */
void faulty_sys_hide(struct faulty_sys *faulty, int descriptor);

/** Give back what is still held, so that the next run does not suffer from this one. */
void faulty_sys_clean(struct faulty_sys *faulty);

/** The errors that a row's call may have by its manual page; `*count` of them. */
const int32_t *faulty_row_errors(enum faulty_row row, uint32_t *count);
const char *faulty_row_name(enum faulty_row row);

#endif
