/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_BACKEND_H
#define TRESOR_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tresor_context;

/** Who makes the system calls of a context. Requests, events and results are the same under any. */
enum tresor_backend {
    TRESOR_BACKEND_DEFAULT = 0, /**< AUTO */
    /** tresor_dispatch itself, one after the other: a dispatch can wait for the disk. */
    TRESOR_BACKEND_SYNC = 1,
    /**
     * Threads of the context's own, which take no signals and end with it: no dispatch waits. What is
     * under way completes in any order.
     */
    TRESOR_BACKEND_POOL = 2,
    /**
     * io_uring (Linux) for direct reads, and the pool for all else: no dispatch waits. Where the system
     * or the build has none, or refuses it, at first or later, the pool does all of it, and one
     * DEGRADED event says so and why.
     */
    TRESOR_BACKEND_URING = 3,
    TRESOR_BACKEND_AUTO = 4, /**< the library's choice, which is uring now */
    /** The host's own, see struct tresor_actor: the context's option `actor` is needed for it. */
    TRESOR_BACKEND_HOST = 5,
};

/**
 * What a backend is asked to do. What its answer is when it succeeds stands behind each; where nothing does it is 0. Later
 * versions may ask for more: what an actor does not know it leaves to tresor_effect_run.
 */
enum tresor_effect_kind {
    TRESOR_EFFECT_OPEN = 0,        /**< `path`, a regular file, for reading; the descriptor. Run it where there is no path:
                                    the source was opened from something else */
    TRESOR_EFFECT_OPEN_DIRECT = 1, /**< `descriptor`'s file once more, for direct reads; the descriptor. Run it */
    TRESOR_EFFECT_STAT = 2,        /**< what file `descriptor` is. Run it */
    TRESOR_EFFECT_CLOSE = 3,       /**< `descriptor`. Run it where it is -1 */
    TRESOR_EFFECT_WORK = 4,        /**< a function of the library's own. Run it */
    TRESOR_EFFECT_RESERVE = 5,     /**< `length_bytes` of addresses; the first, a multiple of 2 MiB. Run it */
    TRESOR_EFFECT_RELEASE = 6,     /**< a range that was reserved, with all that is in it. Run it */
    TRESOR_EFFECT_MAP = 7,         /**< pages of the file, or private ones, at `address`. Run it */
    TRESOR_EFFECT_UNMAP = 8,       /**< leave the range at `address` reserved, without pages. Run it */
    TRESOR_EFFECT_MOVE = 9,        /**< pages from `address` to another place. Run it */
    TRESOR_EFFECT_REPLACE = 10,    /**< the same, over pages that others read. Run it */
    TRESOR_EFFECT_POPULATE = 11,   /**< have the pages at `address` in memory */
    TRESOR_EFFECT_READAHEAD = 12,  /**< the same ahead of its populate, at leisure */
    /** `length_bytes` of `descriptor` (-1: the source is no file; run it) from `offset_bytes` on to `address`; how many came, which may be fewer. 0 is the
     * end of the file, and with TRESOR_EFFECT_CACHED that the page cache has none. */
    TRESOR_EFFECT_READ = 13,
    TRESOR_EFFECT_CANCEL = 14, /**< the READ with number `target` may end early, which is answered all the same; 1 where it
                                    was found, else 0 */
    TRESOR_EFFECT_ADVISE = 15, /**< the system, how a range will be used. Run it */
    TRESOR_EFFECT_LOCK = 16,   /**< the range at `address` into memory, as mlock(2) */
    TRESOR_EFFECT_UNLOCK = 17, /**< as munlock(2) */
    TRESOR_EFFECT_QUERY = 18,  /**< what may be locked. Run it */
    TRESOR_EFFECT_DIGEST = 22, /**< look at `length_bytes` of a tensor, for its digest; how many were there. Run it */
};

/** Of READ. */
enum tresor_effect_flag {
    TRESOR_EFFECT_DIRECT = 1, /**< past the page cache; `descriptor` is open for that; place, offset and length are aligned */
    TRESOR_EFFECT_CACHED = 2, /**< only what the page cache holds; may be answered with 0 */
    TRESOR_EFFECT_BOUNCE = 4, /**< with DIRECT: `address` is not aligned, or not known to be reachable by the device */
};

/** One effect. It may be copied; what it points to is the library's, and stays until it is answered. */
struct tresor_effect {
    uint32_t kind;         /**< enum tresor_effect_kind, or what a later version asks */
    uint32_t flags;        /**< enum tresor_effect_flag */
    uint64_t number;       /**< that its answer gives back: no other in flight has it */
    uint64_t target;       /**< of CANCEL: the number of the READ; 0 where that has been answered */
    int32_t descriptor;    /**< -1: none */
    uint32_t reserved;     /**< 0 */
    uint64_t offset_bytes; /**< in the file */
    uint64_t length_bytes;
    void *address;         /**< NULL: none */
    const char *path;      /**< NULL: none */
    uint64_t inner[16];    /**< for tresor_effect_run */
};

/** The one answer to an effect. */
struct tresor_answer {
    uint64_t number; /**< the effect's */
    int64_t value;   /**< what it came to, or -errno */
    int64_t detail;  /**< 0, or as tresor_effect_run says */
};

/**
 * A backend of the host's own: it is given effects and answers each once, in any order. All functions are called on the
 * context's thread, from inside calls of the library; they may not call it back, but for tresor_effect_run. An answer that
 * cannot be (a number that is not in flight is passed over; more bytes than were asked for, an errno that there is none of)
 * fails what was asked for with BACKEND.
 */
struct tresor_actor {
    size_t size_bytes; /**< sizeof of this struct */
    void *cookie;
    const char *name; /**< for tresor_backend_name; static text */
    /** Take all of them, and answer none from inside. */
    void (*submit)(void *cookie, const struct tresor_effect *effects, uint32_t count);
    /** At most `limit` answers into `answers`; how many. Here or on threads of the actor's own the work is done. */
    uint32_t (*poll)(void *cookie, struct tresor_answer *answers, uint32_t limit);
    /** Whether a poll would have answers, or do work. When that becomes true on another thread, that thread calls
     * tresor_ring. */
    int32_t (*pending)(void *cookie);
    /** The context does without it from now on; nothing is in flight. NULL: not wanted. */
    void (*destroy)(void *cookie);
};

/**
 * Do what an effect asks for with system calls that block, as the sync backend does. Returns its answer. Any thread, for
 * different effects at the same time. Allocates nothing but, for direct reads with BOUNCE and for DIGEST, a mebibyte
 * for as long as it runs. A CANCEL finds nothing.
 */
TRESOR_API struct tresor_answer tresor_effect_run(const struct tresor_effect *effect);

/** Have the context look for answers: what its thread sleeps at rings, and so does its descriptor. Any thread, from when an
 * actor has been given its first effect until it is destroyed. */
TRESOR_API void tresor_ring(struct tresor_context *context);

#ifdef __cplusplus
}
#endif

#endif
