/* SPDX-License-Identifier: MIT */
#include "format/gguf.h"

#include "format/dtype.h"
#include "format/little_endian.h"

/* Rank, dimensions, type and offset: all of a tensor info but its name. */
static bool take_layout(struct tresor__gguf_reader *reader, struct tresor__entry *entry)
{
    const uint64_t start = reader->position;
    const uint8_t *bytes = NULL;
    if (!tresor__gguf_take_u32(reader, &entry->rank))
        return false;
    if (entry->rank > TRESOR__GGUF_RANK_MAX)
        return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, start, TRESOR__GGUF_RANK_MAX,
                                 entry->rank);
    if (!tresor__gguf_take(reader, 8 * entry->rank + 4 + 8, &bytes))
        return false;
    for (uint32_t i = 0; i < entry->rank; i++, bytes += 8)
        entry->shape[i] = tresor__load_u64(bytes);
    entry->dtype = tresor__load_u32(bytes);
    entry->offset_bytes = tresor__load_u64(bytes + 4);
    return true;
}

static bool find_size(struct tresor__gguf_reader *reader, struct tresor__entry *entry)
{
    const uint64_t start = reader->position - 8 - 4; /* of the type */
    const struct tresor__dtype *type = tresor__dtype_find(entry->dtype);
    if (!type || entry->dtype >= TRESOR__DTYPE_GGML_END)
        return tresor__gguf_fail(reader, TRESOR_ERROR_UNSUPPORTED, start, 0, entry->dtype);
    const uint64_t row = entry->rank ? entry->shape[0] : 1;
    int32_t code = tresor__dtype_size(type, entry->shape, entry->rank, row, &entry->size_bytes);
    return !code || tresor__gguf_fail(reader, code, start, type->block_elements, row);
}

bool tresor__gguf_read_tensor(struct tresor__gguf_reader *reader)
{
    const uint64_t start = reader->position;
    const char *name = NULL;
    size_t length = 0;
    struct tresor__entry entry = {.file = reader->input->file};
    if (!tresor__gguf_take_name(reader, &name, &length) || !take_layout(reader, &entry) ||
        !find_size(reader, &entry))
        return false;
    int32_t code = tresor__directory_add(reader->directory, &entry, name, length);
    if (!code)
        return true;
    if (code == TRESOR_ERROR_DUPLICATE)
        reader->tensor = tresor__directory_find(reader->directory, name, length);
    return tresor__gguf_fail(reader, code, start, 0, 0);
}

bool tresor__gguf_place_tensors(struct tresor__gguf_reader *reader)
{
    struct tresor__directory *directory = reader->directory;
    const uint64_t base = reader->state->data_offset;
    for (uint32_t i = reader->state->first_entry; i < directory->entry_count; i++) {
        struct tresor__entry *entry = &directory->entries[i];
        if (entry->offset_bytes > UINT64_MAX - base ||
            entry->size_bytes > UINT64_MAX - base - entry->offset_bytes) {
            reader->tensor = i;
            return tresor__gguf_fail(reader, TRESOR_ERROR_MALFORMED, base, entry->size_bytes,
                                     entry->offset_bytes);
        }
        entry->offset_bytes += base;
    }
    return true;
}
