/* SPDX-License-Identifier: MIT */
/* Walks through a model: steps, each of some ranges of its file, every byte of which is summed. And how mapping loaders
 * make them. */
#ifndef TRESOR_BENCH_WALK_H
#define TRESOR_BENCH_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t offset_bytes; /* in the file */
    uint64_t size_bytes;
    const void *address; /* where the library has it; NULL without one */
    uint32_t tensor;
};

struct walk {
    struct range *ranges;
    uint32_t *firsts; /* range of each step, and one more */
    uint32_t step_count;
    uint64_t total_bytes;
};

/** All tensors in the order of the file: a step for each, or for each layer. */
void walk_of_model(struct walk *walk, const char *path, bool by_layer);
void walk_release(struct walk *walk);

/** Read every byte. */
void walk_sum(const void *bytes, size_t size_bytes);

/** A file as mapping loaders have it: all of it mapped; the kernel may be told that it will be read in sequence. */
struct mapped {
    char *bytes;
    size_t size_bytes;
};

void mapped_open(struct mapped *mapped, const char *path, bool is_sequential);
void mapped_close(struct mapped *mapped);
void mapped_advise(const struct mapped *mapped, const struct range *ranges, uint32_t count);
void mapped_sum(const struct mapped *mapped, const struct range *ranges, uint32_t count);

#endif
