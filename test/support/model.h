/* SPDX-License-Identifier: MIT */
/* Models made from a list of places instead of files: the ledgers are those that opening a source
 * would build. */
#ifndef TEST_SUPPORT_MODEL_H
#define TEST_SUPPORT_MODEL_H

#include "source/model.h"

struct model_tensor {
    uint32_t file;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

struct model_layout {
    const struct model_tensor *tensors; /* in order of their files */
    uint32_t tensor_count;
    const uint64_t *file_bytes;
    uint32_t file_count;
    uint16_t source;
};

/** Make a model of tensors "t0", "t1"... and index it; TRESOR_OK or the error that indexing told.
 * Free it either way. */
int32_t model_make(struct tresor__model *model, const struct tresor_allocator *allocator,
                   struct tresor__io *io, const struct model_layout *layout);

#endif
