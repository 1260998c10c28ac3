/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "calls.h"
#include "load.h"
#include "opened.h"

static bool is_splittable(const struct opened *opened, uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    if (tresor_source_get_tensor(opened->context, opened->source, tensor, &info) != TRESOR_OK ||
        info.rank != 3)
        return false;
    const uint64_t extent =
        info.shape[opened->info.shape_order == TRESOR_SHAPE_INNERMOST_FIRST ? 2 : 0];
    return extent >= 2 && info.tensor_bytes % extent == 0;
}

int32_t load_split(const struct opened *opened)
{
    uint32_t count = 0;
    if (opened->info.tensor_count == 0)
        return TRESOR_OK;
    uint32_t *tensors = calloc(opened->info.tensor_count, sizeof *tensors);
    if (!tensors)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < opened->info.tensor_count; i++)
        if (is_splittable(opened, i))
            tensors[count++] = i;
    const int32_t code = calls_split(opened, tensors, count);
    free(tensors);
    return code;
}
