/* SPDX-License-Identifier: MIT */
#ifndef TOOL_BASE64_H
#define TOOL_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/** Characters that so many bytes make. */
static inline size_t base64_length(size_t size_bytes)
{
    return (size_bytes + 2) / 3 * 4;
}

/** Into base64_length characters, without a NUL. */
void base64_encode(const void *bytes, size_t size_bytes, char *text);

/** Bytes that a text of that length makes at the most. */
static inline size_t base64_size(size_t length)
{
    return length / 4 * 3;
}

/** False where it is not what base64_encode makes. */
bool base64_decode(const char *text, size_t length, void *bytes, size_t *size_bytes);

#endif
