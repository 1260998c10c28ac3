/* SPDX-License-Identifier: MIT */
/* A file's mapping, of which parts may be unmapped: its fragments are what is still there. */
#include "compat/llama.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/allocator.h"

enum { FRAGMENTS_FIRST = 4 };

struct tresor_llama_map {
    const struct tresor__sys *sys;
    char *address;
    uint64_t size_bytes;
    uint64_t page;
    struct tresor_llama_range *fragments; /* in order, whole pages, none touches another */
    size_t count;
    size_t capacity; /* always one more than there are, so that one can be cut */
    struct tresor_error warning;
};

static struct tresor_allocator memory(void)
{
    return tresor__allocator_or_default(NULL);
}

static uint64_t round_down(const struct tresor_llama_map *map, uint64_t offset)
{
    return offset & ~(map->page - 1);
}

static uint64_t round_up(const struct tresor_llama_map *map, uint64_t offset)
{
    return round_down(map, offset + map->page - 1);
}

static uint64_t lower(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t higher(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

static int32_t out_of_memory(struct tresor_error *error)
{
    return tresor__llama_fail(
        error, &(struct tresor_error){.code = TRESOR_ERROR_NO_MEMORY, .os_errno = ENOMEM});
}

static int32_t refuse(struct tresor_error *error, int32_t code, int64_t result)
{
    return tresor__llama_fail(
        error, &(struct tresor_error){.code = code, .os_errno = (int32_t)-result});
}

static void warn(struct tresor_llama_map *map, int64_t result, uint64_t first, uint64_t last)
{
    tresor__llama_fail(&map->warning, &(struct tresor_error){.code = TRESOR_ERROR_UNSUPPORTED,
                                                             .os_errno = (int32_t)-result,
                                                             .offset = first,
                                                             .wanted = last - first});
}

/* --- what is brought in --- */

static int64_t advise(const struct tresor_llama_map *map, uint64_t first, uint64_t last,
                      enum tresor__sys_memory_advice advice)
{
    uint32_t interruptions = 0;
    int64_t result;
    do
        result = map->sys->advise_memory(map->sys->cookie, map->address + first,
                                         (size_t)(last - first), advice);
    while (tresor__llama_again(result, &interruptions));
    return result;
}

/*
 * Populated, for advice alone brings in no more than the device reads ahead. A page that the file has not got (EFAULT) is an
 * error; where the system cannot populate it is advised.
 */
static int32_t bring_in(struct tresor_llama_map *map, uint64_t first, uint64_t last,
                        const struct tresor_llama_file *file, struct tresor_error *error)
{
    struct tresor__sys_stat stat;
    first = round_down(map, first);
    last = round_up(map, last);
    int64_t result = advise(map, first, last, TRESOR__SYS_POPULATE_READ);
    if (result == 0)
        return TRESOR_OK;
    if (result == -EFAULT) {
        int64_t asked = file->sys->stat(file->sys->cookie, file->descriptor, &stat);
        bool is_shorter = asked == 0 && stat.size_bytes < map->size_bytes;
        return tresor__llama_fail(
            error, &(struct tresor_error){.code = is_shorter ? TRESOR_ERROR_TRUNCATED : TRESOR_ERROR_IO,
                                          .os_errno = EFAULT,
                                          .offset = first,
                                          .wanted = map->size_bytes,
                                          .got = is_shorter ? stat.size_bytes : 0});
    }
    result = advise(map, first, last, TRESOR__SYS_MEMORY_WILLNEED);
    if (result < 0)
        warn(map, result, first, last);
    return TRESOR_OK;
}

static int by_first(const void *one, const void *other)
{
    const struct tresor_llama_range *a = one;
    const struct tresor_llama_range *b = other;
    return (a->first > b->first) - (a->first < b->first);
}

/* All before `limit` that is in none of the ranges. */
static int32_t bring_in_between(struct tresor_llama_map *map, const struct tresor_llama_file *file,
                                const struct tresor_llama_range *lazy, size_t count, uint64_t limit,
                                struct tresor_error *error)
{
    uint64_t place = 0;
    int32_t code = TRESOR_OK;
    for (size_t i = 0; i < count && code == TRESOR_OK; i++) {
        if (lazy[i].first >= lazy[i].last)
            continue;
        uint64_t end = lower(lazy[i].first, limit);
        if (end > place)
            code = bring_in(map, place, end, file, error);
        place = higher(place, lazy[i].last);
    }
    if (code == TRESOR_OK && place < limit)
        code = bring_in(map, place, limit, file, error);
    return code;
}

static void advise_random(struct tresor_llama_map *map, uint64_t first, uint64_t last)
{
    last = lower(last, map->size_bytes);
    if (first >= last)
        return;
    first = round_down(map, first);
    last = round_up(map, last);
    int64_t result = advise(map, first, last, TRESOR__SYS_MEMORY_RANDOM);
    if (result < 0)
        warn(map, result, first, last);
}

/* The lazy ones first, so that nothing is read ahead into them. */
static int32_t prepare(struct tresor_llama_map *map, const struct tresor_llama_file *file,
                       uint64_t prefetch_bytes, bool numa, const struct tresor_llama_range *lazy,
                       size_t count, struct tresor_error *error)
{
    const struct tresor__sys *sys = map->sys;
    int64_t result =
        sys->advise_file(sys->cookie, file->descriptor, 0, 0, TRESOR__SYS_FILE_SEQUENTIAL);
    if (result < 0)
        warn(map, result, 0, map->size_bytes);
    for (size_t i = 0; i < count; i++)
        advise_random(map, lazy[i].first, lazy[i].last);
    if (!numa)
        return bring_in_between(map, file, lazy, count, lower(prefetch_bytes, map->size_bytes),
                                error);
    advise_random(map, 0, map->size_bytes);
    return TRESOR_OK;
}

/* --- open and close --- */

static void discard(struct tresor_llama_map *map)
{
    struct tresor_allocator allocator = memory();
    tresor__free(&allocator, map->fragments, map->capacity * sizeof *map->fragments);
    tresor__free(&allocator, map, sizeof *map);
}

static struct tresor_llama_map *make(const struct tresor__sys *sys)
{
    struct tresor_allocator allocator = memory();
    struct tresor_llama_map *map = tresor__allocate(&allocator, sizeof *map);
    if (!map)
        return NULL;
    map->sys = sys;
    map->capacity = FRAGMENTS_FIRST;
    map->fragments = tresor__allocate(&allocator, map->capacity * sizeof *map->fragments);
    if (map->fragments)
        return map;
    map->capacity = 0;
    discard(map);
    return NULL;
}

static int32_t map_file(struct tresor_llama_map *map, const struct tresor_llama_file *file,
                        struct tresor_error *error)
{
    const struct tresor__sys *sys = map->sys;
    void *address;
    int64_t page = sys->page_bytes(sys->cookie);
    if (page <= 0)
        return refuse(error, TRESOR_ERROR_UNSUPPORTED, page);
    map->page = (uint64_t)page;
    map->size_bytes = file->size_bytes;
    if (map->size_bytes > SIZE_MAX - map->page)
        return refuse(error, TRESOR_ERROR_MAP_REFUSED, -EOVERFLOW);
    int64_t result = sys->map(sys->cookie, TRESOR__SYS_MAP_FILE, NULL, (size_t)map->size_bytes,
                              file->descriptor, 0, &address);
    if (result < 0)
        return refuse(error, TRESOR_ERROR_MAP_REFUSED, result);
    map->address = address;
    map->fragments[map->count++] =
        (struct tresor_llama_range){0, round_up(map, map->size_bytes)};
    return TRESOR_OK;
}

/* In order, for whoever walks between them. */
static struct tresor_llama_range *sorted(const struct tresor_llama_range *ranges, size_t count)
{
    struct tresor_allocator allocator = memory();
    struct tresor_llama_range *copy = tresor__allocate(&allocator, count * sizeof *copy);
    if (copy) {
        memcpy(copy, ranges, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, by_first);
    }
    return copy;
}

int32_t tresor_llama_map_open(const struct tresor_llama_file *file, size_t prefetch_bytes,
                              bool numa, const struct tresor_llama_range *lazy, size_t lazy_count,
                              struct tresor_llama_map **map, struct tresor_error *error)
{
    struct tresor_allocator allocator = memory();
    if (!file || !map || (lazy_count > 0 && !lazy) || lazy_count > SIZE_MAX / sizeof *lazy)
        return refuse(error, TRESOR_ERROR_INVALID, -EINVAL);
    if (file->size_bytes == 0 || file->descriptor < 0)
        return refuse(error, TRESOR_ERROR_INVALID, file->descriptor < 0 ? -EBADF : -EINVAL);
    struct tresor_llama_range *copy = lazy_count > 0 ? sorted(lazy, lazy_count) : NULL;
    struct tresor_llama_map *made = lazy_count == 0 || copy ? make(file->sys) : NULL;
    int32_t code = made ? map_file(made, file, error) : out_of_memory(error);
    if (code == TRESOR_OK)
        code = prepare(made, file, prefetch_bytes, numa, copy, lazy_count, error);
    tresor__free(&allocator, copy, lazy_count * sizeof *copy);
    if (code == TRESOR_OK)
        *map = made;
    else if (made)
        tresor_llama_map_close(made, NULL);
    return code;
}

static int64_t unmap(const struct tresor_llama_map *map, uint64_t first, uint64_t last)
{
    return map->sys->unmap(map->sys->cookie, map->address + first, (size_t)(last - first));
}

int32_t tresor_llama_map_close(struct tresor_llama_map *map, struct tresor_error *error)
{
    uint64_t left = 0;
    int64_t reason = 0;
    if (!map)
        return TRESOR_OK;
    for (size_t i = 0; i < map->count; i++) {
        const struct tresor_llama_range *fragment = &map->fragments[i];
        int64_t result = unmap(map, fragment->first, fragment->last);
        if (result == 0)
            continue;
        left += fragment->last - fragment->first;
        reason = result;
    }
    discard(map);
    if (left == 0)
        return TRESOR_OK;
    return tresor__llama_fail(error, &(struct tresor_error){.code = TRESOR_ERROR_MAP_REFUSED,
                                                            .os_errno = (int32_t)-reason,
                                                            .got = left});
}

/* --- unmap --- */

static bool make_room(struct tresor_llama_map *map)
{
    struct tresor_allocator allocator = memory();
    if (map->count < map->capacity)
        return true;
    size_t old_bytes = map->capacity * sizeof *map->fragments;
    struct tresor_llama_range *grown =
        tresor__reallocate(&allocator, map->fragments, old_bytes, 2 * old_bytes);
    if (!grown)
        return false;
    map->fragments = grown;
    map->capacity *= 2;
    return true;
}

/* What is left of a fragment in place of it, which is none, one or two. */
static void cut(struct tresor_llama_map *map, size_t index, uint64_t first, uint64_t last)
{
    const struct tresor_llama_range whole = map->fragments[index];
    struct tresor_llama_range parts[2];
    size_t count = 0;
    if (whole.first < first)
        parts[count++] = (struct tresor_llama_range){whole.first, first};
    if (last < whole.last)
        parts[count++] = (struct tresor_llama_range){last, whole.last};
    struct tresor_llama_range *place = map->fragments + index;
    memmove(place + count, place + 1, (map->count - index - 1) * sizeof *place);
    memcpy(place, parts, count * sizeof *place);
    map->count += count;
    map->count--;
}

/* The room is there before anything is unmapped; the books change after. */
static int32_t unmap_piece(struct tresor_llama_map *map, size_t index, uint64_t first,
                           uint64_t last, struct tresor_error *error)
{
    if (!make_room(map))
        return out_of_memory(error);
    int64_t result = unmap(map, first, last);
    if (result < 0)
        return tresor__llama_fail(error, &(struct tresor_error){.code = TRESOR_ERROR_MAP_REFUSED,
                                                                .os_errno = (int32_t)-result,
                                                                .offset = first,
                                                                .wanted = last - first});
    cut(map, index, first, last);
    return TRESOR_OK;
}

/* From behind, so that what a cut adds is not looked at again. */
static int32_t unmap_range(struct tresor_llama_map *map, struct tresor_llama_range range,
                           struct tresor_error *error)
{
    int32_t first_code = TRESOR_OK;
    if (range.first >= range.last || range.first >= map->size_bytes)
        return TRESOR_OK;
    uint64_t first = round_up(map, range.first);
    uint64_t last = range.last >= map->size_bytes ? round_up(map, map->size_bytes)
                                                  : round_down(map, range.last);
    for (size_t i = map->count; i-- > 0;) {
        uint64_t from = higher(first, map->fragments[i].first);
        uint64_t to = lower(last, map->fragments[i].last);
        if (from >= to)
            continue;
        int32_t code = unmap_piece(map, i, from, to, first_code == TRESOR_OK ? error : NULL);
        first_code = first_code == TRESOR_OK ? code : first_code;
    }
    return first_code;
}

int32_t tresor_llama_map_unmap(struct tresor_llama_map *map,
                               const struct tresor_llama_range *ranges, size_t count,
                               struct tresor_error *error)
{
    int32_t first_code = TRESOR_OK;
    for (size_t i = 0; i < count; i++) {
        int32_t code = unmap_range(map, ranges[i], first_code == TRESOR_OK ? error : NULL);
        first_code = first_code == TRESOR_OK ? code : first_code;
    }
    return first_code;
}

/* --- what it is --- */

void *tresor_llama_map_address(const struct tresor_llama_map *map)
{
    return map->address;
}

uint64_t tresor_llama_map_size(const struct tresor_llama_map *map)
{
    return map->size_bytes;
}

size_t tresor_llama_map_fragments(const struct tresor_llama_map *map,
                                  struct tresor_llama_range *ranges, size_t capacity)
{
    size_t count = map->count < capacity ? map->count : capacity;
    if (count > 0)
        memcpy(ranges, map->fragments, count * sizeof *ranges);
    return map->count;
}

bool tresor_llama_map_warning(const struct tresor_llama_map *map, struct tresor_error *warning)
{
    *warning = map->warning;
    return map->warning.code != TRESOR_OK;
}

/* To map nothing is wrong wherever there are maps. */
bool tresor_llama_map_supported(void)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    void *address;
    return sys->map(sys->cookie, TRESOR__SYS_MAP_FILE, NULL, 0, -1, 0, &address) != -ENOSYS;
}
