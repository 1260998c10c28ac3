/* SPDX-License-Identifier: MIT */
/* The files of a world's model: real headers, and sizes without bytes behind them. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/model_set.h"

enum {
    DTYPE_I8 = 24,
    BIG_KEYS = 40, /* of 2000 bytes each: more than 64 KiB */
    LAST_BYTES = 64 * 1024,
    CROWD_BYTES = 32, /* of each in a crowd */
};

static struct model_set set;
static uint64_t sizes[WORLD_PARTS];

static void put_text(struct bytes *bytes, size_t length)
{
    bytes_put_u64(bytes, length);
    bytes_put_zeros(bytes, length);
    memset(bytes->data + bytes->size - length, 'x', length);
}

static void put_keys(struct bytes *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key.%u", i);
        gguf_put_key(bytes, key, 8);
        put_text(bytes, 2000);
    }
}

/* Tensors lie one after the other and share the pages where they meet. Two slices each, should they be split. */
static void make_file(const struct world_spec *spec)
{
    struct bytes *bytes = &set.parts[0].bytes;
    uint32_t count = 0;
    uint32_t keys = spec->has_big_header ? BIG_KEYS : 0;
    uint64_t offset = 0;
    snprintf(set.parts[0].path, sizeof set.parts[0].path, "/model.gguf");
    set.part_count = 1;
    while (count < WORLD_TENSORS && spec->quarters[count] > 0)
        count++;
    gguf_put_header(bytes, spec->is_broken ? 99 : 3, count + spec->crowd, keys + (spec->has_huge_header ? 1 : 0));
    put_keys(bytes, keys);
    if (spec->has_huge_header) {
        gguf_put_key(bytes, "huge", 8);
        bytes_put_u64(bytes, UINT64_C(1) << 31);
    }
    for (uint32_t i = 0; i < count + spec->crowd; i++) {
        char name[16];
        uint64_t size = i < count ? spec->quarters[i] * spec->page_bytes / 4 : CROWD_BYTES;
        const uint64_t shape[] = {size / 2, 1, 2};
        snprintf(name, sizeof name, "%u", i);
        gguf_put_tensor(bytes, name, 3, shape, DTYPE_I8, offset);
        offset += size;
    }
    bytes_pad(bytes, 32);
    sizes[0] = spec->has_huge_header ? UINT64_C(3) << 30 : bytes->size + (spec->is_cut ? offset / 2 : offset);
    bytes_put_zeros(bytes, LAST_BYTES); /* what is read first may reach behind the header */
}

void model_make_files(const struct world_spec *spec)
{
    static const struct model_tensor tensors[] = {
        {300, MODEL_NEXT, false}, {5000, MODEL_NEXT, false}, {40, MODEL_NEXT, false}};
    memset(&set, 0, sizeof set);
    if (spec->shards == 0) {
        make_file(spec);
        return;
    }
    model_set_make_shards(&set, "", tensors, spec->shards, spec->shards);
    for (uint32_t i = 0; i < set.part_count; i++)
        sizes[i] = set.parts[i].bytes.size;
}

void model_free_files(void)
{
    model_set_free(&set);
}

const char *model_opened_path(void)
{
    return model_set_path(&set);
}

uint32_t model_part_count(void)
{
    return set.part_count;
}

uint32_t model_part_of(const char *path)
{
    return (uint32_t)(model_set_part(&set, path) - set.parts);
}

const uint8_t *model_bytes(uint32_t part)
{
    return set.parts[part].bytes.data;
}

uint64_t model_size(uint32_t part)
{
    return sizes[part];
}
