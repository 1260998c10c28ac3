/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_NUMA_H
#define TRESOR_NUMA_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * On which memory nodes of the machine tensors lie: those of the option `numa_nodes`, bit i for node i. The pages that the
 * read strategy makes are put there before anything touches them. Pages of a file are the page cache's, which no process
 * may place: they lie where they were read, and a LOAD by mmap still brings all of them into memory, by whichever worker
 * does. Once they are there they are advised to be used at random, so that what the system takes away comes back page by
 * page, each where the thread runs that asks for it.
 */
enum tresor_numa {
    TRESOR_NUMA_DEFAULT = 0,    /**< where the system puts them; `numa_nodes` must be 0 */
    TRESOR_NUMA_BIND = 1,       /**< only on these nodes, of which there must be one */
    TRESOR_NUMA_INTERLEAVE = 2, /**< page by page on each of these nodes in turn; 0: all that are online */
};

#ifdef __cplusplus
}
#endif

#endif
