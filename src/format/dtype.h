/* SPDX-License-Identifier: MIT */
/* Element types and the sizes that follow from them. */
#ifndef TRESOR_FORMAT_DTYPE_H
#define TRESOR_FORMAT_DTYPE_H

#include <stdint.h>

#include <tresor/tensor.h>

/** From this value on the types are safetensors' own and ggml has no number for them. */
#define TRESOR__DTYPE_GGML_END 1000

struct tresor__dtype {
    uint32_t dtype; /* enum tresor_dtype */
    uint32_t block_elements;
    uint32_t block_bytes;
    const char *name;
    const char *safetensors_name; /* NULL where safetensors has no such type */
};

/** The type of that value, or NULL. */
const struct tresor__dtype *tresor__dtype_find(uint32_t dtype);

/** The type that engines call so (tresor_dtype_name), or NULL. */
const struct tresor__dtype *tresor__dtype_find_name(const char *name);

/** The type that safetensors calls so, or NULL. */
const struct tresor__dtype *tresor__dtype_find_safetensors(const char *name);

/**
 * Bytes of a tensor; `row_elements` is its contiguous dimension, 1 at rank 0. TRESOR_OK, or
 * MALFORMED if the row is no whole number of blocks or a product overflows: the same whatever the
 * order of the dimensions, zeros included.
 */
int32_t tresor__dtype_size(const struct tresor__dtype *type, const uint64_t *shape, uint32_t rank,
                           uint64_t row_elements, uint64_t *size_bytes);

#endif
