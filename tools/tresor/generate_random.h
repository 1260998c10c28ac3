/* SPDX-License-Identifier: MIT */
/* Bytes of made-up tensors: a function of the seed, the tensor's index and its type, no more. */
#ifndef TOOL_GENERATE_RANDOM_H
#define TOOL_GENERATE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "generate_model.h"

struct random_stream {
    uint64_t state[4];
    enum element element;
};

/**
 * Parts of a tensor that are multiples of this hold whole blocks and whole random words of any
 * type, so the bytes do not depend on how a tensor is cut into parts.
 */
#define RANDOM_PART_BYTES ((size_t)18 * 34 * 8)

void random_begin(struct random_stream *stream, uint64_t seed, uint64_t tensor_index,
                  enum element element);

/** The tensor's next bytes. All parts but the last must be multiples of RANDOM_PART_BYTES. */
void random_fill(struct random_stream *stream, uint8_t *bytes, size_t size_bytes);

#endif
