/* SPDX-License-Identifier: MIT */
/* The tensors of a model in the order in which an engine uses them. */
#ifndef TOOL_WALK_STEPS_H
#define TOOL_WALK_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "opened.h"

/** One tensor, or slice of one. */
struct walk_step {
    struct tresor_item item;
    uint32_t tensor;
    uint32_t file;
    uint64_t offset_bytes; /* in its file */
    uint64_t size_bytes;
    uint64_t layer; /* its place among the layers; what comes before and after all has one too */
    uint64_t sum;   /* of its words, once it was used */
    bool is_used;
};

struct walk_steps {
    struct walk_step *list;
    uint32_t count;
    uint64_t total_bytes;
};

/**
 * Layer by layer, in each as the files have them. The layer is the first part of a name that is a
 * number, as in blk.7.attn_q.weight. What has none comes before all layers if it is called an
 * embedding or stands before them in the files, and after them otherwise, as the output does.
 * Returns an error code; to be freed all the same.
 */
int32_t walk_steps_make(const struct opened *opened, struct tresor_item item,
                        struct walk_steps *steps);
void walk_steps_free(struct walk_steps *steps);

/** The one that needs the most pages; NULL if there is none. */
const struct walk_step *walk_steps_largest(const struct walk_steps *steps);

#endif
