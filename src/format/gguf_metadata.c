/* SPDX-License-Identifier: MIT */
#include "format/gguf.h"

#include <string.h>

#include "format/little_endian.h"

/* One value while it is read. */
struct gguf_value {
    const char *key;
    size_t key_length;
    const uint8_t *bytes; /* of a scalar, else NULL */
    struct tresor__metadata metadata;
};

/* Bytes of a value of fixed size, by enum tresor_metadata_type; 0 for the others. */
static const uint8_t fixed_bytes[] = {
    [TRESOR_METADATA_U8] = 1,    [TRESOR_METADATA_I8] = 1,   [TRESOR_METADATA_U16] = 2,
    [TRESOR_METADATA_I16] = 2,   [TRESOR_METADATA_U32] = 4,  [TRESOR_METADATA_I32] = 4,
    [TRESOR_METADATA_F32] = 4,   [TRESOR_METADATA_BOOL] = 1, [TRESOR_METADATA_STRING] = 0,
    [TRESOR_METADATA_ARRAY] = 0, [TRESOR_METADATA_U64] = 8,  [TRESOR_METADATA_I64] = 8,
    [TRESOR_METADATA_F64] = 8,
};

static bool take_type(struct tresor__gguf_reader *reader, uint32_t *type)
{
    const uint64_t start = reader->position;
    if (!tresor__gguf_take_u32(reader, type))
        return false;
    if (*type < sizeof fixed_bytes)
        return true;
    return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, start, TRESOR_METADATA_F64, *type);
}

/* The bytes of strings and arrays are passed by, not looked at: they need not be here yet. */
static bool skip(struct tresor__gguf_reader *reader, uint64_t count, uint64_t item_bytes)
{
    if (!tresor__gguf_backed(reader, count, item_bytes))
        return false;
    reader->position += count * item_bytes;
    return true;
}

static bool read_string(struct tresor__gguf_reader *reader, struct tresor__metadata *metadata)
{
    if (!tresor__gguf_take_u64(reader, &metadata->count))
        return false;
    metadata->offset = reader->position;
    metadata->size_bytes = metadata->count;
    return skip(reader, metadata->count, 1);
}

static bool read_array_head(struct tresor__gguf_reader *reader, struct tresor__metadata *metadata)
{
    const uint64_t start = reader->position;
    uint32_t type = 0;
    if (!take_type(reader, &type) || !tresor__gguf_take_u64(reader, &metadata->count))
        return false;
    /* The specification allows arrays of arrays; no known writer makes them and ggml's own reader
     * refuses them. */
    if (type == TRESOR_METADATA_ARRAY)
        return tresor__gguf_fail(reader, TRESOR_ERROR_UNSUPPORTED, start, 0, type);
    metadata->element_type = type;
    metadata->offset = reader->position;
    metadata->size_bytes = metadata->count * fixed_bytes[type];
    const bool walked = type == TRESOR_METADATA_STRING || type == TRESOR_METADATA_BOOL;
    if (!walked)
        return skip(reader, metadata->count, fixed_bytes[type]);
    return tresor__gguf_backed(reader, metadata->count, type == TRESOR_METADATA_STRING ? 8 : 1);
}

static bool read_scalar(struct tresor__gguf_reader *reader, struct gguf_value *value)
{
    struct tresor__metadata *metadata = &value->metadata;
    metadata->count = 1;
    metadata->offset = reader->position;
    metadata->size_bytes = fixed_bytes[metadata->type];
    if (!tresor__gguf_take(reader, metadata->size_bytes, &value->bytes))
        return false;
    if (metadata->type == TRESOR_METADATA_BOOL && value->bytes[0] > 1)
        return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, metadata->offset, 1,
                                 value->bytes[0]);
    return true;
}

static bool read_value(struct tresor__gguf_reader *reader, struct gguf_value *value)
{
    switch (value->metadata.type) {
    case TRESOR_METADATA_STRING:
        return read_string(reader, &value->metadata);
    case TRESOR_METADATA_ARRAY:
        return read_array_head(reader, &value->metadata);
    default:
        return read_scalar(reader, value);
    }
}

/* An integer of any type that is not negative and at most `most`. */
static bool as_integer(const struct gguf_value *value, uint64_t most, uint64_t *integer)
{
    uint64_t bits = 0;
    if (!value->bytes)
        return false;
    for (uint64_t i = value->metadata.size_bytes; i-- > 0;)
        bits = bits << 8 | value->bytes[i];
    uint64_t most_of_type = UINT64_MAX;
    switch (value->metadata.type) {
    case TRESOR_METADATA_U8:
    case TRESOR_METADATA_U16:
    case TRESOR_METADATA_U32:
    case TRESOR_METADATA_U64:
        break;
    case TRESOR_METADATA_I8:
        most_of_type = INT8_MAX;
        break;
    case TRESOR_METADATA_I16:
        most_of_type = INT16_MAX;
        break;
    case TRESOR_METADATA_I32:
        most_of_type = INT32_MAX;
        break;
    case TRESOR_METADATA_I64:
        most_of_type = INT64_MAX;
        break;
    default:
        return false;
    }
    *integer = bits;
    return bits <= most && bits <= most_of_type;
}

static bool has_key(const struct gguf_value *value, const char *key)
{
    return value->key_length == strlen(key) && !memcmp(value->key, key, value->key_length);
}

static bool is_alignment(uint64_t value)
{
    return value && value <= TRESOR__GGUF_ALIGNMENT_MAX && !(value & (value - 1));
}

/* The keys that tell about the file itself. */
static bool use_value(struct tresor__gguf_reader *reader, const struct gguf_value *value)
{
    struct tresor__gguf_state *state = reader->state;
    uint64_t integer = 0;
    bool good = true;
    if (has_key(value, "general.alignment")) {
        good = value->metadata.type == TRESOR_METADATA_U32 &&
               as_integer(value, UINT32_MAX, &integer) && is_alignment(integer);
        state->alignment_bytes = integer;
    } else if (has_key(value, "split.no")) {
        good = as_integer(value, UINT32_MAX, &integer);
        state->split_index = (uint32_t)integer;
    } else if (has_key(value, "split.count")) {
        good = as_integer(value, UINT32_MAX, &integer);
        state->split_count = (uint32_t)integer;
    } else if (has_key(value, "split.tensors.count")) {
        good = as_integer(value, UINT64_MAX, &integer);
        state->split_tensors = integer;
    }
    if (good)
        return true;
    return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, value->metadata.offset, 0, integer);
}

static int32_t add_value(struct tresor__gguf_reader *reader, const struct gguf_value *value)
{
    if (reader->input->file)
        return tresor__directory_skip_key(reader->directory, value->key, value->key_length);
    return tresor__directory_add_metadata(reader->directory, &value->metadata, value->key,
                                          value->key_length);
}

bool tresor__gguf_read_metadata(struct tresor__gguf_reader *reader)
{
    const uint64_t start = reader->position;
    struct tresor__gguf_state *state = reader->state;
    struct gguf_value value = {0};
    struct tresor__metadata *metadata = &value.metadata;
    if (!tresor__gguf_take_name(reader, &value.key, &value.key_length) ||
        !take_type(reader, &metadata->type) || !read_value(reader, &value) ||
        !use_value(reader, &value))
        return false;
    int32_t code = add_value(reader, &value);
    if (code)
        return tresor__gguf_fail(reader, code, start, 0, 0);
    if (metadata->type == TRESOR_METADATA_ARRAY && reader->position == metadata->offset) {
        state->array_left = metadata->count;
        state->array_type = metadata->element_type;
        state->array_offset = metadata->offset;
    }
    return true;
}

/*
 * Hop from length to length. This is where most of the time of a large header goes: each hop waits
 * for the load of the one before, so nothing but that load and one addition is in its way.
 */
static void hop_strings(struct tresor__gguf_reader *reader)
{
    uint64_t left = reader->state->array_left;
    if (reader->position < reader->input->have_bytes) {
        const uint8_t *at = reader->input->bytes + reader->position;
        const uint8_t *const end = reader->input->bytes + reader->input->have_bytes;
        for (; left && end - at >= 8; left--) {
            const uint8_t *const text = at + 8;
            const uint64_t length = tresor__load_u64(at);
            if (length > (uint64_t)(end - text))
                break;
            at = text + length;
        }
        reader->position = (uint64_t)(at - reader->input->bytes);
    }
    reader->state->position = reader->position;
    reader->state->array_left = left;
}

static bool walk_strings(struct tresor__gguf_reader *reader)
{
    hop_strings(reader);
    if (!reader->state->array_left)
        return true;
    /* The next string ends past what we have: say by how much. Only it is looked at, so that a cut array ends at the
     * same string whatever was here at once. */
    uint64_t length = 0;
    const uint8_t *bytes = NULL;
    return tresor__gguf_take_u64(reader, &length) && tresor__gguf_take(reader, length, &bytes);
}

static bool walk_bools(struct tresor__gguf_reader *reader)
{
    struct tresor__gguf_state *state = reader->state;
    const uint64_t have = reader->input->have_bytes;
    for (; state->array_left && reader->position < have; state->array_left--) {
        const uint8_t value = reader->input->bytes[reader->position];
        if (value > 1)
            return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, reader->position, 1, value);
        reader->position++;
    }
    state->position = reader->position;
    return !state->array_left ||
           tresor__parse_need(reader->output, reader->input, reader->position + state->array_left);
}

bool tresor__gguf_walk_array(struct tresor__gguf_reader *reader)
{
    const struct tresor__gguf_state *state = reader->state;
    const bool done =
        state->array_type == TRESOR_METADATA_STRING ? walk_strings(reader) : walk_bools(reader);
    /* The value was added when its head was read; only now is its size known. */
    if (done && !reader->input->file)
        reader->directory->metadata[reader->directory->metadata_count - 1].size_bytes =
            reader->position - state->array_offset;
    return done;
}
