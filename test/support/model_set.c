/* SPDX-License-Identifier: MIT */
#include "support/model_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT_BYTES = 32,
    DTYPE_F32 = 0,
    DTYPE_I8 = 24,
    SHARDS = 3,
    INDEXED = 2,
    TENSORS_EACH = 5,
};

/* Of the parts of the small models: pages that neighbours share, none at all, many pages, one byte. */
static const uint64_t sizes[SHARDS][TENSORS_EACH] = {
    {5000, 0, 1, 70000, 300},
    {4096, 33, 140000, 0, 9000},
    {1, 12288, 64, 8191, 20000},
};

/* Of tensors of a small model: slices of several pages, of parts of one, and of no bytes. */
static uint32_t slices_of(uint64_t size_bytes)
{
    static const struct {
        uint64_t size_bytes;
        uint32_t slices;
    } rows[] = {{0, 2}, {300, 3}, {12288, 3}, {20000, 5}, {70000, 7}, {140000, 7}};
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].size_bytes == size_bytes)
            return rows[i].slices;
    return 0;
}

static struct bytes *add_part(struct model_set *set, const char *folder, const char *name)
{
    struct model_part *part = &set->parts[set->part_count++];
    snprintf(part->path, sizeof part->path, "%s/%s", folder, name);
    return &part->bytes;
}

static uint64_t align(uint64_t offset)
{
    return (offset + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
}

/* Eight bytes at a place that is a multiple of eight: splitmix64 of it. */
static uint64_t word_at(uint64_t part, uint64_t place)
{
    uint64_t value = (part << 48) + place + UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint8_t byte_at(uint64_t part, uint64_t place)
{
    uint8_t bytes[8];
    uint64_t word = word_at(part, place & ~UINT64_C(7));
    memcpy(bytes, &word, sizeof word);
    return bytes[place & 7];
}

static void put_data(struct model_set *set, uint64_t count)
{
    struct bytes *bytes = &set->parts[set->part_count - 1].bytes;
    size_t start = bytes->size;
    bytes_put_zeros(bytes, (size_t)count);
    uint64_t at = start;
    for (; at < start + count && at % 8 != 0; at++)
        bytes->data[at] = byte_at(set->part_count, at);
    for (; at + 8 <= start + count; at += 8) {
        uint64_t word = word_at(set->part_count, at);
        memcpy(bytes->data + at, &word, sizeof word);
    }
    for (; at < start + count; at++)
        bytes->data[at] = byte_at(set->part_count, at);
}

static void put_key_u16(struct bytes *bytes, const char *key, uint16_t value)
{
    gguf_put_key(bytes, key, 2);
    bytes_put_u8(bytes, (uint8_t)value);
    bytes_put_u8(bytes, (uint8_t)(value >> 8));
}

static void put_tensor(struct bytes *bytes, const char *name, const struct model_tensor *tensor,
                       uint32_t slices, uint64_t at)
{
    const uint64_t shape[] = {slices > 0 ? tensor->size_bytes / slices : tensor->size_bytes, 1,
                              slices};
    uint32_t rank = slices > 0 ? 3 : 1;
    gguf_put_tensor(bytes, name, tensor->is_scalar ? 0 : rank, shape,
                    tensor->is_scalar ? DTYPE_F32 : DTYPE_I8, at);
}

/* `slices` may be NULL: the tensors have one dimension. */
static void put_tensors(struct model_set *set, uint32_t first_name,
                        const struct model_tensor *tensors, const uint32_t *slices, uint32_t count)
{
    struct bytes *bytes = &set->parts[set->part_count - 1].bytes;
    uint64_t end = 0;
    uint64_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        uint64_t at = tensors[i].offset_bytes == MODEL_NEXT ? next : tensors[i].offset_bytes;
        uint64_t size = tensors[i].is_scalar ? 4 : tensors[i].size_bytes;
        snprintf(name, sizeof name, "%u", first_name + i);
        put_tensor(bytes, name, &tensors[i], slices ? slices[i] : 0, at);
        next = align(at + size);
        /* One without bytes may be said to be anywhere. */
        bool counts = size > 0 || tensors[i].offset_bytes == MODEL_NEXT;
        end = counts && at + size > end ? at + size : end;
    }
    bytes_pad(bytes, ALIGNMENT_BYTES);
    put_data(set, end);
}

void model_set_make_sliced(struct model_set *set, const char *folder,
                           const struct model_tensor *tensors, const uint32_t *slices,
                           uint32_t count)
{
    memset(set, 0, sizeof *set);
    struct bytes *bytes = add_part(set, folder, "model.gguf");
    gguf_put_header(bytes, 3, count, 1);
    gguf_put_key_u32(bytes, "general.alignment", ALIGNMENT_BYTES);
    put_tensors(set, 0, tensors, slices, count);
}

void model_set_make_gguf(struct model_set *set, const char *folder,
                         const struct model_tensor *tensors, uint32_t count)
{
    model_set_make_sliced(set, folder, tensors, NULL, count);
}

uint64_t model_set_data_offset(const struct model_set *set)
{
    const struct bytes *bytes = &set->parts[0].bytes;
    for (uint64_t at = 0; at < bytes->size; at += ALIGNMENT_BYTES) {
        uint64_t same = 0;
        while (same < ALIGNMENT_BYTES && at + same < bytes->size &&
               bytes->data[at + same] == byte_at(1, at + same))
            same++;
        if (same == ALIGNMENT_BYTES || at + same == bytes->size)
            return at;
    }
    return bytes->size;
}

static void make_shards(struct model_set *set, const char *folder,
                        const struct model_tensor *tensors, const uint32_t *slices, uint32_t count,
                        uint32_t shards)
{
    uint32_t each = count / shards;
    memset(set, 0, sizeof *set);
    for (uint32_t i = 0; i < shards; i++) {
        char name[MODEL_NAME_BYTES];
        snprintf(name, sizeof name, "model-%05u-of-%05u.gguf", i + 1, shards);
        struct bytes *bytes = add_part(set, folder, name);
        gguf_put_header(bytes, 3, each, 3);
        put_key_u16(bytes, "split.no", (uint16_t)i);
        put_key_u16(bytes, "split.count", (uint16_t)shards);
        gguf_put_key(bytes, "split.tensors.count", 5);
        bytes_put_u32(bytes, shards * each);
        put_tensors(set, i * each, tensors + i * each, slices ? slices + i * each : NULL, each);
    }
    set->opened = 1;
}

void model_set_make_shards(struct model_set *set, const char *folder,
                           const struct model_tensor *tensors, uint32_t count, uint32_t shards)
{
    make_shards(set, folder, tensors, NULL, count, shards);
}

static void put_safetensors(struct model_set *set, uint32_t part)
{
    char json[1024];
    uint64_t at = 0;
    size_t length = 0;
    for (uint32_t i = 0; i < TENSORS_EACH; i++) {
        uint64_t size = sizes[part][i];
        uint32_t slices = slices_of(size);
        char outer[32] = "";
        if (slices > 0)
            snprintf(outer, sizeof outer, "%u,1,", slices);
        length += (size_t)snprintf(
            json + length, sizeof json - length,
            "%s\"%u\":{\"dtype\":\"I8\",\"shape\":[%s%ju],\"data_offsets\":[%ju,%ju]}",
            i == 0 ? "{" : ",", part * TENSORS_EACH + i, outer,
            (uintmax_t)(slices > 0 ? size / slices : size), (uintmax_t)at, (uintmax_t)(at + size));
        at += size;
    }
    snprintf(json + length, sizeof json - length, "}");
    safetensors_put_header(&set->parts[set->part_count - 1].bytes, json);
    put_data(set, at);
}

static void make_index(struct model_set *set, const char *folder)
{
    char json[1024];
    size_t length = (size_t)snprintf(json, sizeof json, "{\"metadata\":{},\"weight_map\":{");
    for (uint32_t part = 0; part < INDEXED; part++) {
        char name[MODEL_NAME_BYTES];
        snprintf(name, sizeof name, "model-%05u-of-%05u.safetensors", part + 1, INDEXED);
        add_part(set, folder, name);
        put_safetensors(set, part);
        for (uint32_t i = 0; i < TENSORS_EACH; i++)
            length += (size_t)snprintf(json + length, sizeof json - length, "%s\"%u\":\"%s\"",
                                       part + i == 0 ? "" : ",", part * TENSORS_EACH + i, name);
    }
    snprintf(json + length, sizeof json - length, "}}");
    bytes_put_text(add_part(set, folder, "model.safetensors.index.json"), json);
    set->opened = INDEXED;
}

void model_set_make(struct model_set *set, enum model_kind kind, const char *folder)
{
    struct model_tensor tensors[SHARDS * TENSORS_EACH];
    uint32_t slices[SHARDS * TENSORS_EACH];
    for (uint32_t i = 0; i < SHARDS * TENSORS_EACH; i++) {
        uint64_t size = sizes[i / TENSORS_EACH][i % TENSORS_EACH];
        tensors[i] = (struct model_tensor){.size_bytes = size, .offset_bytes = MODEL_NEXT};
        slices[i] = slices_of(size);
    }
    memset(set, 0, sizeof *set);
    switch (kind) {
    case MODEL_SHARDS:
        make_shards(set, folder, tensors, slices, SHARDS * TENSORS_EACH, SHARDS);
        break;
    case MODEL_INDEX:
        make_index(set, folder);
        break;
    default:
        model_set_make_sliced(set, folder, tensors + TENSORS_EACH, slices + TENSORS_EACH,
                              TENSORS_EACH);
        break;
    }
}

void model_set_free(struct model_set *set)
{
    for (uint32_t i = 0; i < set->part_count; i++)
        bytes_free(&set->parts[i].bytes);
    set->part_count = 0;
}

const char *model_kind_name(enum model_kind kind)
{
    static const char *const names[MODEL_KINDS] = {"gguf", "shards", "index"};
    return names[kind];
}

const char *model_set_path(const struct model_set *set)
{
    return set->parts[set->opened].path;
}

const struct model_part *model_set_part(const struct model_set *set, const char *path)
{
    for (uint32_t i = 0; i < set->part_count; i++)
        if (strcmp(set->parts[i].path, path) == 0)
            return &set->parts[i];
    return NULL;
}

void model_set_write(const struct model_set *set)
{
    for (uint32_t i = 0; i < set->part_count; i++)
        temporary_write(set->parts[i].path, set->parts[i].bytes.data, set->parts[i].bytes.size);
}

void model_set_add_to(const struct model_set *set, struct fake_sys *fake)
{
    for (uint32_t i = 0; i < set->part_count; i++)
        fake_sys_add(fake, set->parts[i].path, &set->parts[i].bytes);
}
