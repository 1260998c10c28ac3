/* SPDX-License-Identifier: MIT */
#include "core/guard.h"

struct pages {
    uint64_t first;
    uint64_t last; /* behind them */
};

static struct pages pages_of(const struct tresor__guard_range *range, uint64_t offset, uint64_t length)
{
    return (struct pages){offset / range->page_bytes,
                          (offset + length + range->page_bytes - 1) / range->page_bytes};
}

/* Of the pages, those of a word of 64. */
static uint64_t mask_of(struct pages pages, uint64_t word)
{
    uint64_t from = pages.first > word * 64 ? pages.first - word * 64 : 0;
    uint64_t until = pages.last < word * 64 + 64 ? pages.last - word * 64 : 64;
    uint64_t below = until == 64 ? UINT64_MAX : (UINT64_C(1) << until) - 1;
    return below & ~((UINT64_C(1) << from) - 1);
}

bool tresor__guard_is_replaced(const struct tresor__guard_range *range, uint64_t offset, uint64_t length)
{
    struct pages pages = pages_of(range, offset, length);
    for (uint64_t word = pages.first / 64; length > 0 && word * 64 < pages.last; word++)
        if (atomic_load(&range->replaced[word]) & mask_of(pages, word))
            return true;
    return false;
}

void tresor__guard_renew(struct tresor__guard_range *range, uint64_t offset, uint64_t length)
{
    struct pages pages = pages_of(range, offset, length);
    for (uint64_t word = pages.first / 64; word * 64 < pages.last; word++) {
        uint64_t mask = mask_of(pages, word);
        if (atomic_load(&range->replaced[word]) & mask)
            atomic_fetch_and(&range->replaced[word], ~mask);
        range->heard[word] &= ~mask;
    }
}

/* What was not told, from a page on in its word. */
static uint64_t unheard(const struct tresor__guard_range *range, uint64_t page)
{
    uint64_t word = atomic_load(&range->replaced[page / 64]) & ~range->heard[page / 64];
    return word & ~((UINT64_C(1) << page % 64) - 1);
}

static bool is_truncated(const struct tresor__guard_range *range, uint64_t page)
{
    uint64_t size_bytes = atomic_load(&range->size_bytes);
    return size_bytes < range->file_bytes && (page + 1) * range->page_bytes > size_bytes;
}

bool tresor__guard_next(struct tresor__guard_range *range, uint64_t page, struct tresor__guard_run *run)
{
    uint64_t pages = range->length_bytes / range->page_bytes;
    while (page < pages && unheard(range, page) == 0)
        page = (page / 64 + 1) * 64;
    if (page >= pages)
        return false;
    page = page / 64 * 64 + (uint64_t)__builtin_ctzll(unheard(range, page));
    *run = (struct tresor__guard_run){
        .first = (uint32_t)page,
        .is_truncated = is_truncated(range, page),
    };
    while (page < pages && run->count < TRESOR__GUARD_RUN_MAX &&
           unheard(range, page) >> page % 64 & 1 && is_truncated(range, page) == run->is_truncated) {
        range->heard[page / 64] |= UINT64_C(1) << page % 64;
        run->count++;
        page++;
    }
    return true;
}
