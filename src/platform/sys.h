/* SPDX-License-Identifier: MIT */
/*
 * The system-call table: every call that leaves the process goes through one of these rows, so that
 * tests can replace any of them. A row returns what the call returns, or -errno; it never touches
 * errno's meaning otherwise.
 */
#ifndef TRESOR_PLATFORM_SYS_H
#define TRESOR_PLATFORM_SYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/allocator.h"
#include "core/guard.h"

/** What fstat(2) says of a file. */
struct tresor__sys_stat {
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t modified_ns;
    int64_t changed_ns;
    bool is_regular;
    bool is_directory;
};

/** How a file is opened that may be written to; flags. */
enum tresor__sys_open {
    TRESOR__SYS_OPEN_READ = 1 << 0,
    TRESOR__SYS_OPEN_WRITE = 1 << 1,
    TRESOR__SYS_OPEN_CREATE = 1 << 2,
    TRESOR__SYS_OPEN_TRUNCATE = 1 << 3,
    TRESOR__SYS_OPEN_APPEND = 1 << 4,
    TRESOR__SYS_OPEN_EXCLUSIVE = 1 << 5,
};

enum tresor__sys_map {
    TRESOR__SYS_MAP_RESERVE,   /* no access, no memory */
    TRESOR__SYS_MAP_FILE,      /* shared, read-only */
    TRESOR__SYS_MAP_FILE_HOLE, /* the same where nothing is mapped; EEXIST where something is */
    TRESOR__SYS_MAP_ANONYMOUS, /* private, writable, not counted before use */
    TRESOR__SYS_MAP_ANONYMOUS_HOLE, /* the same where nothing is mapped; EEXIST where something is */
};

enum tresor__sys_memory_advice {
    TRESOR__SYS_POPULATE_READ,
    TRESOR__SYS_POPULATE_WRITE,
    TRESOR__SYS_HUGE_PAGES,
    TRESOR__SYS_SPLIT_PAGES, /* a huge page that reaches beyond either end becomes small ones; what it holds stays */
    TRESOR__SYS_HUGE_READS, /* a file's pages are read 2 MiB at a time, whatever its device reads ahead */
    TRESOR__SYS_MEMORY_NORMAL,
    TRESOR__SYS_MEMORY_SEQUENTIAL,
    TRESOR__SYS_MEMORY_RANDOM,
    TRESOR__SYS_MEMORY_WILLNEED,
    TRESOR__SYS_MEMORY_DONTNEED, /* whole pages alone; what was written to private ones is lost */
};

enum tresor__sys_file_advice {
    TRESOR__SYS_FILE_NORMAL,
    TRESOR__SYS_FILE_SEQUENTIAL,
    TRESOR__SYS_FILE_RANDOM,
    TRESOR__SYS_FILE_WILLNEED,
    TRESOR__SYS_FILE_DONTNEED,
};

enum tresor__sys_placement {
    TRESOR__SYS_BIND,
    TRESOR__SYS_INTERLEAVE,
};

enum tresor__sys_view_flag {
    TRESOR__SYS_VIEW_READ = 1,
    TRESOR__SYS_VIEW_WRITE = 2,
    TRESOR__SYS_VIEW_EXECUTE = 4,
    TRESOR__SYS_VIEW_SHARED = 8,     /* else private: what is written stays the process's own */
    TRESOR__SYS_VIEW_HUGE_POOL = 16, /* out of the system's pool of 2 MiB pages, in multiples of them */
};

/** A mapping of a face of another loader, which is no window's. */
struct tresor__sys_view {
    int descriptor; /* less than 0: anonymous */
    size_t length;
    uint64_t offset;
    uint32_t flags; /* enum tresor__sys_view_flag */
};

/** What can be slept on until memory runs short. */
enum tresor__sys_watch_kind {
    TRESOR__SYS_WATCH_BELL,   /* the first descriptor of a bell, which is not opened here and stays rung */
    TRESOR__SYS_WATCH_STALL,  /* a file of pressure stall information, to which the trigger is written */
    TRESOR__SYS_WATCH_EVENTS, /* a file of counters, which tells when one of them changes */
    TRESOR__SYS_WATCH_NOTIFY, /* a file of a control group of the older hierarchy, told of by its event_control */
};

struct tresor__sys_watch {
    enum tresor__sys_watch_kind kind;
    int descriptor;  /* less than 0: none */
    bool has_risen;  /* out */
    bool is_gone;    /* out: it will tell nothing more */
};

/** A ring of reads in the kernel (io_uring). One thread makes, uses and closes it. */
struct tresor__sys_ring;

enum tresor__sys_ring_kind {
    TRESOR__SYS_RING_READ,
    TRESOR__SYS_RING_CANCEL, /* the read of that tag, if it is still there; has no result of its own */
};

/** What a ring is asked. */
struct tresor__sys_ring_entry {
    enum tresor__sys_ring_kind kind;
    int descriptor;
    uint64_t tag; /* below 2^63; of READ: no other on the ring has it */
    void *address;
    size_t length;
    uint64_t offset;
};

/** What became of a read: what read returns, or -errno. */
struct tresor__sys_ring_result {
    uint64_t tag;
    int64_t result;
};

struct tresor__sys {
    void *cookie; /* given to every row */
    int64_t (*open_file)(void *cookie, const char *path);
    /* A descriptor more of what is open, which is the library's own. */
    int64_t (*duplicate)(void *cookie, int descriptor);
    /* The open file once more, for reads past the page cache. */
    int64_t (*open_direct)(void *cookie, int descriptor);
    int64_t (*close)(void *cookie, int descriptor);
    int64_t (*stat)(void *cookie, int descriptor, struct tresor__sys_stat *stat);
    /* What place, offset and length of a direct read must be multiples of; ENOSYS where the system does not tell. */
    int64_t (*direct_alignment)(void *cookie, int descriptor, uint32_t *alignment_bytes);
    int64_t (*read)(void *cookie, int descriptor, void *address, size_t length, uint64_t offset);
    /* Only what the page cache holds, up to the first hole in it; EAGAIN where that is nothing. */
    int64_t (*read_cached)(void *cookie, int descriptor, void *address, size_t length,
                           uint64_t offset);
    /* `address` NULL: anywhere, and *mapped says where; else exactly there, in place of what is
     * mapped. */
    int64_t (*map)(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                   int descriptor, uint64_t offset, void **mapped);
    int64_t (*unmap)(void *cookie, void *address, size_t length);
    /* The pages of one place over those of another, in one step for whoever reads there; what they leave stays mapped,
     * and empty. Where it fails the pages are where they were, but nothing may be mapped at `to` any more. ENOSYS or
     * EINVAL where the system cannot. */
    int64_t (*move_pages)(void *cookie, void *from, void *to, size_t length);
    /* How many maps a process may have; ENOSYS where the system does not tell. */
    int64_t (*max_maps)(void *cookie);
    /* Private pages, out of everybody's reach and back; what they hold stays. */
    int64_t (*protect)(void *cookie, void *address, size_t length, bool reachable);
    int64_t (*advise_memory)(void *cookie, void *address, size_t length,
                             enum tresor__sys_memory_advice advice);
    int64_t (*advise_file)(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                           enum tresor__sys_file_advice advice);
    /* How many bytes of the pages in [offset, offset + length) the page cache holds. */
    int64_t (*cached_bytes)(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                            uint64_t *bytes);
    /* What a device, as `stat` names it, reads ahead. */
    int64_t (*readahead_bytes)(void *cookie, uint64_t device, uint64_t *bytes);
    int64_t (*lock)(void *cookie, const void *address, size_t length);
    int64_t (*unlock)(void *cookie, const void *address, size_t length);
    int64_t (*lock_limit)(void *cookie, uint64_t *limit_bytes);
    int64_t (*locked)(void *cookie, uint64_t *locked_bytes);
    int64_t (*random)(void *cookie, void *bytes, size_t length);
    int64_t (*page_bytes)(void *cookie);
    int64_t (*now_ms)(void *cookie); /* a clock that only goes forward */
    /* A bell that one thread waits for and any thread rings: a descriptor pair, the same twice
     * where one will do. */
    int64_t (*bell_open)(void *cookie, int descriptors[2]);
    int64_t (*bell_ring)(void *cookie, int descriptor);
    int64_t (*bell_clear)(void *cookie, int descriptor);
    int64_t (*bell_wait)(void *cookie, int descriptor, int32_t timeout_ms);
    /* Sleep while `*word` is `value`, no longer than the timeout (negative: none), or a little longer or less: who wakes
     * up looks again. Any thread. -EAGAIN where the word was another, -ETIMEDOUT, -EINTR. */
    int64_t (*word_wait)(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                         int32_t timeout_ms);
    /* Wake all who sleep at the word, which was changed before. */
    int64_t (*word_wake)(void *cookie, const _Atomic uint32_t *word);
    /* A ring for at least `entries` reads at a time, which rings the bell (its second descriptor)
     * whenever there may be something to reap. ENOSYS where this system or build has none. */
    int64_t (*ring_init)(void *cookie, const struct tresor_allocator *allocator, uint32_t entries,
                         int bell, struct tresor__sys_ring **ring);
    /* How many of the first it has taken, at least one; -errno: none. What was not taken is the
     * caller's, as if it had not been asked. */
    int64_t (*ring_submit)(void *cookie, struct tresor__sys_ring *ring,
                           const struct tresor__sys_ring_entry *entries, uint32_t count);
    /* How many have ended, at most `limit`; each read that was taken once, in any order. */
    int64_t (*ring_reap)(void *cookie, struct tresor__sys_ring *ring,
                         struct tresor__sys_ring_result *results, uint32_t limit);
    /* Does not wait for what is on it. Frees it, whatever it answers. */
    int64_t (*ring_close)(void *cookie, struct tresor__sys_ring *ring);
    /* The start of a small file that the system tells of itself in, at most `size_bytes` of it; how many. */
    int64_t (*read_text)(void *cookie, const char *path, char *text, size_t size_bytes);
    /* On which nodes, bit i for node i, pages will be put that nothing has touched yet. */
    int64_t (*place_memory)(void *cookie, void *address, size_t length,
                            enum tresor__sys_placement placement, uint64_t nodes);
    /* A descriptor of what is not a bell, for watch_wait alone. */
    int64_t (*watch_open)(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                          const char *trigger);
    /* Sleeps until any has risen or is gone, marks all of them, and forgets what has risen, but for bells. */
    int64_t (*watch_wait)(void *cookie, struct tresor__sys_watch *watches, uint32_t count);
    /* One more and one less who wants faults (SIGBUS) of the process's ranges contained, which are those that were added
     * and not removed: the page is mapped over with zeros and marked, the bell rung, and the thread goes on. EBUSY where
     * others have put too many handlers over those of before, ENOSYS where the system has no such signal. */
    int64_t (*guard_open)(void *cookie);
    int64_t (*guard_close)(void *cookie);
    /* Neither fails; once it was removed nobody looks at it any more. */
    int64_t (*guard_add)(void *cookie, struct tresor__guard_range *range);
    int64_t (*guard_remove)(void *cookie, struct tresor__guard_range *range);
    /* By `flags` of enum tresor__sys_open; a file that is made is everybody's, less the process's mask. */
    int64_t (*open_by)(void *cookie, const char *path, uint32_t flags);
    /* Of a file opened to APPEND its end is where, whatever the offset. */
    int64_t (*write)(void *cookie, int descriptor, const void *address, size_t length,
                     uint64_t offset);
    /* Where nothing is mapped; unmap takes it away. */
    int64_t (*map_view)(void *cookie, const struct tresor__sys_view *view, void **mapped);
    /* What was written to shared pages of a file, to the file: begin, or wait until it is there. */
    int64_t (*sync_memory)(void *cookie, void *address, size_t length, bool is_waited);
    /* How many bytes of the pages of a range are in memory; of a file's, those in the page cache. `descriptor` is the file's,
     * less than 0: anonymous pages. EPERM where the system does not tell this process. */
    int64_t (*resident_bytes)(void *cookie, int descriptor, void *address, size_t length,
                              uint64_t *bytes);
};

/** The operating system's own. Static. */
const struct tresor__sys *tresor__sys_posix(void);

#endif
