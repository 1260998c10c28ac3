/* SPDX-License-Identifier: MIT */
/* Versioned structs of the public headers: their first field is their size, and either side may be older or newer. */
#ifndef TRESOR_CORE_OPTIONS_H
#define TRESOR_CORE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/**
 * Copy a versioned option struct of the caller's into one of `known_bytes` that is zero: its first
 * field is its size. INVALID if it is too small to have one, or what this version does not know is
 * not zero.
 */
int32_t tresor__options_copy(void *known, size_t known_bytes, const void *given);

/** Copy a versioned info struct out, as much as the caller's has room for. INVALID if it has none.
 */
int32_t tresor__info_copy(void *given, const void *known, size_t known_bytes);

#endif
