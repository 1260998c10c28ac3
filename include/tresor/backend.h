/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_BACKEND_H
#define TRESOR_BACKEND_H

#ifdef __cplusplus
extern "C" {
#endif

/** Who makes the system calls of a context. Requests, events and results are the same under any. */
enum tresor_backend {
    TRESOR_BACKEND_DEFAULT = 0, /**< sync, for now */
    /** tresor_dispatch itself, one after the other: a dispatch can wait for the disk. */
    TRESOR_BACKEND_SYNC = 1,
    /**
     * Threads of the context's own, which take no signals and end with it: no dispatch waits. What is
     * under way completes in any order.
     */
    TRESOR_BACKEND_POOL = 2,
};

#ifdef __cplusplus
}
#endif

#endif
