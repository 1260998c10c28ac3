/* SPDX-License-Identifier: MIT */
/* What the GGUF parser's parts share. The format:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef TRESOR_FORMAT_GGUF_H
#define TRESOR_FORMAT_GGUF_H

#include "format/parse.h"

enum {
    TRESOR__GGUF_RANK_MAX = 4,                     /* GGML_MAX_DIMS */
    TRESOR__GGUF_ALIGNMENT_DEFAULT = 32,           /* GGUF_DEFAULT_ALIGNMENT */
    TRESOR__GGUF_ALIGNMENT_MAX = 1 << 20,          /* ours */
    TRESOR__GGUF_METADATA_BYTES_MIN = 13,          /* empty key: length 8, type 4, value 1 */
    TRESOR__GGUF_TENSOR_BYTES_MIN = 8 + 4 + 4 + 8, /* empty name: length, rank, type, offset */
};

/** One call of the parser. An item is read from `position`; state takes over only what was read
 * whole. */
struct tresor__gguf_reader {
    struct tresor__gguf_state *state;
    const struct tresor__parse_input *input;
    struct tresor__directory *directory;
    struct tresor__parse_output *output;
    uint64_t position;
    uint32_t tensor; /* the one that is read, or TRESOR_NONE */
};

/** Fail at the position. Always false. */
bool tresor__gguf_fail(struct tresor__gguf_reader *reader, int32_t code, uint64_t offset,
                       uint64_t wanted, uint64_t got);

/** Whether the file has `count` more items of `item_bytes`; fails TRUNCATED if not. */
bool tresor__gguf_backed(struct tresor__gguf_reader *reader, uint64_t count, uint64_t item_bytes);

/** The next bytes, or false with NEED or FAILED. They are valid during this call of the parser. */
bool tresor__gguf_take(struct tresor__gguf_reader *reader, uint64_t size, const uint8_t **bytes);
bool tresor__gguf_take_u32(struct tresor__gguf_reader *reader, uint32_t *value);
bool tresor__gguf_take_u64(struct tresor__gguf_reader *reader, uint64_t *value);

/** A name or a key: at most TRESOR__NAME_BYTES_MAX bytes (LIMIT), none of them zero (MALFORMED). */
bool tresor__gguf_take_name(struct tresor__gguf_reader *reader, const char **name, size_t *length);

/** Read one metadata value; after the head of an array that must be walked, state->array_left is
 * not zero. */
bool tresor__gguf_read_metadata(struct tresor__gguf_reader *reader);

/** Walk on in the array. True at its end. */
bool tresor__gguf_walk_array(struct tresor__gguf_reader *reader);

/** Read one tensor info. */
bool tresor__gguf_read_tensor(struct tresor__gguf_reader *reader);

/** Make the offsets of the file's tensors absolute. */
bool tresor__gguf_place_tensors(struct tresor__gguf_reader *reader);

#endif
