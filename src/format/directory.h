/* SPDX-License-Identifier: MIT */
/*
 * What the parsers produce: the tensors and the metadata of a source, in the order of its files.
 * Storage grows with what was really parsed, never with a number that a file claims. Not
 * thread-safe: one parser at a time.
 */
#ifndef TRESOR_FORMAT_DIRECTORY_H
#define TRESOR_FORMAT_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>
#include <tresor/error.h>
#include <tresor/tensor.h>

#include "format/name_index.h"

/** The longest tensor name or metadata key; the GGUF specification's limit for keys. */
#define TRESOR__NAME_BYTES_MAX 65535

/** One tensor. `name` is offset and length of a NUL-terminated copy in the directory's strings. */
struct tresor__entry {
    uint64_t offset_bytes; /* absolute in its file */
    uint64_t size_bytes;
    uint64_t shape[TRESOR_RANK_MAX]; /* in the file's own order, see order */
    uint32_t name_offset;
    uint32_t name_length;
    uint32_t file;
    uint32_t dtype; /* enum tresor_dtype */
    uint32_t rank;
};

/**
 * One metadata value. Strings and arrays stay in the file's bytes (GGUF) or in the directory's
 * strings (decoded JSON); `in_strings` says which.
 */
struct tresor__metadata {
    uint32_t key_offset; /* NUL-terminated in the directory's strings */
    uint32_t key_length;
    uint32_t type;         /* enum tresor_metadata_type */
    uint32_t element_type; /* of an array */
    uint64_t count;        /* elements of an array, bytes of a string, else 1 */
    uint64_t offset;       /* of the value's bytes, after any length */
    uint64_t size_bytes;   /* of the value's bytes */
    bool in_strings;
};

/** One parsed file. Its tensors stand together in the directory. */
struct tresor__directory_file {
    uint64_t data_offset; /* where tensor data begins: what the file's own offsets count from */
    uint32_t first_entry;
    uint32_t entry_count;
};

/** A tensor that a safetensors index promises, and in which of shard_names. */
struct tresor__shard_tensor {
    uint32_t name_offset; /* NUL-terminated in the directory's strings */
    uint32_t name_length;
    uint32_t shard;
};

struct tresor__directory {
    struct tresor_allocator allocator;
    uint64_t hash_key[2]; /* SipHash key, so that no file can choose names that collide */

    struct tresor__entry *entries;
    uint32_t entry_count;
    uint32_t entry_capacity;
    struct tresor__name_index entry_index;

    struct tresor__metadata *metadata;
    uint32_t metadata_count;
    uint32_t metadata_capacity;
    struct tresor__name_index metadata_index;

    struct tresor__name_index
        skipped_keys; /* metadata keys of a file after the first, to find doubles */

    char *strings;
    uint32_t string_bytes;
    uint32_t string_capacity;

    struct tresor__directory_file *files;
    uint32_t file_count;
    uint32_t file_capacity;

    char **shard_names; /* files that a safetensors index names: unique, sorted by their bytes */
    uint32_t shard_count;
    uint32_t shard_capacity;

    struct tresor__shard_tensor *shard_tensors;
    uint32_t shard_tensor_count;
    uint32_t shard_tensor_capacity;

    uint32_t version;         /* of the format; of safetensors 0 */
    uint32_t shape_order;     /* enum tresor_shape_order */
    uint64_t alignment_bytes; /* of tensor data */
    uint32_t overlap_count;   /* tensors that share bytes with an earlier one */
};

void tresor__directory_init(struct tresor__directory *directory,
                            const struct tresor_allocator *allocator, const uint64_t hash_key[2]);
void tresor__directory_free(struct tresor__directory *directory);

/** Index of the tensor of that name, or TRESOR_NONE. Constant time. */
uint32_t tresor__directory_find(const struct tresor__directory *directory, const char *name,
                                size_t length);

/** Index of the metadata value of that key, or TRESOR_NONE. Constant time. */
uint32_t tresor__directory_find_metadata(const struct tresor__directory *directory, const char *key,
                                         size_t length);

/**
 * Append; TRESOR_OK, NO_MEMORY, DUPLICATE, or LIMIT for a name over TRESOR__NAME_BYTES_MAX or more
 * than 32 bits can count. Name and key are copied; the offset fields of the names are set here. A
 * failure changes nothing.
 */
int32_t tresor__directory_add(struct tresor__directory *directory,
                              const struct tresor__entry *entry, const char *name, size_t length);
int32_t tresor__directory_add_metadata(struct tresor__directory *directory,
                                       const struct tresor__metadata *metadata, const char *key,
                                       size_t length);

/** Remember a key whose value is not kept: only doubles matter. As above. */
int32_t tresor__directory_skip_key(struct tresor__directory *directory, const char *key,
                                   size_t length);

/** Forget the keys that were skipped, and their strings, which are all from `string_bytes` on. */
void tresor__directory_forget_keys(struct tresor__directory *directory, uint32_t string_bytes);

/** Copy a string, with a NUL after it. TRESOR_OK, NO_MEMORY or LIMIT. */
int32_t tresor__directory_add_string(struct tresor__directory *directory, const char *text,
                                     size_t length, uint32_t *offset);

/** Append a file whose tensors are all entries from first_entry on. TRESOR_OK, NO_MEMORY or LIMIT.
 */
int32_t tresor__directory_add_file(struct tresor__directory *directory, uint64_t data_offset,
                                   uint32_t first_entry);

/** Append what a safetensors index says. TRESOR_OK, NO_MEMORY or LIMIT. Names are copied. */
int32_t tresor__directory_add_shard(struct tresor__directory *directory, const char *name);
int32_t tresor__directory_add_shard_tensor(struct tresor__directory *directory, const char *name,
                                           size_t length, uint32_t shard);

#endif
