/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_BACKEND_H
#define TRESOR_BACKEND_H

#ifdef __cplusplus
extern "C" {
#endif

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
};

#ifdef __cplusplus
}
#endif

#endif
