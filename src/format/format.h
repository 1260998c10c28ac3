/* SPDX-License-Identifier: MIT */
/*
 * The one face of all parsers: pure functions from the first bytes of a file to directory entries.
 * A parser makes no system call, keeps no pointer into the bytes between calls, reads each byte a
 * bounded number of times, and on NEED resumes where it stopped.
 */
#ifndef TRESOR_FORMAT_FORMAT_H
#define TRESOR_FORMAT_FORMAT_H

#include <stdint.h>

#include "format/directory.h"

enum tresor__format {
    TRESOR__FORMAT_UNKNOWN = 0,
    TRESOR__FORMAT_GGUF = 1,
    TRESOR__FORMAT_SAFETENSORS = 2,
    TRESOR__FORMAT_SAFETENSORS_INDEX = 3, /* the JSON that names the shards */
    TRESOR__FORMAT_LAYOUT = 4, /* the JSON that places tensors in files, and these files, which nothing tells but that */
    TRESOR__FORMAT_BLOB = 5,   /* any file, which nothing tells but the host */
    TRESOR__FORMAT_TMAI = 6,
};

enum tresor__parse_status {
    TRESOR__PARSE_DONE = 0,
    TRESOR__PARSE_NEED = 1,   /* call again with at least need_bytes from the start of the file */
    TRESOR__PARSE_FAILED = 2, /* error says why */
};

struct tresor__parse_input {
    const uint8_t *bytes;     /* the first bytes of the file */
    uint64_t have_bytes;      /* how many; never more than file_size_bytes */
    uint64_t file_size_bytes; /* from stat */
    uint32_t file;            /* index of the file in the source */
    const char *name;         /* of a BLOB's tensor; else not used */
};

struct tresor__parse_output {
    uint32_t status;           /* enum tresor__parse_status */
    uint32_t format;           /* enum tresor__format, once known */
    uint64_t need_bytes;       /* with NEED: more than have_bytes, at most file_size_bytes */
    uint64_t header_bytes;     /* with DONE: length of the header with its padding */
    uint32_t split_index;      /* GGUF split.no, else 0 */
    uint32_t split_count;      /* GGUF split.count, else 0 */
    uint64_t split_tensors;    /* GGUF split.tensors.count, else 0 */
    struct tresor_error error; /* with FAILED: code, file, tensor, offset, wanted, got */
};

/** Where a GGUF parse stands. */
struct tresor__gguf_state {
    uint32_t phase;
    uint32_t version;
    uint64_t position; /* next unread byte */
    uint64_t tensor_count;
    uint64_t metadata_count;
    uint64_t tensors_done;
    uint64_t metadata_done;
    uint64_t array_left;   /* elements left of the array that is being walked */
    uint64_t array_offset; /* of its first element */
    uint32_t array_type;   /* enum tresor_metadata_type of its elements */
    uint32_t first_entry;  /* the file's first in the directory */
    uint32_t string_mark;  /* directory->string_bytes before the file's metadata */
    uint32_t split_index;
    uint32_t split_count;
    uint64_t split_tensors;
    uint64_t alignment_bytes;
    uint64_t data_offset;
};

/** Name of a source's format: "gguf", "safetensors" or "tmai". Static text. */
const char *tresor__format_name(uint32_t format);

/** Resumable state; zero it, then call tresor__parse until it does not say NEED. */
struct tresor__parser {
    uint32_t format; /* enum tresor__format; UNKNOWN until sniffed */
    union {
        struct tresor__gguf_state gguf;
    } state;
};

/**
 * Sniff the format, then parse with it. Files are parsed in order: `file` is directory->file_count,
 * else INVALID. All have the format of the first, else SHARD. Only the first file's metadata is
 * kept. A safetensors index or a layout comes before all files and is none of them; the parsers of a layout's files, and of a
 * blob, begin with their format. `error.offset` is where in
 * the file the cause lies; for DUPLICATE `error.tensor` is the tensor that had the name first.
 */
void tresor__parse(struct tresor__parser *parser, const struct tresor__parse_input *input,
                   struct tresor__directory *directory, struct tresor__parse_output *output);

/**
 * After all files are parsed: check what concerns tensors together. A tensor past the end of its
 * file
 * (`file_sizes_bytes[file]`) is TRUNCATED, with the size that the tensor wants and the bytes that
 * it got. GGUF overlaps are counted in directory->overlap_count; safetensors must cover their files
 * without hole or overlap, and TMAI layers with no more between them than padding, else MALFORMED. A tensor that an index promised and that is elsewhere or
 * missing is SHARD: `file` is where it should be; `tensor` is the one that is elsewhere, or NONE;
 * `wanted` is its number in directory->shard_tensors, which names it. O(n log n).
 */
int32_t tresor__directory_finish(struct tresor__directory *directory, uint32_t format,
                                 const uint64_t *file_sizes_bytes, uint32_t file_count,
                                 struct tresor_error *error);

#endif
