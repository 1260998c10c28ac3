/* SPDX-License-Identifier: MIT */
#include "format/directory.h"

#include <string.h>

#include "core/allocator.h"

enum {
    FIRST_CAPACITY = 16,
};

/* Room for `wanted` items at least, by doubling. */
static int32_t reserve(const struct tresor_allocator *allocator, void **block, uint32_t *capacity,
                       uint64_t wanted, size_t item_bytes)
{
    if (wanted <= *capacity)
        return TRESOR_OK;
    if (wanted >= TRESOR_NONE)
        return TRESOR_ERROR_LIMIT;
    uint64_t grown = *capacity ? *capacity : FIRST_CAPACITY;
    while (grown < wanted)
        grown *= 2;
    if (grown > UINT32_MAX)
        grown = UINT32_MAX;
    void *moved =
        tresor__reallocate(allocator, *block, *capacity * item_bytes, (size_t)grown * item_bytes);
    if (!moved)
        return TRESOR_ERROR_NO_MEMORY;
    *block = moved;
    *capacity = (uint32_t)grown;
    return TRESOR_OK;
}

static int32_t reserve_string(struct tresor__directory *directory, size_t length)
{
    if (length >= UINT32_MAX)
        return TRESOR_ERROR_LIMIT;
    void *block = directory->strings;
    int32_t code = reserve(&directory->allocator, &block, &directory->string_capacity,
                           (uint64_t)directory->string_bytes + length + 1, 1);
    directory->strings = block;
    return code;
}

static uint32_t append_string(struct tresor__directory *directory, const char *text, size_t length)
{
    uint32_t offset = directory->string_bytes;
    if (length)
        memcpy(directory->strings + offset, text, length);
    directory->strings[offset + length] = '\0';
    directory->string_bytes += (uint32_t)length + 1;
    return offset;
}

/* All that can fail in adding a name; after it insert_name() cannot. */
static int32_t reserve_name(struct tresor__directory *directory, struct tresor__name_index *index,
                            const char *name, size_t length, uint32_t *hash)
{
    if (length > TRESOR__NAME_BYTES_MAX)
        return TRESOR_ERROR_LIMIT;
    *hash = tresor__name_hash(directory->hash_key, name, length);
    if (tresor__name_index_find(index, directory->strings, *hash, name, length) != TRESOR_NONE)
        return TRESOR_ERROR_DUPLICATE;
    int32_t code = reserve_string(directory, length);
    return code ? code : tresor__name_index_reserve(index, &directory->allocator);
}

static uint32_t insert_name(struct tresor__directory *directory, struct tresor__name_index *index,
                            const char *name, size_t length, uint32_t hash)
{
    uint32_t offset = append_string(directory, name, length);
    tresor__name_index_insert(index, hash, offset, (uint32_t)length);
    return offset;
}

void tresor__directory_init(struct tresor__directory *directory,
                            const struct tresor_allocator *allocator, const uint64_t hash_key[2])
{
    *directory = (struct tresor__directory){
        .allocator = tresor__allocator_or_default(allocator),
        .hash_key = {hash_key[0], hash_key[1]},
    };
}

void tresor__directory_free(struct tresor__directory *directory)
{
    const struct tresor_allocator *allocator = &directory->allocator;
    for (uint32_t i = 0; i < directory->shard_count; i++)
        tresor__free(allocator, directory->shard_names[i], strlen(directory->shard_names[i]) + 1);
    tresor__free(allocator, directory->shard_names,
                 directory->shard_capacity * sizeof *directory->shard_names);
    tresor__free(allocator, directory->shard_tensors,
                 directory->shard_tensor_capacity * sizeof *directory->shard_tensors);
    tresor__free(allocator, directory->files, directory->file_capacity * sizeof *directory->files);
    tresor__free(allocator, directory->strings, directory->string_capacity);
    tresor__free(allocator, directory->metadata,
                 directory->metadata_capacity * sizeof *directory->metadata);
    tresor__free(allocator, directory->entries,
                 directory->entry_capacity * sizeof *directory->entries);
    tresor__name_index_free(&directory->entry_index, allocator);
    tresor__name_index_free(&directory->metadata_index, allocator);
    tresor__name_index_free(&directory->skipped_keys, allocator);
    tresor__directory_init(directory, &directory->allocator, directory->hash_key);
}

static uint32_t find(const struct tresor__directory *directory,
                     const struct tresor__name_index *index, const char *name, size_t length)
{
    return tresor__name_index_find(index, directory->strings,
                                   tresor__name_hash(directory->hash_key, name, length), name,
                                   length);
}

uint32_t tresor__directory_find(const struct tresor__directory *directory, const char *name,
                                size_t length)
{
    return find(directory, &directory->entry_index, name, length);
}

uint32_t tresor__directory_find_metadata(const struct tresor__directory *directory, const char *key,
                                         size_t length)
{
    return find(directory, &directory->metadata_index, key, length);
}

int32_t tresor__directory_add(struct tresor__directory *directory,
                              const struct tresor__entry *entry, const char *name, size_t length)
{
    uint32_t hash = 0;
    int32_t code = reserve_name(directory, &directory->entry_index, name, length, &hash);
    if (code)
        return code;
    void *block = directory->entries;
    code = reserve(&directory->allocator, &block, &directory->entry_capacity,
                   (uint64_t)directory->entry_count + 1, sizeof *entry);
    directory->entries = block;
    if (code)
        return code;
    struct tresor__entry *added = &directory->entries[directory->entry_count++];
    *added = *entry;
    added->name_offset = insert_name(directory, &directory->entry_index, name, length, hash);
    added->name_length = (uint32_t)length;
    return TRESOR_OK;
}

int32_t tresor__directory_add_metadata(struct tresor__directory *directory,
                                       const struct tresor__metadata *metadata, const char *key,
                                       size_t length)
{
    uint32_t hash = 0;
    int32_t code = reserve_name(directory, &directory->metadata_index, key, length, &hash);
    if (code)
        return code;
    void *block = directory->metadata;
    code = reserve(&directory->allocator, &block, &directory->metadata_capacity,
                   (uint64_t)directory->metadata_count + 1, sizeof *metadata);
    directory->metadata = block;
    if (code)
        return code;
    struct tresor__metadata *added = &directory->metadata[directory->metadata_count++];
    *added = *metadata;
    added->key_offset = insert_name(directory, &directory->metadata_index, key, length, hash);
    added->key_length = (uint32_t)length;
    return TRESOR_OK;
}

int32_t tresor__directory_skip_key(struct tresor__directory *directory, const char *key,
                                   size_t length)
{
    uint32_t hash = 0;
    int32_t code = reserve_name(directory, &directory->skipped_keys, key, length, &hash);
    if (!code)
        insert_name(directory, &directory->skipped_keys, key, length, hash);
    return code;
}

void tresor__directory_forget_keys(struct tresor__directory *directory, uint32_t string_bytes)
{
    if (!directory->skipped_keys.count)
        return;
    tresor__name_index_clear(&directory->skipped_keys);
    directory->string_bytes = string_bytes;
}

int32_t tresor__directory_add_string(struct tresor__directory *directory, const char *text,
                                     size_t length, uint32_t *offset)
{
    int32_t code = reserve_string(directory, length);
    if (!code)
        *offset = append_string(directory, text, length);
    return code;
}

int32_t tresor__directory_add_file(struct tresor__directory *directory, uint64_t data_offset,
                                   uint32_t first_entry)
{
    void *block = directory->files;
    int32_t code = reserve(&directory->allocator, &block, &directory->file_capacity,
                           (uint64_t)directory->file_count + 1, sizeof *directory->files);
    directory->files = block;
    if (code)
        return code;
    directory->files[directory->file_count++] = (struct tresor__directory_file){
        .data_offset = data_offset,
        .first_entry = first_entry,
        .entry_count = directory->entry_count - first_entry,
    };
    return TRESOR_OK;
}

int32_t tresor__directory_add_shard(struct tresor__directory *directory, const char *name)
{
    void *block = directory->shard_names;
    int32_t code = reserve(&directory->allocator, &block, &directory->shard_capacity,
                           (uint64_t)directory->shard_count + 1, sizeof *directory->shard_names);
    directory->shard_names = block;
    if (code)
        return code;
    const size_t bytes = strlen(name) + 1;
    char *copy = tresor__allocate(&directory->allocator, bytes);
    if (!copy)
        return TRESOR_ERROR_NO_MEMORY;
    memcpy(copy, name, bytes);
    directory->shard_names[directory->shard_count++] = copy;
    return TRESOR_OK;
}

int32_t tresor__directory_add_shard_tensor(struct tresor__directory *directory, const char *name,
                                           size_t length, uint32_t shard)
{
    if (length > TRESOR__NAME_BYTES_MAX)
        return TRESOR_ERROR_LIMIT;
    void *block = directory->shard_tensors;
    int32_t code =
        reserve(&directory->allocator, &block, &directory->shard_tensor_capacity,
                (uint64_t)directory->shard_tensor_count + 1, sizeof *directory->shard_tensors);
    directory->shard_tensors = block;
    uint32_t offset = 0;
    if (!code)
        code = tresor__directory_add_string(directory, name, length, &offset);
    if (code)
        return code;
    directory->shard_tensors[directory->shard_tensor_count++] = (struct tresor__shard_tensor){
        .name_offset = offset, .name_length = (uint32_t)length, .shard = shard};
    return TRESOR_OK;
}
