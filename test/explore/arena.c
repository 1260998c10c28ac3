/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES = 1024 * 1024,
    LINE_BYTES = 64,
    LINES = ARENA_BYTES / LINE_BYTES,
    SIZES_MAX = 128, /* that differ; what is freed serves the next block of just that size */
};

/* A list of blocks that were freed, chained through their first bytes. */
struct free_list {
    size_t size_bytes;
    size_t first; /* offset; 0: none */
};

/* Itself in the arena, so that it goes back with everything else. */
struct header {
    size_t top;
    int64_t outstanding_bytes;
    struct free_list lists[SIZES_MAX];
};

struct arena_state {
    uint32_t line_count;
    uint32_t lines[]; /* their numbers, then their bytes */
};

static _Alignas(LINE_BYTES) uint8_t arena[ARENA_BYTES];
static _Alignas(LINE_BYTES) uint8_t first[ARENA_BYTES];
static size_t highest; /* that any state reached: what is above it is zero in all */

static struct header *header(void)
{
    return (struct header *)(void *)arena;
}

static size_t round_up(size_t size_bytes)
{
    return (size_bytes > 0 ? size_bytes + LINE_BYTES - 1 : LINE_BYTES) / LINE_BYTES * LINE_BYTES;
}

void arena_reset(void)
{
    memset(arena, 0, sizeof arena);
    memset(first, 0, sizeof first);
    header()->top = round_up(sizeof(struct header));
    highest = header()->top;
}

static struct free_list *list_of(size_t size_bytes)
{
    struct free_list *list = header()->lists;
    for (uint32_t i = 0; i < SIZES_MAX; i++, list++) {
        if (list->size_bytes == 0)
            list->size_bytes = size_bytes;
        if (list->size_bytes == size_bytes)
            return list;
    }
    abort();
}

static void *take(size_t wanted_bytes)
{
    size_t size_bytes = round_up(wanted_bytes);
    struct free_list *list = list_of(size_bytes);
    size_t place = list->first;
    if (place != 0) {
        memcpy(&list->first, arena + place, sizeof list->first);
    } else {
        place = header()->top;
        if (size_bytes > sizeof arena - place)
            return NULL;
        header()->top += size_bytes;
        if (header()->top > highest)
            highest = header()->top;
    }
    header()->outstanding_bytes += (int64_t)wanted_bytes;
    return arena + place;
}

static void give(void *cookie, void *block, size_t size_bytes)
{
    struct free_list *list = list_of(round_up(size_bytes));
    (void)cookie;
    memset(block, 0, size_bytes);
    memcpy(block, &list->first, sizeof list->first);
    list->first = (size_t)((uint8_t *)block - arena);
    header()->outstanding_bytes -= (int64_t)size_bytes;
}

static void *reallocate(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    void *grown = take(new_bytes);
    if (!block || !grown)
        return grown;
    memcpy(grown, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    give(cookie, block, old_bytes);
    return grown;
}

struct tresor_allocator arena_hooks(void)
{
    return (struct tresor_allocator){.reallocate = reallocate, .free = give};
}

int64_t arena_outstanding_bytes(void)
{
    return header()->outstanding_bytes;
}

void arena_keep_first(void)
{
    memcpy(first, arena, highest);
}

struct arena_state *arena_keep(void)
{
    static uint32_t lines[LINES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < highest / LINE_BYTES; i++)
        if (memcmp(arena + (size_t)i * LINE_BYTES, first + (size_t)i * LINE_BYTES, LINE_BYTES) != 0)
            lines[count++] = i;
    struct arena_state *state =
        malloc(sizeof *state + count * (sizeof state->lines[0] + LINE_BYTES));
    if (!state)
        return NULL;
    state->line_count = count;
    uint8_t *bytes = (uint8_t *)(state->lines + count);
    for (uint32_t i = 0; i < count; i++) {
        state->lines[i] = lines[i];
        memcpy(bytes + (size_t)i * LINE_BYTES, arena + (size_t)lines[i] * LINE_BYTES, LINE_BYTES);
    }
    return state;
}

size_t arena_state_bytes(const struct arena_state *state)
{
    return sizeof *state + state->line_count * (sizeof state->lines[0] + LINE_BYTES);
}

void arena_restore_first(void)
{
    memcpy(arena, first, highest);
}

void arena_restore(const struct arena_state *state)
{
    const uint8_t *bytes = (const uint8_t *)(state->lines + state->line_count);
    arena_restore_first();
    for (uint32_t i = 0; i < state->line_count; i++)
        memcpy(arena + (size_t)state->lines[i] * LINE_BYTES, bytes + (size_t)i * LINE_BYTES,
               LINE_BYTES);
}
