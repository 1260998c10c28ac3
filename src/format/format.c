/* SPDX-License-Identifier: MIT */
#include "format/format.h"

#include <string.h>

#include "format/parse.h"

enum {
    MAGIC_BYTES = 4,
    SNIFF_BYTES = 9, /* the length of a safetensors header and its first byte */
};

/* The other is what a writer of the other byte order makes of it; the parsers say VERSION. */
static bool has_magic(const struct tresor__parse_input *input, const char *magic, const char *other)
{
    return input->have_bytes >= MAGIC_BYTES && (!memcmp(input->bytes, magic, MAGIC_BYTES) ||
                                                !memcmp(input->bytes, other, MAGIC_BYTES));
}

/*
 * A header length that safetensors allows has zeros in its upper half. JSON text has no zero bytes:
 * this is what tells a header of 123 bytes, whose length begins with '{', from an index.
 */
static bool has_short_length(const struct tresor__parse_input *input)
{
    for (uint64_t i = 4; i < 8 && i < input->have_bytes; i++)
        if (input->bytes[i])
            return false;
    return true;
}

static uint32_t sniff(const struct tresor__parse_input *input)
{
    if (has_magic(input, "GGUF", "FUGG"))
        return TRESOR__FORMAT_GGUF;
    if (has_magic(input, "IAMT", "TMAI"))
        return TRESOR__FORMAT_TMAI;
    if (input->have_bytes < SNIFF_BYTES)
        return TRESOR__FORMAT_UNKNOWN;
    if (input->bytes[0] == '{' && !has_short_length(input))
        return TRESOR__FORMAT_SAFETENSORS_INDEX;
    if (input->bytes[8] == '{')
        return TRESOR__FORMAT_SAFETENSORS;
    return TRESOR__FORMAT_UNKNOWN;
}

static void refuse(const struct tresor__parse_input *input, struct tresor__parse_output *output)
{
    struct tresor_error error = {.code = TRESOR_ERROR_FORMAT, .tensor = TRESOR_NONE};
    if (input->file_size_bytes < SNIFF_BYTES && has_short_length(input)) {
        /* It can be the beginning of something. */
        error.code = TRESOR_ERROR_TRUNCATED;
        error.wanted = SNIFF_BYTES;
        error.got = input->file_size_bytes;
    }
    tresor__parse_fail(output, input, error);
}

const char *tresor__format_name(uint32_t format)
{
    static const char *const names[] = {
        [TRESOR__FORMAT_UNKNOWN] = "unknown",
        [TRESOR__FORMAT_GGUF] = "gguf",
        [TRESOR__FORMAT_SAFETENSORS] = "safetensors",
        [TRESOR__FORMAT_SAFETENSORS_INDEX] = "safetensors",
        [TRESOR__FORMAT_LAYOUT] = "layout",
        [TRESOR__FORMAT_BLOB] = "blob",
        [TRESOR__FORMAT_TMAI] = "tmai",
    };
    return format < sizeof names / sizeof names[0] ? names[format] : names[0];
}

void tresor__parse(struct tresor__parser *parser, const struct tresor__parse_input *input,
                   struct tresor__directory *directory, struct tresor__parse_output *output)
{
    *output = (struct tresor__parse_output){0};
    if (!parser->format)
        parser->format = sniff(input);
    output->format = parser->format;
    switch (parser->format) {
    case TRESOR__FORMAT_GGUF:
        tresor__gguf_parse(&parser->state.gguf, input, directory, output);
        return;
    case TRESOR__FORMAT_BLOB:
        tresor__blob_parse(input, directory, output);
        return;
    case TRESOR__FORMAT_LAYOUT:
        tresor__layout_file_parse(input, directory, output);
        return;
#ifdef TRESOR__SAFETENSORS
    case TRESOR__FORMAT_SAFETENSORS:
        tresor__safetensors_parse(input, directory, output);
        return;
    case TRESOR__FORMAT_SAFETENSORS_INDEX:
        tresor__safetensors_index_parse(input, directory, output);
        return;
#endif
    case TRESOR__FORMAT_TMAI:
        tresor__tmai_parse(input, directory, output);
        return;
    default:
        if (input->have_bytes < SNIFF_BYTES && input->have_bytes < input->file_size_bytes)
            tresor__parse_need(output, input, SNIFF_BYTES);
        else
            refuse(input, output);
    }
}
