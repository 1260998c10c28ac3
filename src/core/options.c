/* SPDX-License-Identifier: MIT */
#include "core/options.h"

#include <stdbool.h>
#include <string.h>

#include <tresor/error.h>

static bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

int32_t tresor__options_copy(void *known, size_t known_bytes, const void *given)
{
    size_t given_bytes;
    memcpy(&given_bytes, given, sizeof given_bytes);
    if (given_bytes < sizeof given_bytes || given_bytes > 65536)
        return TRESOR_ERROR_INVALID;
    if (given_bytes > known_bytes &&
        !is_zero((const unsigned char *)given + known_bytes, given_bytes - known_bytes))
        return TRESOR_ERROR_INVALID;
    memset(known, 0, known_bytes);
    memcpy(known, given, given_bytes < known_bytes ? given_bytes : known_bytes);
    return TRESOR_OK;
}

int32_t tresor__info_copy(void *given, const void *known, size_t known_bytes)
{
    size_t given_bytes;
    if (!given)
        return TRESOR_ERROR_INVALID;
    memcpy(&given_bytes, given, sizeof given_bytes);
    if (given_bytes < sizeof given_bytes)
        return TRESOR_ERROR_INVALID;
    size_t count = given_bytes < known_bytes ? given_bytes : known_bytes;
    /* The size itself stays the caller's. */
    memcpy((char *)given + sizeof given_bytes, (const char *)known + sizeof given_bytes,
           count - sizeof given_bytes);
    return TRESOR_OK;
}
