/* SPDX-License-Identifier: MIT */
/* What an open model consists of, and the pure work on it that a backend runs for the source
 * machine. */
#ifndef TRESOR_SOURCE_MODEL_H
#define TRESOR_SOURCE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/allocator.h"
#include "core/facts.h"
#include "core/guard.h"
#include "core/origin.h"
#include "format/format.h"
#include "io/file.h"
#include "source/held.h"

enum {
    TRESOR__FILES_MAX = 65535, /* GGUF's split.count is 16 bits wide */
    TRESOR__WINDOW_ALIGNMENT_BYTES =
        2 * 1024 * 1024, /* a huge page, on the machines that have them */
    TRESOR__HEADER_FIRST_BYTES = 64 * 1024,
    TRESOR__HEADER_STEP_BYTES = 1024 * 1024,
    TRESOR__HEADER_MAX_BYTES = 1024 * 1024 * 1024,
    TRESOR__MAX_RATIO = 1000, /* a bomb costs no more than that many times what it took to send it; weights do with two */
};

#define TRESOR__MAX_DECODED_BYTES (UINT64_C(64) << 30)

struct tresor__model_file {
    struct tresor__origin origin;
    char *path; /* or what the origin is called, where it has none */
    uint32_t path_bytes; /* with its end */
    int descriptor;        /* -1: not open */
    int direct_descriptor; /* the same file for direct reads; -1: none */
    struct tresor__identity identity;
    struct tresor__identity seen; /* what the last STAT found */
    uint8_t *window;              /* NULL: not reserved; the scratch of swaps lies behind it */
    uint64_t window_bytes;
    uint8_t *header;       /* NULL: none */
    uint64_t header_bytes; /* reserved */
    uint64_t header_have_bytes;
    struct tresor__held held;         /* where the file is compressed */
    struct tresor__guard_range guard; /* of the window, but for its scratch */
    struct tresor__file io;
};

/** A part of a tensor that was split along its outermost dimension. */
struct tresor__slice {
    uint64_t offset_bytes; /* absolute in its file */
    uint64_t size_bytes;
    uint32_t tensor;
    uint32_t number; /* in the tensor */
};

/** The slices of one tensor; none where it is not split. */
struct tresor__split {
    uint32_t first; /* piece */
    uint32_t count;
};

/**
 * Pieces are what can be resident: first the tensors by their index, then the slices of those that were split, whose
 * own pieces only keep their numbers.
 */
struct tresor__model {
    struct tresor_allocator allocator;
    struct tresor__io *io;
    uint16_t source;
    struct tresor__model_file *files;
    uint32_t file_count; /* of the source */
    uint32_t
        file_total; /* with the file that was opened to find the others, if it is none of them */
    uint32_t file;  /* the one that is being opened, parsed or reserved */
    uint64_t max_decoded_bytes; /* of one compressed file */
    uint64_t max_ratio;         /* of them to its own size */
    bool is_mappable;    /* what it was opened from is, and none of its files is compressed */
    bool is_other_first; /* the list of files does not begin with the one that was opened */
    struct tresor__parser parser;
    struct tresor__parse_output parsed;
    struct tresor__directory directory;
    uint32_t format;                    /* enum tresor__format of the source */
    uint32_t piece_count;
    struct tresor__slice *slices; /* pieces from entry_count on; NULL: none */
    uint32_t *slice_pieces;       /* their own numbers: the list that stands for a split tensor */
    struct tresor__split *splits; /* by tensor; NULL: none is split */
    uint32_t *order;              /* pieces by (file, offset), without split tensors */
    uint32_t order_count;
    struct tresor__span *spans;         /* by piece */
    struct tresor__interval *intervals; /* of all files */
    uint32_t interval_capacity;
    uint32_t *covers; /* of all files */
    uint32_t cover_count;
    uint64_t *bits;
    uint64_t bit_words;
    uint64_t guard_words; /* of each of what all files' guards have; 0: there is no guard */
    _Atomic uint64_t *guard_replaced;
    uint64_t *guard_heard;
};

/** A model of one file, to be opened from `origin`, whose texts are copied. NO_MEMORY leaves nothing. */
int32_t tresor__model_init(struct tresor__model *model, const struct tresor_allocator *allocator,
                           struct tresor__io *io, uint16_t source, const uint64_t hash_key[2],
                           const struct tresor__origin *origin, const char *path);

/** How much of the current file is read first: of one without a header, as little as there can be. */
static inline uint64_t tresor__model_first_bytes(const struct tresor__model *model)
{
    bool has_header =
        model->parser.format != TRESOR__FORMAT_BLOB && model->format != TRESOR__FORMAT_LAYOUT;
    return has_header ? TRESOR__HEADER_FIRST_BYTES : 1;
}

/** Frees everything but descriptors and ranges, which are the machine's to give back. */
void tresor__model_free(struct tresor__model *model);

/** The file's bytes are decoded and stay in its window, whatever is resident of them. */
static inline bool tresor__model_is_held(const struct tresor__model_file *file)
{
    return file->held.is_whole;
}

/** How long the model's file is: where it is compressed, decoded. */
static inline uint64_t tresor__model_file_bytes(const struct tresor__model_file *file)
{
    return file->held.is_whole ? file->held.made_bytes : file->identity.size_bytes;
}

/** The first bytes of the file, of which its header is parsed and its metadata read. */
static inline const uint8_t *tresor__model_header(const struct tresor__model_file *file)
{
    return file->held.is_whole ? file->window : file->header;
}

/** The first file from `from` on that is not held, or the number of files. */
uint32_t tresor__model_next_plain(const struct tresor__model *model, uint32_t from);

/** What is reserved for a file: its window and, behind it, what its swaps need; or what it may be decoded to. */
static inline uint64_t tresor__model_reserved_bytes(const struct tresor__model_file *file)
{
    if (file->held.compression != TRESOR_COMPRESSION_NONE)
        return file->held.reserved_bytes;
    return file->window_bytes + TRESOR__SCRATCH_BYTES;
}

/** The first file that holds a range of addresses, or a descriptor; NULL where none does. */
struct tresor__model_file *tresor__model_range_holder(const struct tresor__model *model);
struct tresor__model_file *tresor__model_descriptor_holder(const struct tresor__model *model);

/** What open(2) answered, as an error; EINVAL is the actor's for what is no regular file. */
int32_t tresor__model_open_code(const struct tresor__model *model, int32_t os_errno);

/**
 * Parse what the current file's header window holds; once the first file is known, list the others.
 * The answer is in model->parsed. Returns 0.
 */
int64_t tresor__model_parse(struct tresor__model *model);

/** Whether the header window is that of a compressed file; then, in model->parsed, DONE or that it cannot be decoded. */
bool tresor__model_find_compression(struct tresor__model *model);

/** Decode a piece of the current file. The answer is in its `held.status`; in model->parsed, DONE or why it failed. Returns 0. */
int64_t tresor__model_decode(struct tresor__model *model);

/** After the last header: check the directory, cut the files into intervals. The answer is in
 * model->parsed. */
int64_t tresor__model_index(struct tresor__model *model);

/** The slice that a piece is; NULL where it is a tensor. */
static inline const struct tresor__slice *tresor__model_slice(const struct tresor__model *model,
                                                              uint32_t piece)
{
    return piece < model->directory.entry_count ? NULL
                                                : &model->slices[piece - model->directory.entry_count];
}

/** The tensor that a piece is, or is a slice of. */
static inline uint32_t tresor__model_tensor(const struct tresor__model *model, uint32_t piece)
{
    const struct tresor__slice *slice = tresor__model_slice(model, piece);
    return slice ? slice->tensor : piece;
}

static inline uint32_t tresor__model_file_of(const struct tresor__model *model, uint32_t piece)
{
    return model->directory.entries[tresor__model_tensor(model, piece)].file;
}

static inline uint64_t tresor__model_offset(const struct tresor__model *model, uint32_t piece)
{
    const struct tresor__slice *slice = tresor__model_slice(model, piece);
    return slice ? slice->offset_bytes : model->directory.entries[piece].offset_bytes;
}

static inline uint64_t tresor__model_size(const struct tresor__model *model, uint32_t piece)
{
    const struct tresor__slice *slice = tresor__model_slice(model, piece);
    return slice ? slice->size_bytes : model->directory.entries[piece].size_bytes;
}

/** How many pieces a tensor stands for: itself, or its slices. */
static inline uint32_t tresor__model_pieces_of(const struct tresor__model *model, uint32_t tensor)
{
    return model->splits && model->splits[tensor].count > 0 ? model->splits[tensor].count : 1;
}

/** The first of them, the others follow it. */
static inline uint32_t tresor__model_first_piece(const struct tresor__model *model, uint32_t tensor)
{
    return model->splits && model->splits[tensor].count > 0 ? model->splits[tensor].first : tensor;
}

/** The place of a piece's bytes; one without bytes may be said to lie far outside, and is in the
 * window all the same. */
static inline uint8_t *tresor__model_address(const struct tresor__model *model, uint32_t piece)
{
    const struct tresor__model_file *file = &model->files[tresor__model_file_of(model, piece)];
    uint64_t offset = tresor__model_offset(model, piece);
    return file->window + (offset <= file->window_bytes ? offset : 0);
}

#endif
