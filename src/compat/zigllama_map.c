/* SPDX-License-Identifier: MIT */
#include "compat/zigllama.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compat/failure.h"
#include "core/allocator.h"
#include "core/options.h"

enum {
    PROTECTIONS = TRESOR_ZIGLLAMA_READ | TRESOR_ZIGLLAMA_WRITE | TRESOR_ZIGLLAMA_EXECUTE,
    FLAGS = TRESOR_ZIGLLAMA_SHARED | TRESOR_ZIGLLAMA_PRIVATE | TRESOR_ZIGLLAMA_POPULATE |
            TRESOR_ZIGLLAMA_HUGE,
};

/* --- making them --- */

/* Nothing is both written and executed, and what cannot be read is of no use here. */
static bool is_allowed(uint32_t protection, uint32_t flags)
{
    uint32_t both = TRESOR_ZIGLLAMA_SHARED | TRESOR_ZIGLLAMA_PRIVATE;
    uint32_t risky = TRESOR_ZIGLLAMA_WRITE | TRESOR_ZIGLLAMA_EXECUTE;
    return !(protection & ~(uint32_t)PROTECTIONS) && !(flags & ~(uint32_t)FLAGS) &&
           protection & TRESOR_ZIGLLAMA_READ && (protection & risky) != risky &&
           (flags & both) != both;
}

static uint32_t view_flags(uint32_t protection, uint32_t flags)
{
    return (protection & TRESOR_ZIGLLAMA_READ ? TRESOR__SYS_VIEW_READ : 0) |
           (protection & TRESOR_ZIGLLAMA_WRITE ? TRESOR__SYS_VIEW_WRITE : 0) |
           (protection & TRESOR_ZIGLLAMA_EXECUTE ? TRESOR__SYS_VIEW_EXECUTE : 0) |
           (flags & TRESOR_ZIGLLAMA_SHARED ? TRESOR__SYS_VIEW_SHARED : 0);
}

static struct tresor_zigllama_map *make(const struct tresor_allocator *given,
                                        struct tresor_error *error)
{
    struct tresor_allocator allocator = tresor__allocator_or_default(given);
    struct tresor_zigllama_map *map = tresor__allocate(&allocator, sizeof *map);
    if (!map) {
        tresor__fail(error, TRESOR_ERROR_NO_MEMORY, 0, sizeof *map, 0);
        return NULL;
    }
    map->allocator = allocator;
    map->view.descriptor = -1;
    return map;
}

static void free_map(struct tresor_zigllama_map *map)
{
    struct tresor_allocator allocator = map->allocator;
    tresor__free(&allocator, map, sizeof *map);
}

/* Of what is not finished nobody has an address, so an unmap that is refused is all that can be done. */
static int32_t give(int32_t code, struct tresor_zigllama_map *made, struct tresor_zigllama_map **map)
{
    if (code == TRESOR_OK) {
        *map = made;
        return code;
    }
    if (tresor__view_close(&made->view, NULL) != TRESOR_OK)
        tresor__view_close_file(&made->view);
    free_map(made);
    return code;
}

/* It is a wish: where it is refused, small pages do. */
static void wish_huge(struct tresor_zigllama_map *map, enum tresor__sys_memory_advice advice)
{
    bool is_taken =
        tresor__view_advise(&map->view, 0, map->view.length_bytes, advice, NULL) == TRESOR_OK;
    map->huge = is_taken ? TRESOR_ZIGLLAMA_HUGE_ADVISED : TRESOR_ZIGLLAMA_HUGE_NONE;
}

static int32_t open_and_map(struct tresor_zigllama_map *map, const struct tresor__sys *sys,
                            const char *path, uint32_t protection, uint32_t flags,
                            struct tresor_error *error)
{
    int32_t code =
        tresor__view_open(&map->view, sys, path, view_flags(protection, flags), error);
    if (code == TRESOR_OK && map->view.length_bytes == 0)
        code = tresor__fail(error, TRESOR_ERROR_TRUNCATED, 0, 1, 0);
    if (code == TRESOR_OK)
        code = tresor__view_map(&map->view, error);
    if (code == TRESOR_OK && flags & TRESOR_ZIGLLAMA_HUGE)
        wish_huge(map, TRESOR__SYS_HUGE_READS);
    if (code == TRESOR_OK && flags & TRESOR_ZIGLLAMA_POPULATE)
        code = tresor__view_populate(&map->view, error);
    return code;
}

int32_t tresor__zigllama_map_file(const struct tresor__sys *sys, const char *path,
                                  uint32_t protection, uint32_t flags,
                                  const struct tresor_allocator *allocator,
                                  struct tresor_zigllama_map **map, struct tresor_error *error)
{
    if (map)
        *map = NULL;
    if (!map || !path || !is_allowed(protection, flags))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_zigllama_map *made = make(allocator, error);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    return give(open_and_map(made, sys, path, protection, flags, error), made, map);
}

int32_t tresor_zigllama_map_file(const char *path, uint32_t protection, uint32_t flags,
                                 const struct tresor_allocator *allocator,
                                 struct tresor_zigllama_map **map, struct tresor_error *error)
{
    return tresor__zigllama_map_file(tresor__sys_posix(), path, protection, flags, allocator, map,
                                     error);
}

/* The pool is empty unless somebody filled it. */
static int32_t make_fresh(struct tresor_zigllama_map *map, const struct tresor__sys *sys,
                          uint64_t size_bytes, uint32_t protection, uint32_t flags,
                          struct tresor_error *error)
{
    uint32_t wanted = view_flags(protection, flags);
    int32_t code = TRESOR_ERROR_MAP_REFUSED;
    if (flags & TRESOR_ZIGLLAMA_HUGE)
        code = tresor__view_make(&map->view, sys, size_bytes, wanted | TRESOR__SYS_VIEW_HUGE_POOL,
                                 NULL);
    if (code == TRESOR_OK) {
        map->huge = TRESOR_ZIGLLAMA_HUGE_POOL;
    } else {
        code = tresor__view_make(&map->view, sys, size_bytes, wanted, error);
        if (code == TRESOR_OK && flags & TRESOR_ZIGLLAMA_HUGE)
            wish_huge(map, TRESOR__SYS_HUGE_PAGES);
    }
    if (code == TRESOR_OK && flags & TRESOR_ZIGLLAMA_POPULATE)
        code = tresor__view_populate(&map->view, error);
    return code;
}

int32_t tresor__zigllama_map_anonymous(const struct tresor__sys *sys, uint64_t size_bytes,
                                       uint32_t protection, uint32_t flags,
                                       const struct tresor_allocator *allocator,
                                       struct tresor_zigllama_map **map,
                                       struct tresor_error *error)
{
    if (map)
        *map = NULL;
    if (!map || size_bytes == 0 || !is_allowed(protection, flags))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_zigllama_map *made = make(allocator, error);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    return give(make_fresh(made, sys, size_bytes, protection, flags, error), made, map);
}

int32_t tresor_zigllama_map_anonymous(uint64_t size_bytes, uint32_t protection, uint32_t flags,
                                      const struct tresor_allocator *allocator,
                                      struct tresor_zigllama_map **map, struct tresor_error *error)
{
    return tresor__zigllama_map_anonymous(tresor__sys_posix(), size_bytes, protection, flags,
                                          allocator, map, error);
}

int32_t tresor__zigllama_end_map(struct tresor_zigllama_map **map, struct tresor_error *error)
{
    int32_t code = tresor__view_close(&(*map)->view, error);
    if (code != TRESOR_OK)
        return code;
    free_map(*map);
    *map = NULL;
    return TRESOR_OK;
}

int32_t tresor_zigllama_unmap(struct tresor_zigllama_map **map, struct tresor_error *error)
{
    if (!map || !*map)
        return TRESOR_OK;
    if ((*map)->is_mappers)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    return tresor__zigllama_end_map(map, error);
}

/* --- what is done with their pages --- */

/* The numbers that say why. */
static int32_t fail_lock(const struct tresor_zigllama_map *map, int64_t result,
                         struct tresor_error *error)
{
    const struct tresor__sys *sys = map->view.sys;
    bool is_limit = result == -ENOMEM || result == -EAGAIN || result == -EPERM;
    uint64_t limit = 0;
    uint64_t locked = 0;
    if (!is_limit)
        return tresor__fail_call(error, result, TRESOR_ERROR_LOCK_LIMIT);
    sys->lock_limit(sys->cookie, &limit);
    sys->locked(sys->cookie, &locked);
    tresor__fail(error, TRESOR_ERROR_LOCK_LIMIT, (int32_t)-result, map->view.map_bytes, limit);
    if (error)
        error->offset = locked;
    return TRESOR_ERROR_LOCK_LIMIT;
}

int32_t tresor_zigllama_lock(struct tresor_zigllama_map *map, struct tresor_error *error)
{
    int64_t result = 0;
    if (!map)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    const struct tresor__view *view = &map->view;
    if (map->is_locked)
        return TRESOR_OK;
    TRESOR__RETRY(result, view->sys->lock(view->sys->cookie, view->address, view->map_bytes));
    map->is_locked = result >= 0;
    map->lock_code = TRESOR_OK;
    if (result >= 0)
        return TRESOR_OK;
    /* A lock that failed may have locked a part. */
    view->sys->unlock(view->sys->cookie, view->address, view->map_bytes);
    map->lock_code = fail_lock(map, result, error);
    return map->lock_code;
}

int32_t tresor_zigllama_unlock(struct tresor_zigllama_map *map, struct tresor_error *error)
{
    int64_t result = 0;
    if (!map)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    const struct tresor__view *view = &map->view;
    if (!map->is_locked)
        return TRESOR_OK;
    TRESOR__RETRY(result, view->sys->unlock(view->sys->cookie, view->address, view->map_bytes));
    if (result < 0)
        return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
    map->is_locked = false;
    return TRESOR_OK;
}

int32_t tresor_zigllama_prefault(struct tresor_zigllama_map *map, struct tresor_error *error)
{
    return map ? tresor__view_populate(&map->view, error)
               : tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
}

static bool would_lose(const struct tresor__view *view)
{
    bool is_private_writable =
        view->flags & TRESOR__SYS_VIEW_WRITE && !(view->flags & TRESOR__SYS_VIEW_SHARED);
    return view->descriptor < 0 || is_private_writable;
}

int32_t tresor_zigllama_advise(struct tresor_zigllama_map *map, uint32_t advice,
                               struct tresor_error *error)
{
    static const enum tresor__sys_memory_advice advices[] = {
        [TRESOR_ADVICE_NORMAL] = TRESOR__SYS_MEMORY_NORMAL,
        [TRESOR_ADVICE_SEQUENTIAL] = TRESOR__SYS_MEMORY_SEQUENTIAL,
        [TRESOR_ADVICE_RANDOM] = TRESOR__SYS_MEMORY_RANDOM,
        [TRESOR_ADVICE_WILLNEED] = TRESOR__SYS_MEMORY_WILLNEED,
        [TRESOR_ADVICE_DONTNEED] = TRESOR__SYS_MEMORY_DONTNEED,
    };
    if (!map || advice > TRESOR_ADVICE_DONTNEED ||
        (advice == TRESOR_ADVICE_DONTNEED && would_lose(&map->view)))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    return tresor__view_advise(&map->view, 0, map->view.map_bytes, advices[advice], error);
}

int32_t tresor_zigllama_sync(struct tresor_zigllama_map *map, int32_t is_waited,
                             struct tresor_error *error)
{
    if (!map)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    const struct tresor__view *view = &map->view;
    if (view->descriptor < 0 || !(view->flags & TRESOR__SYS_VIEW_WRITE))
        return TRESOR_OK;
    if (!(view->flags & TRESOR__SYS_VIEW_SHARED))
        return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, 0, 0, 0);
    int64_t result = view->sys->sync_memory(view->sys->cookie, view->address, view->map_bytes,
                                            is_waited != 0);
    return result < 0 ? tresor__fail_call(error, result, TRESOR_ERROR_IO) : TRESOR_OK;
}

/* --- slices --- */

static bool is_power_of_two(uint64_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

/* Whether both, and with them all between, can be had. */
static int32_t find(const struct tresor_zigllama_map *map, uint64_t offset, uint64_t count,
                    uint64_t element_bytes, uint64_t alignment_bytes, void **data,
                    struct tresor_error *error)
{
    uint64_t bytes;
    uint64_t end;
    if (!map || !data || element_bytes == 0 || !is_power_of_two(alignment_bytes))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    if (__builtin_mul_overflow(count, element_bytes, &bytes) ||
        __builtin_add_overflow(offset, bytes, &end))
        end = UINT64_MAX;
    if (end > map->view.length_bytes)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, end, map->view.length_bytes);
    uint8_t *address = (uint8_t *)map->view.address + offset;
    if ((uintptr_t)address & (uintptr_t)(alignment_bytes - 1))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *data = address;
    return TRESOR_OK;
}

int32_t tresor_zigllama_slice(const struct tresor_zigllama_map *map, uint64_t offset_bytes,
                              uint64_t count, uint64_t element_bytes, uint64_t alignment_bytes,
                              const void **data, struct tresor_error *error)
{
    void *found = NULL;
    int32_t code =
        data ? find(map, offset_bytes, count, element_bytes, alignment_bytes, &found, error)
             : tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    if (code == TRESOR_OK)
        *data = found;
    return code;
}

int32_t tresor_zigllama_slice_writable(struct tresor_zigllama_map *map, uint64_t offset_bytes,
                                       uint64_t count, uint64_t element_bytes,
                                       uint64_t alignment_bytes, void **data,
                                       struct tresor_error *error)
{
    if (map && !(map->view.flags & TRESOR__SYS_VIEW_WRITE))
        return tresor__fail(error, TRESOR_ERROR_PERMISSION, 0, 0, 0);
    return find(map, offset_bytes, count, element_bytes, alignment_bytes, data, error);
}

/* A product that no number holds is larger than any map, unless a later dimension is none. */
static uint64_t product(const uint64_t *shape, uint32_t rank)
{
    uint64_t count = 1;
    bool is_too_large = false;
    for (uint32_t i = 0; i < rank; i++) {
        if (shape[i] == 0)
            return 0;
        is_too_large = is_too_large || __builtin_mul_overflow(count, shape[i], &count);
    }
    return is_too_large ? UINT64_MAX : count;
}

int32_t tresor_zigllama_view(const struct tresor_zigllama_map *map, uint64_t offset_bytes,
                             const uint64_t *shape, uint32_t rank, uint64_t element_bytes,
                             uint64_t alignment_bytes, struct tresor_zigllama_view *view,
                             struct tresor_error *error)
{
    struct tresor_zigllama_view full = {.offset_bytes = offset_bytes,
                                        .rank = rank,
                                        .dtype = TRESOR_NONE,
                                        .shape_order = TRESOR_SHAPE_OUTERMOST_FIRST};
    void *data = NULL;
    if (rank > TRESOR_RANK_MAX || (!shape && rank > 0))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    full.element_count = product(shape, rank);
    int32_t code = find(map, offset_bytes, full.element_count, element_bytes, alignment_bytes, &data,
                        error);
    if (code != TRESOR_OK)
        return code;
    for (uint32_t i = 0; i < rank; i++)
        full.shape[i] = shape[i];
    full.data = data;
    full.data_bytes = full.element_count * element_bytes;
    return tresor__zigllama_answer(tresor__info_copy(view, &full, sizeof full), error);
}

/* --- statistics --- */

int32_t tresor__zigllama_measure(const struct tresor_zigllama_map *map,
                                 struct tresor_zigllama_stats *stats, struct tresor_error *error)
{
    const struct tresor__view *view = &map->view;
    int64_t page_bytes = view->sys->page_bytes(view->sys->cookie);
    if (page_bytes <= 0)
        return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-page_bytes, 0, 0);
    *stats = (struct tresor_zigllama_stats){
        .total_bytes = view->length_bytes,
        .page_bytes = (uint64_t)page_bytes,
        .page_count = (view->length_bytes - 1) / (uint64_t)page_bytes + 1,
        .is_locked = map->is_locked,
        .huge = map->huge,
        .lock_code = map->lock_code,
    };
    uint64_t bytes = 0;
    int64_t result = view->sys->resident_bytes(view->sys->cookie, view->descriptor, view->address,
                                               view->map_bytes, &bytes);
    stats->is_resident_known = result >= 0;
    stats->resident_bytes = result >= 0 ? bytes : 0;
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_stats(const struct tresor_zigllama_map *map,
                                  struct tresor_zigllama_stats *stats, struct tresor_error *error)
{
    struct tresor_zigllama_stats full;
    if (!map || !stats)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    int32_t code = tresor__zigllama_measure(map, &full, error);
    return code == TRESOR_OK
               ? tresor__zigllama_answer(tresor__info_copy(stats, &full, sizeof full), error)
               : code;
}

size_t tresor_zigllama_format_stats(const struct tresor_zigllama_stats *stats, char *buffer,
                                    size_t size_bytes)
{
    static const double mib = 1024.0 * 1024.0;
    char resident[64] = "not known";
    if (!stats)
        return (size_t)snprintf(buffer, size_bytes, "%s", "");
    if (stats->is_resident_known)
        snprintf(resident, sizeof resident, "%.1f MiB", (double)stats->resident_bytes / mib);
    int length = snprintf(buffer, size_bytes,
                          "mapped: %.1f MiB (%llu pages of %llu KiB)\nin memory: %s\nlocked: %s%s%s\n",
                          (double)stats->total_bytes / mib, (unsigned long long)stats->page_count,
                          (unsigned long long)stats->page_bytes / 1024, resident,
                          stats->is_locked ? "yes" : "no",
                          stats->lock_code != TRESOR_OK ? ", refused: " : "",
                          stats->lock_code != TRESOR_OK ? tresor_error_text(stats->lock_code) : "");
    return length > 0 ? (size_t)length : 0;
}
