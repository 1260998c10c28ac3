/* SPDX-License-Identifier: MIT */
#ifndef TOOL_NUMBERS_H
#define TOOL_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/** A decimal number with nothing before or after it; false if it is not one or does not fit. */
bool parse_u64(const char *text, uint64_t *value);

/** The same, or hexadecimal digits after "0x". */
bool parse_mask(const char *text, uint64_t *mask);

/**
 * A size: bytes, or a number with K, M, G or T for powers of 1024. A fraction needs one of these:
 * "1.5G". Fractions of a byte are dropped.
 */
bool parse_size(const char *text, uint64_t *size_bytes);

#endif
