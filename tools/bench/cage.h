/* SPDX-License-Identifier: MIT */
/*
 * A child process that works when it is told to, in a memory control group of its own where one can be made, so that two
 * ways of doing one thing have the same memory, the page cache that they use counted.
 */
#ifndef TRESOR_BENCH_CAGE_H
#define TRESOR_BENCH_CAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CAGES_MAX = 4
};

/** What one piece of work took; the child fills in what it knows. */
struct pass {
    double seconds;
    double processor_seconds; /* of all threads, the kernel's for them included */
    uint64_t used_bytes;      /* that were summed */
    uint64_t read_bytes;      /* by the library's counters, as the next */
    uint64_t misses;
    uint64_t late;
    uint64_t evicted;
    uint64_t wasted;
    uint64_t charged_most_bytes;
};

struct cage {
    pid_t child;
    int commands; /* of the parent to the child: a byte for each pass; the end of the file ends it */
    int answers;
    bool is_limited;
};

/** What the child does: prepare, cage_limit, then answer as long as cage_await says so. */
typedef void cage_work(struct cage *cage, const void *argument);

/** Start a child; the parent must have no other threads. Gives up where it fails. It is ready when this returns. */
void cage_start(struct cage *cage, cage_work *work, const void *argument);

/** One pass, and what it took. Gives up where the child has ended. */
struct pass cage_run(struct cage *cage);

/** End the child and remove its group. */
void cage_end(struct cage *cage);

/** In the child: no more than so many bytes beside what it has now; tells the parent that it is ready, and whether there is
 * a limit. */
void cage_limit(struct cage *cage, uint64_t size_bytes);
bool cage_await(const struct cage *cage);
void cage_answer(const struct cage *cage, const struct pass *pass);

#endif
