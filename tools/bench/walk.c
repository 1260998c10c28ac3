/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tresor/tresor.h>

#include "loading.h"
#include "measure.h"
#include "models.h"

/* Names like blk.12.attn_q.weight: so much of them is that of the layer; 0 where it is in none. */
static size_t layer_bytes(const struct tresor_tensor_info *info)
{
    static const char prefix[] = "blk.";
    size_t length = sizeof prefix - 1;
    if (info->name_bytes <= length || memcmp(info->name, prefix, length) != 0)
        return 0;
    const char *end = memchr(info->name + length, '.', info->name_bytes - length);
    return end ? (size_t)(end - info->name) + 1 : 0;
}

static bool in_one_layer(const struct tresor_tensor_info *one, const struct tresor_tensor_info *other)
{
    size_t length = layer_bytes(one);
    return length > 0 && length == layer_bytes(other) && memcmp(one->name, other->name, length) == 0;
}

static void add(struct walk *walk, const struct tresor_tensor_info *info, uint32_t tensor,
                bool begins_step)
{
    if (begins_step)
        walk->firsts[walk->step_count++] = tensor;
    walk->ranges[tensor] = (struct range){.offset_bytes = info->offset_bytes,
                                          .size_bytes = info->tensor_bytes,
                                          .tensor = tensor};
    walk->firsts[walk->step_count] = tensor + 1;
    walk->total_bytes += info->tensor_bytes;
}

void walk_of_model(struct walk *walk, const char *path, bool by_layer)
{
    struct tresor_source_info source = {.size_bytes = sizeof source};
    struct tresor_tensor_info before = {.size_bytes = sizeof before};
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    struct loading loading;
    loading_open(&loading, path, NULL);
    if (tresor_source_get_info(loading.context, loading.source, &source) != TRESOR_OK)
        give_up("%s cannot be asked about", path);
    *walk = (struct walk){.ranges = calloc(source.tensor_count, sizeof *walk->ranges),
                          .firsts = calloc(source.tensor_count + 1, sizeof *walk->firsts)};
    if (!walk->ranges || !walk->firsts)
        give_up("no memory");
    for (uint32_t i = 0; i < source.tensor_count; i++) {
        if (tresor_source_get_tensor(loading.context, loading.source, i, &info) != TRESOR_OK)
            give_up("%s: a tensor cannot be asked about", path);
        add(walk, &info, i, i == 0 || !by_layer || !in_one_layer(&before, &info));
        before = info;
    }
    loading_close(&loading);
}

void walk_release(struct walk *walk)
{
    free(walk->ranges);
    free(walk->firsts);
}

void walk_sum(const void *bytes, size_t size_bytes)
{
    static volatile uint64_t sink; /* or nothing would be read */
    const char *next = bytes;
    uint64_t sum = 0;
    uint64_t word;
    size_t left = size_bytes;
    for (; left >= sizeof word; left -= sizeof word, next += sizeof word) {
        memcpy(&word, next, sizeof word);
        sum += word;
    }
    for (; left > 0; left--)
        sum += (unsigned char)*next++;
    sink = sink + sum;
}

void mapped_open(struct mapped *mapped, const char *path, bool is_sequential)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    mapped->size_bytes = models_bytes(path);
    mapped->bytes = mmap(NULL, mapped->size_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapped->bytes == MAP_FAILED)
        give_up("%s cannot be mapped: %s", path, strerror(errno));
    if (is_sequential) {
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
        madvise(mapped->bytes, mapped->size_bytes, MADV_SEQUENTIAL);
    }
    close(descriptor);
}

void mapped_close(struct mapped *mapped)
{
    munmap(mapped->bytes, mapped->size_bytes);
}

/* What adjoins is one call, as a layer is. */
static uint64_t joined_bytes(const struct range *ranges, uint32_t count, uint32_t *joined)
{
    uint64_t end = ranges[0].offset_bytes + ranges[0].size_bytes;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    *joined = 1;
    while (*joined < count && ranges[*joined].offset_bytes >= end &&
           ranges[*joined].offset_bytes - end < page_bytes) {
        end = ranges[*joined].offset_bytes + ranges[*joined].size_bytes;
        (*joined)++;
    }
    return end - ranges[0].offset_bytes;
}

void mapped_advise(const struct mapped *mapped, const struct range *ranges, uint32_t count)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint32_t joined;
    for (uint32_t i = 0; i < count; i += joined) {
        uint64_t into = ranges[i].offset_bytes % page_bytes;
        uint64_t size_bytes = joined_bytes(&ranges[i], count - i, &joined) + into;
        madvise(mapped->bytes + ranges[i].offset_bytes - into, size_bytes, MADV_WILLNEED);
    }
}

void mapped_sum(const struct mapped *mapped, const struct range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        walk_sum(mapped->bytes + ranges[i].offset_bytes, ranges[i].size_bytes);
}
