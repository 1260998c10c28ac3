/* SPDX-License-Identifier: MIT */
/* What an open model consists of, and the pure work on it that a backend runs for the source
 * machine. */
#ifndef TRESOR_SOURCE_MODEL_H
#define TRESOR_SOURCE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/allocator.h"
#include "core/facts.h"
#include "format/format.h"
#include "io/file.h"

enum {
    TRESOR__FILES_MAX = 65535, /* GGUF's split.count is 16 bits wide */
    TRESOR__WINDOW_ALIGNMENT_BYTES =
        2 * 1024 * 1024, /* a huge page, on the machines that have them */
    TRESOR__HEADER_FIRST_BYTES = 64 * 1024,
    TRESOR__HEADER_STEP_BYTES = 1024 * 1024,
    TRESOR__HEADER_MAX_BYTES = 1024 * 1024 * 1024,
};

struct tresor__model_file {
    char *path;
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
    struct tresor__file io;
};

struct tresor__model {
    struct tresor_allocator allocator;
    struct tresor__io *io;
    uint16_t source;
    struct tresor__model_file *files;
    uint32_t file_count; /* of the source */
    uint32_t
        file_total; /* with the file that was opened to find the others, if it is none of them */
    uint32_t file;  /* the one that is being opened, parsed or reserved */
    bool is_other_first; /* the list of files does not begin with the one that was opened */
    struct tresor__parser parser;
    struct tresor__parse_output parsed;
    struct tresor__directory directory;
    uint32_t format;                    /* enum tresor__format of the source */
    uint32_t *order;                    /* tensors by (file, offset) */
    struct tresor__span *spans;         /* by tensor */
    struct tresor__interval *intervals; /* of all files */
    uint32_t interval_capacity;
    uint32_t *covers; /* of all files */
    uint32_t cover_count;
    uint64_t *bits;
    uint64_t bit_words;
};

/** A model of one file, to be opened. NO_MEMORY leaves nothing. */
int32_t tresor__model_init(struct tresor__model *model, const struct tresor_allocator *allocator,
                           struct tresor__io *io, uint16_t source, const uint64_t hash_key[2],
                           const char *path);

/** Frees everything but descriptors and ranges, which are the machine's to give back. */
void tresor__model_free(struct tresor__model *model);

/** What is reserved for a file: its window and, behind it, what its swaps need. */
static inline uint64_t tresor__model_reserved_bytes(const struct tresor__model_file *file)
{
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

/** After the last header: check the directory, cut the files into intervals. The answer is in
 * model->parsed. */
int64_t tresor__model_index(struct tresor__model *model);

/** The place of a tensor's bytes; one without bytes may be said to lie far outside, and is in the
 * window all the same. */
static inline uint8_t *tresor__model_address(const struct tresor__model *model, uint32_t tensor)
{
    const struct tresor__entry *entry = &model->directory.entries[tensor];
    const struct tresor__model_file *file = &model->files[entry->file];
    return file->window + (entry->offset_bytes <= file->window_bytes ? entry->offset_bytes : 0);
}

#endif
