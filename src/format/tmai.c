/* SPDX-License-Identifier: MIT */
/* The header and the layer descriptors of a TMAI file: one tensor of bytes for each layer. */
#include "format/tmai.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/little_endian.h"
#include "format/parse.h"

enum { LAYER_NAME_BYTES = 40 }; /* "layer.4294967295.precision" */

struct tmai_parse {
    const struct tresor__parse_input *input;
    struct tresor__directory *directory;
    struct tresor__parse_output *output;
    uint32_t layer_count;
    uint64_t data_offset;
    uint32_t tensor; /* the layer that is read, or TRESOR_NONE */
};

static bool fail(const struct tmai_parse *parse, int32_t code, uint64_t offset, uint64_t wanted,
                 uint64_t got)
{
    return tresor__parse_fail(parse->output, parse->input,
                              (struct tresor_error){.code = code,
                                                    .tensor = parse->tensor,
                                                    .offset = offset,
                                                    .wanted = wanted,
                                                    .got = got});
}

/* Whether the file has that many bytes and all of them are here. */
static bool have(const struct tmai_parse *parse, uint64_t end_bytes)
{
    const struct tresor__parse_input *input = parse->input;
    if (end_bytes > input->file_size_bytes)
        return fail(parse, TRESOR_ERROR_TRUNCATED, input->file_size_bytes, end_bytes,
                    input->file_size_bytes);
    return input->have_bytes >= end_bytes || tresor__parse_need(parse->output, input, end_bytes);
}

/* What no reader has a meaning for must be zero, so that a file which means something by it is not misread. */
static bool is_unused(const struct tmai_parse *parse, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        if (parse->input->bytes[i])
            return fail(parse, TRESOR_ERROR_MALFORMED, i, 0, parse->input->bytes[i]);
    return true;
}

static bool read_header(struct tmai_parse *parse)
{
    const uint8_t *bytes = parse->input->bytes;
    if (!have(parse, TRESOR__TMAI_HEADER_BYTES))
        return false;
    const uint32_t version = tresor__load_u32(bytes + TRESOR__TMAI_AT_VERSION);
    /* The number of the magic reads "TMAI" from its upper end; the file begins so where a writer had the other order. */
    if (memcmp(bytes, "IAMT", 4) != 0 || version != TRESOR__TMAI_VERSION)
        return fail(parse, TRESOR_ERROR_VERSION, TRESOR__TMAI_AT_VERSION, TRESOR__TMAI_VERSION,
                    version);
    parse->layer_count = tresor__load_u32(bytes + TRESOR__TMAI_AT_LAYERS);
    parse->data_offset = TRESOR__TMAI_HEADER_BYTES +
                         (uint64_t)parse->layer_count * TRESOR__TMAI_LAYER_BYTES;
    if (!memchr(bytes + TRESOR__TMAI_AT_NAME, 0, TRESOR__TMAI_NAME_BYTES))
        return fail(parse, TRESOR_ERROR_MALFORMED, TRESOR__TMAI_AT_NAME, TRESOR__TMAI_NAME_BYTES,
                    TRESOR__TMAI_NAME_BYTES);
    return is_unused(parse, TRESOR__TMAI_AT_LAYERS + 4, TRESOR__TMAI_AT_NAME) &&
           is_unused(parse, TRESOR__TMAI_AT_NAME + TRESOR__TMAI_NAME_BYTES,
                     TRESOR__TMAI_HEADER_BYTES) &&
           have(parse, parse->data_offset);
}

/* The format has one file. That comes before what its directory is asked. */
static bool begin(struct tmai_parse *parse)
{
    if (parse->input->file || parse->directory->shard_count)
        return fail(parse, TRESOR_ERROR_SHARD, 0, 0, parse->input->file);
    if (!tresor__parse_begin(parse->output, parse->input, parse->directory,
                             TRESOR_SHAPE_INNERMOST_FIRST))
        return false;
    parse->directory->version = TRESOR__TMAI_VERSION;
    parse->directory->alignment_bytes = 1; /* the format promises none */
    return true;
}

static bool add_metadata(struct tmai_parse *parse, const char *key, uint32_t type, uint64_t offset,
                         uint64_t size_bytes)
{
    const struct tresor__metadata metadata = {
        .type = type,
        .count = type == TRESOR_METADATA_STRING ? size_bytes : 1,
        .offset = offset,
        .size_bytes = size_bytes,
    };
    const int32_t code =
        tresor__directory_add_metadata(parse->directory, &metadata, key, strlen(key));
    return !code || fail(parse, code, offset, 0, 0);
}

static bool add_name(struct tmai_parse *parse)
{
    const char *name = (const char *)parse->input->bytes + TRESOR__TMAI_AT_NAME;
    return add_metadata(parse, "general.name", TRESOR_METADATA_STRING, TRESOR__TMAI_AT_NAME,
                        strlen(name));
}

static bool is_precision(uint32_t bits)
{
    return bits && bits <= 32 && !(bits & (bits - 1));
}

/* A pointer to a layer must be one to its elements, where those have several bytes. */
static bool is_whole(uint64_t bytes, uint32_t bits)
{
    return bits <= 8 || bytes % (bits / 8) == 0;
}

static bool check_layer(const struct tmai_parse *parse, const struct tresor__entry *entry,
                        uint32_t precision, uint64_t at)
{
    if (!is_precision(precision))
        return fail(parse, TRESOR_ERROR_UNSUPPORTED, at + TRESOR__TMAI_AT_PRECISION, 0, precision);
    if (!entry->size_bytes || !is_whole(entry->size_bytes, precision))
        return fail(parse, TRESOR_ERROR_MALFORMED, at + TRESOR__TMAI_AT_SIZE, precision,
                    entry->size_bytes);
    if (entry->offset_bytes < parse->data_offset || !is_whole(entry->offset_bytes, precision))
        return fail(parse, TRESOR_ERROR_MALFORMED, at + TRESOR__TMAI_AT_OFFSET,
                    parse->data_offset, entry->offset_bytes);
    return is_unused(parse, at + TRESOR__TMAI_AT_UNUSED, at + TRESOR__TMAI_LAYER_BYTES);
}

static bool add_layer(struct tmai_parse *parse, uint32_t layer)
{
    const uint64_t at = TRESOR__TMAI_HEADER_BYTES + (uint64_t)layer * TRESOR__TMAI_LAYER_BYTES;
    const uint8_t *bytes = parse->input->bytes + at;
    const uint32_t size = tresor__load_u32(bytes + TRESOR__TMAI_AT_SIZE);
    const struct tresor__entry entry = {
        .offset_bytes = tresor__load_u32(bytes + TRESOR__TMAI_AT_OFFSET),
        .size_bytes = size,
        .shape = {size},
        .rank = 1,
        .dtype = TRESOR_DTYPE_U8, /* how many bits an element has is told, not what they mean */
    };
    char name[LAYER_NAME_BYTES];
    parse->tensor = layer;
    if (!check_layer(parse, &entry, tresor__load_u32(bytes + TRESOR__TMAI_AT_PRECISION), at))
        return false;
    const int length = snprintf(name, sizeof name, "layer.%" PRIu32, layer);
    const int32_t code =
        tresor__directory_add(parse->directory, &entry, name, (size_t)length);
    if (code)
        return fail(parse, code, at, 0, 0);
    snprintf(name + length, sizeof name - (size_t)length, ".precision");
    return add_metadata(parse, name, TRESOR_METADATA_U32, at + TRESOR__TMAI_AT_PRECISION, 4);
}

static bool add_layers(struct tmai_parse *parse)
{
    for (uint32_t i = 0; i < parse->layer_count; i++)
        if (!add_layer(parse, i))
            return false;
    parse->tensor = TRESOR_NONE;
    const int32_t code = tresor__directory_add_file(parse->directory, parse->data_offset, 0);
    return !code || fail(parse, code, 0, 0, 0);
}

void tresor__tmai_parse(const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output)
{
    struct tmai_parse parse = {
        .input = input, .directory = directory, .output = output, .tensor = TRESOR_NONE};
    if (read_header(&parse) && begin(&parse) && add_name(&parse) && add_layers(&parse))
        output->header_bytes = parse.data_offset;
}
