/* SPDX-License-Identifier: MIT */
#include "format/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <tresor/error.h>

#define DTYPE(symbol, text, elements, bytes, safetensors)                                          \
    {.dtype = TRESOR_DTYPE_##symbol,                                                               \
     .block_elements = (elements),                                                                 \
     .block_bytes = (bytes),                                                                       \
     .name = (text),                                                                               \
     .safetensors_name = (safetensors)},
static const struct tresor__dtype rows[] = {
#include "format/dtypes.def"
};
#undef DTYPE

enum {
    ROW_COUNT = sizeof rows / sizeof rows[0],
};

const struct tresor__dtype *tresor__dtype_find(uint32_t dtype)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].dtype == dtype)
            return &rows[i];
    return NULL;
}

const struct tresor__dtype *tresor__dtype_find_name(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

const struct tresor__dtype *tresor__dtype_find_safetensors(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].safetensors_name && !strcmp(rows[i].safetensors_name, name))
            return &rows[i];
    return NULL;
}

const char *tresor_dtype_name(uint32_t dtype)
{
    const struct tresor__dtype *type = tresor__dtype_find(dtype);
    return type ? type->name : "unknown";
}

/* Engines keep dimensions and element counts as int64. Divisions are slow and hardly ever needed.
 */
static bool multiply(uint64_t *product, uint64_t factor)
{
    if ((*product | factor) >> 31 && *product > INT64_MAX / factor)
        return false;
    *product *= factor;
    return true;
}

int32_t tresor__dtype_size(const struct tresor__dtype *type, const uint64_t *shape, uint32_t rank,
                           uint64_t row_elements, uint64_t *size_bytes)
{
    uint64_t elements = 1;
    bool empty = false;
    for (uint32_t i = 0; i < rank; i++) {
        if (!shape[i])
            empty = true;
        else if (!multiply(&elements, shape[i]))
            return TRESOR_ERROR_MALFORMED;
    }
    if (row_elements % type->block_elements)
        return TRESOR_ERROR_MALFORMED;
    uint64_t bytes = empty ? 0 : elements / type->block_elements;
    if (!multiply(&bytes, type->block_bytes))
        return TRESOR_ERROR_MALFORMED;
    *size_bytes = bytes;
    return TRESOR_OK;
}
