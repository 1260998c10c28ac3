/* SPDX-License-Identifier: MIT */
#include "io/seams.h"

#include "io/ledger.h"

enum {
    PAGES_MAX = 1 << 24, /* 32 TiB; a larger window has no exchanges */
};

uint32_t tresor__seams_size(uint64_t window_bytes)
{
    uint64_t pages = window_bytes / TRESOR__HUGE_PAGE_BYTES + 1;
    return pages <= PAGES_MAX ? (uint32_t)(2 * pages + 1) : 0;
}

/* An even bit is the start of a huge page, an odd one lies within. */
static uint32_t seam_at(uint64_t offset)
{
    uint32_t page = (uint32_t)(offset / TRESOR__HUGE_PAGE_BYTES);
    return 2 * page + (offset % TRESOR__HUGE_PAGE_BYTES != 0);
}

static void add(struct tresor__ledger *ledger, uint32_t seam)
{
    uint32_t before = ledger->seams.count;
    tresor__bitset_add(&ledger->seams, seam);
    ledger->room->seam_count += ledger->seams.count - before;
}

static void take_away(struct tresor__ledger *ledger, uint32_t seam)
{
    uint32_t before = ledger->seams.count;
    tresor__bitset_remove(&ledger->seams, seam);
    ledger->room->seam_count -= before - ledger->seams.count;
}

/* Those that can only lie between the two. */
static void clear_between(struct tresor__ledger *ledger, uint64_t start, uint64_t end)
{
    uint32_t first = seam_at(start) + 1;
    uint32_t last = seam_at(end);
    for (uint32_t i = tresor__bitset_next(&ledger->seams, first); i < last;
         i = tresor__bitset_next(&ledger->seams, i + 1))
        take_away(ledger, i);
}

void tresor__seams_map(struct tresor__ledger *ledger, uint64_t start, uint64_t end, bool kept)
{
    if (ledger->seams.size == 0)
        return;
    if (!kept)
        clear_between(ledger, start, end);
    add(ledger, seam_at(start));
    add(ledger, seam_at(end));
}

static bool has_pages(const struct tresor__ledger *ledger, uint32_t number)
{
    return tresor__interval_has_pages(&ledger->intervals[number]);
}

/* Whether anything in or beside a seam's place, which `number` begins or `number - 1` ends at, has pages. */
static bool is_needed(const struct tresor__ledger *ledger, uint32_t number)
{
    uint64_t place = tresor__ledger_start(ledger, number);
    uint64_t page = place / TRESOR__HUGE_PAGE_BYTES * TRESOR__HUGE_PAGE_BYTES;
    uint64_t from = place == page ? page : page + 1;
    uint64_t to = place == page ? page : page + TRESOR__HUGE_PAGE_BYTES - 1;
    for (uint32_t i = number; i > 0 && tresor__ledger_start(ledger, i) >= from; i--)
        if (has_pages(ledger, i - 1))
            return true;
    for (uint32_t i = number; i < ledger->interval_count && tresor__ledger_start(ledger, i) <= to; i++)
        if (has_pages(ledger, i))
            return true;
    return false;
}

void tresor__seams_unmap(struct tresor__ledger *ledger, struct tresor__extent extent, bool kept)
{
    if (ledger->seams.size == 0)
        return;
    uint64_t start = tresor__ledger_start(ledger, extent.first);
    uint64_t end = tresor__ledger_start(ledger, extent.last);
    if (!kept)
        clear_between(ledger, start, end);
    if (!is_needed(ledger, extent.first))
        take_away(ledger, seam_at(start));
    if (!is_needed(ledger, extent.last))
        take_away(ledger, seam_at(end));
}

uint64_t tresor__seams_run_end(const struct tresor__ledger *ledger, uint64_t start, uint64_t end)
{
    uint32_t seam = tresor__bitset_next(&ledger->seams, seam_at(start) + 1);
    uint64_t page = seam == TRESOR_NONE ? end : seam / 2 * TRESOR__HUGE_PAGE_BYTES;
    return page < end ? page : end;
}
