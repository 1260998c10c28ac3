/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_BYTES 3

/** Bytes of the UTF-8 sequence that begins here, and its code point; 0 if there is none. */
static size_t take_code_point(const char *bytes, size_t size_bytes, uint32_t *code_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t first = (uint8_t)bytes[0];
    const size_t length = first < 0x80   ? 1
                          : first < 0xC0 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                                         : 4;
    if (length == 0 || length > size_bytes || first >= 0xF8)
        return 0;
    uint32_t value = length == 1 ? first : first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        const uint8_t next = (uint8_t)bytes[i];
        if ((next & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3Fu);
    }
    const bool is_surrogate = value >= 0xD800 && value < 0xE000;
    if (value < least[length] || value > 0x10FFFF || is_surrogate)
        return 0;
    *code_point = value;
    return length;
}

/** Whether a terminal shows it rather than obeys it. C1 controls are obeyed by some. */
static bool is_shown(uint32_t code_point)
{
    return code_point >= 0x20 && code_point != '\\' && !(code_point >= 0x7F && code_point < 0xA0);
}

/** One character or escape, into `shown` of at least 5 bytes. Returns the bytes that it stands for.
 */
static size_t show(const char *bytes, size_t size_bytes, char *shown, size_t *columns)
{
    uint32_t code_point = 0;
    const size_t length = take_code_point(bytes, size_bytes, &code_point);
    if (length > 0 && is_shown(code_point)) {
        memcpy(shown, bytes, length);
        shown[length] = '\0';
        *columns = 1;
        return length;
    }
    snprintf(shown, 5, "\\x%02x", (uint8_t)bytes[0]);
    *columns = 4;
    return 1;
}

size_t text_print(FILE *stream, const char *bytes, size_t size_bytes, size_t columns_max)
{
    const size_t columns_first = columns_max - 3;
    size_t columns = 0;
    size_t cut = 0; /* where "..." goes if the rest does not fit */
    char kept[32] = "";
    while (size_bytes > 0) {
        char shown[5];
        size_t width;
        const size_t length = show(bytes, size_bytes, shown, &width);
        if (columns + width > columns_max) {
            if (stream)
                fputs("...", stream);
            return cut + 3;
        }
        columns += width;
        bytes += length;
        size_bytes -= length;
        /* Held back until it is known whether the dots take its place. */
        if (columns > columns_first) {
            strcat(kept, shown);
            continue;
        }
        cut = columns;
        if (stream)
            fputs(shown, stream);
    }
    if (stream)
        fputs(kept, stream);
    return columns;
}

void text_print_padded(FILE *stream, const char *bytes, size_t size_bytes, size_t columns)
{
    const size_t printed = text_print(stream, bytes, size_bytes, columns);
    fprintf(stream, "%*s", (int)(columns - printed), "");
}

static json_t *json_of_good_bytes(const char *bytes, size_t size_bytes, bool is_key)
{
    char *good = malloc(size_bytes * REPLACEMENT_BYTES + 1);
    size_t good_bytes = 0;
    if (!good)
        return NULL;
    while (size_bytes > 0) {
        uint32_t code_point = 0;
        size_t length = take_code_point(bytes, size_bytes, &code_point);
        if (length == 0 || (is_key && code_point == 0)) {
            memcpy(good + good_bytes, REPLACEMENT, REPLACEMENT_BYTES);
            good_bytes += REPLACEMENT_BYTES;
            length = 1;
        } else {
            memcpy(good + good_bytes, bytes, length);
            good_bytes += length;
        }
        bytes += length;
        size_bytes -= length;
    }
    json_t *json = json_stringn(good, good_bytes);
    free(good);
    return json;
}

json_t *text_json(const char *bytes, size_t size_bytes)
{
    json_t *json = json_stringn(bytes, size_bytes);
    return json ? json : json_of_good_bytes(bytes, size_bytes, false);
}

json_t *text_json_key(const char *bytes, size_t size_bytes)
{
    return json_of_good_bytes(bytes, size_bytes, true);
}
