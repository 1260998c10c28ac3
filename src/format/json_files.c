/* SPDX-License-Identifier: MIT */
#include "format/json_files.h"

#include <string.h>

#include "core/allocator.h"
#include "format/order.h"

bool tresor__json_files_fail(struct tresor__json_files *parse, int32_t code, const char *key)
{
    return tresor__json_fail(parse->input, &parse->text, parse->output, code, key);
}

bool tresor__json_is_plain_name(const json_t *value)
{
    const char *name = json_string_value(value);
    if (!name || !*name || strlen(name) != json_string_length(value))
        return false;
    return !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") && strcmp(name, "..");
}

int32_t tresor__json_files_number(struct tresor__json_files *parse, const char *name,
                                  uint32_t *number)
{
    struct tresor__directory *directory = parse->directory;
    const size_t length = strlen(name);
    const uint32_t hash = tresor__name_hash(directory->hash_key, name, length);
    *number = tresor__name_index_find(&parse->files, directory->strings, hash, name, length);
    if (*number != TRESOR_NONE)
        return TRESOR_OK;
    uint32_t offset = 0;
    int32_t code = tresor__name_index_reserve(&parse->files, &directory->allocator);
    if (!code)
        code = tresor__directory_add_string(directory, name, length, &offset);
    if (code)
        return code;
    *number = parse->files.count;
    tresor__name_index_insert(&parse->files, hash, offset, (uint32_t)length);
    return TRESOR_OK;
}

static const char *file_name(const struct tresor__json_files *parse, uint32_t number)
{
    return parse->directory->strings + parse->files.slots[number].name_offset;
}

static bool stands_before(const void *cookie, uint32_t first, uint32_t second)
{
    return strcmp(file_name(cookie, first), file_name(cookie, second)) < 0;
}

static int32_t add_shards(struct tresor__json_files *parse, const uint32_t *order, uint32_t *ranks)
{
    for (uint32_t i = 0; i < parse->files.count; i++) {
        int32_t code = tresor__directory_add_shard(parse->directory, file_name(parse, order[i]));
        if (code)
            return code;
        ranks[order[i]] = i;
    }
    return TRESOR_OK;
}

int32_t tresor__json_files_sort(struct tresor__json_files *parse, uint32_t **ranks)
{
    const struct tresor_allocator *allocator = &parse->directory->allocator;
    const uint32_t count = parse->files.count;
    uint32_t *order = NULL;
    int32_t code = tresor__order_make(allocator, count, stands_before, parse, &order);
    if (code)
        return code;
    *ranks = tresor__allocate(allocator, count * sizeof **ranks);
    code = *ranks ? add_shards(parse, order, *ranks) : TRESOR_ERROR_NO_MEMORY;
    tresor__order_free(allocator, order, count);
    if (code) {
        tresor__json_files_free_ranks(parse, *ranks);
        *ranks = NULL;
    }
    return code;
}

void tresor__json_files_free_ranks(struct tresor__json_files *parse, uint32_t *ranks)
{
    tresor__free(&parse->directory->allocator, ranks, parse->files.count * sizeof *ranks);
}
