/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_PRESSURE_H
#define TRESOR_PRESSURE_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Whether a context is told when memory runs short (Linux), by the option `pressure`: flags. It has a thread of the
 * context's own for it, which sleeps until the system says so and never looks by itself.
 */
enum tresor_pressure_watch {
    TRESOR_PRESSURE_MEMORY = 1, /**< PRESSURE events */
    TRESOR_PRESSURE_SHRINK = 2, /**< with MEMORY: the budget too is lowered to what keeps the control group at nine tenths
                                     of its limit */
};

/** What a PRESSURE event tells of, as flags. */
enum tresor_pressure_kind {
    /** Tasks have waited for memory: for 150 ms within 2 s (the pressure stall information of the machine, or of the
     * process's control group of the unified hierarchy), or as long as the older hierarchy calls "medium". */
    TRESOR_PRESSURE_STALL = 1,
    /** The process's control group, or one above it, has come to its limit: to 19 twentieths of it in the older hierarchy,
     * to memory.high or memory.max in the unified one. */
    TRESOR_PRESSURE_LIMIT = 2,
};

#ifdef __cplusplus
}
#endif

#endif
