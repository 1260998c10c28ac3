/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_STRATEGY_H
#define TRESOR_STRATEGY_H

#include <stdint.h>

#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How tensor bytes come into the window. A tensor that is resident by one satisfies a load by any other. */
enum tresor_strategy {
    TRESOR_STRATEGY_DEFAULT = 0, /**< what the context's options say */
    TRESOR_STRATEGY_MMAP = 1,    /**< shared pages of the file, read-only, populated */
    TRESOR_STRATEGY_READ = 2,    /**< private pages, populated, then read into */
};

/** Whether reads go past the page cache, straight into their memory. */
enum tresor_direct {
    TRESOR_DIRECT_DEFAULT = 0, /**< auto */
    /** What the page cache holds is copied out of it; everything else is read directly. */
    TRESOR_DIRECT_AUTO = 1,
    TRESOR_DIRECT_ON = 2,  /**< always directly, whatever the page cache holds */
    TRESOR_DIRECT_OFF = 3, /**< always through the page cache, which then holds it */
};

/** What tresor_advise tells the kernel; as in posix_fadvise(2) and madvise(2). */
enum tresor_advice {
    TRESOR_ADVICE_NORMAL = 0,
    TRESOR_ADVICE_SEQUENTIAL = 1,
    TRESOR_ADVICE_RANDOM = 2,
    TRESOR_ADVICE_WILLNEED = 3, /**< read ahead into the page cache; rounds outward to pages */
    TRESOR_ADVICE_DONTNEED = 4, /**< drop from the page cache; rounds inward, and skips what is mapped */
};

/** "default", "mmap", "read"; "unknown" otherwise. Static text; any thread. */
TRESOR_API const char *tresor_strategy_name(uint32_t strategy);

#ifdef __cplusplus
}
#endif

#endif
