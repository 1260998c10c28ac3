/* SPDX-License-Identifier: MIT */
/* The phases of a GGUF parse. Each call goes on where the last one had no more bytes. */
#include "format/gguf.h"

#include <assert.h>
#include <string.h>

#include "format/little_endian.h"

enum gguf_phase {
    PHASE_HEADER = 0,
    PHASE_METADATA,
    PHASE_ARRAY,
    PHASE_TENSORS,
    PHASE_PLACE,
    PHASE_DONE,
};

static bool read_version(struct tresor__gguf_reader *reader, const uint8_t *header)
{
    const uint32_t version = tresor__load_u32(header + 4);
    reader->state->version = version;
    if (!memcmp(header, "GGUF", 4) && (version == 2 || version == 3))
        return true;
    /* Version 1 has 32-bit counts. The other byte order swaps the version or, by some writers, the
     * magic too. */
    return tresor__gguf_fail(reader, TRESOR_ERROR_VERSION, 4, 3, version);
}

static bool read_header(struct tresor__gguf_reader *reader)
{
    struct tresor__gguf_state *state = reader->state;
    struct tresor__directory *directory = reader->directory;
    const uint8_t *header = NULL;
    if (!tresor__gguf_take(reader, 8, &header) || !read_version(reader, header))
        return false;
    if (!tresor__gguf_take_u64(reader, &state->tensor_count) ||
        !tresor__gguf_take_u64(reader, &state->metadata_count))
        return false;
    if (!tresor__gguf_backed(reader, state->metadata_count, TRESOR__GGUF_METADATA_BYTES_MIN) ||
        !tresor__gguf_backed(reader, state->tensor_count, TRESOR__GGUF_TENSOR_BYTES_MIN))
        return false;
    if (!tresor__parse_begin(reader->output, reader->input, directory,
                             TRESOR_SHAPE_INNERMOST_FIRST))
        return false;
    state->alignment_bytes = TRESOR__GGUF_ALIGNMENT_DEFAULT;
    state->first_entry = directory->entry_count;
    state->string_mark = directory->string_bytes;
    tresor__directory_forget_keys(directory, directory->string_bytes);
    state->phase = PHASE_METADATA;
    return true;
}

static bool read_metadata(struct tresor__gguf_reader *reader)
{
    struct tresor__gguf_state *state = reader->state;
    if (state->metadata_done == state->metadata_count) {
        tresor__directory_forget_keys(reader->directory, state->string_mark);
        if (!reader->input->file) {
            reader->directory->version = state->version;
            reader->directory->alignment_bytes = state->alignment_bytes;
        }
        state->phase = PHASE_TENSORS;
        return true;
    }
    if (!tresor__gguf_read_metadata(reader))
        return false;
    if (state->array_left)
        state->phase = PHASE_ARRAY;
    else
        state->metadata_done++;
    return true;
}

static bool read_array(struct tresor__gguf_reader *reader)
{
    if (!tresor__gguf_walk_array(reader))
        return false;
    reader->state->metadata_done++;
    reader->state->phase = PHASE_METADATA;
    return true;
}

static bool read_tensors(struct tresor__gguf_reader *reader)
{
    struct tresor__gguf_state *state = reader->state;
    if (state->tensors_done < state->tensor_count) {
        reader->tensor = reader->directory->entry_count;
        bool read = tresor__gguf_read_tensor(reader);
        reader->tensor = TRESOR_NONE;
        state->tensors_done += read;
        return read;
    }
    /* Skipped values at the very end may lie past what we were given. */
    if (reader->position > reader->input->have_bytes)
        return tresor__parse_need(reader->output, reader->input, reader->position);
    state->phase = PHASE_PLACE;
    return true;
}

static bool place_tensors(struct tresor__gguf_reader *reader)
{
    struct tresor__gguf_state *state = reader->state;
    const uint64_t mask = state->alignment_bytes - 1;
    assert(reader->position <= reader->input->have_bytes && mask < TRESOR__GGUF_ALIGNMENT_MAX);
    state->data_offset = (reader->position + mask) & ~mask;
    if (!tresor__gguf_place_tensors(reader))
        return false;
    int32_t code =
        tresor__directory_add_file(reader->directory, state->data_offset, state->first_entry);
    if (code)
        return tresor__gguf_fail(reader, code, reader->position, 0, 0);
    state->phase = PHASE_DONE;
    return true;
}

static bool step(struct tresor__gguf_reader *reader)
{
    switch ((enum gguf_phase)reader->state->phase) {
    case PHASE_HEADER:
        return read_header(reader);
    case PHASE_METADATA:
        return read_metadata(reader);
    case PHASE_ARRAY:
        return read_array(reader);
    case PHASE_TENSORS:
        return read_tensors(reader);
    case PHASE_PLACE:
        return place_tensors(reader);
    case PHASE_DONE:
        break;
    }
    return false;
}

/* What is left of the header at the least: asking for it at once saves the caller calls. */
static uint64_t least_end(const struct tresor__gguf_reader *reader)
{
    const struct tresor__gguf_state *state = reader->state;
    if (state->phase == PHASE_HEADER)
        return 8 + 8 + 8; /* magic and version, two counts */
    uint64_t left =
        (state->metadata_count - state->metadata_done) * TRESOR__GGUF_METADATA_BYTES_MIN +
        (state->tensor_count - state->tensors_done) * TRESOR__GGUF_TENSOR_BYTES_MIN;
    if (state->phase == PHASE_ARRAY && state->array_type == TRESOR_METADATA_STRING)
        left += state->array_left * 8;
    return state->position + left;
}

void tresor__gguf_parse(struct tresor__gguf_state *state, const struct tresor__parse_input *input,
                        struct tresor__directory *directory, struct tresor__parse_output *output)
{
    struct tresor__gguf_reader reader = {
        .state = state,
        .input = input,
        .directory = directory,
        .output = output,
        .position = state->position,
        .tensor = TRESOR_NONE,
    };
    while (step(&reader))
        state->position = reader.position;
    if (output->status == TRESOR__PARSE_NEED && output->need_bytes < least_end(&reader))
        tresor__parse_need(output, input, least_end(&reader));
    if (output->status != TRESOR__PARSE_DONE)
        return;
    /* A file without tensor data may end before the padding does. */
    output->header_bytes =
        state->data_offset < input->file_size_bytes ? state->data_offset : input->file_size_bytes;
    output->split_index = state->split_index;
    output->split_count = state->split_count;
    output->split_tensors = state->split_tensors;
}
