/* SPDX-License-Identifier: MIT */
/* Loads of little-endian numbers from any address; compilers make one instruction of each where
 * they can. */
#ifndef TRESOR_FORMAT_LITTLE_ENDIAN_H
#define TRESOR_FORMAT_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint32_t tresor__load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t tresor__load_u64(const uint8_t *bytes)
{
    return (uint64_t)tresor__load_u32(bytes) | (uint64_t)tresor__load_u32(bytes + 4) << 32;
}

#endif
