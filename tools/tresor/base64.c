/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t size_bytes, char *text)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size_bytes; i += 3) {
        const size_t left = size_bytes - i;
        const uint32_t word = (uint32_t)from[i] << 16 |
                              (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                              (left > 2 ? (uint32_t)from[i + 2] : 0);
        *text++ = digits[word >> 18];
        *text++ = digits[word >> 12 & 63];
        *text++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *text++ = left > 2 ? digits[word & 63] : '=';
    }
}

/** Four characters, of which the last `pads` fill up. False where one is no digit. */
static bool word_of(const char *text, uint32_t pads, uint32_t *word)
{
    *word = 0;
    for (uint32_t i = 0; i < 4 - pads; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return false;
        *word |= (uint32_t)(digit - digits) << (18 - 6 * i);
    }
    /* What the bytes do not need is zero, so that only one text is of these bytes. */
    return (*word & ((UINT32_C(1) << 8 * pads) - 1)) == 0;
}

bool base64_decode(const char *text, size_t length, void *bytes, size_t *size_bytes)
{
    uint8_t *to = bytes;
    *size_bytes = 0;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t word;
        uint32_t pads = 0;
        if (length - i < 4)
            return false;
        if (length - i == 4)
            pads = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        if (!word_of(text + i, pads, &word))
            return false;
        for (uint32_t k = 0; k < 3 - pads; k++)
            to[(*size_bytes)++] = (uint8_t)(word >> (16 - 8 * k));
    }
    return true;
}
