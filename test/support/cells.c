/* SPDX-License-Identifier: MIT */
#include "support/cells.h"

#include "support/test.h"

static uint64_t page_of(uint64_t bytes)
{
    return bytes / CELLS_PAGE_BYTES;
}

void cells_make(struct cells *cells, const struct model_tensor *tensors, uint32_t count,
                uint64_t file_bytes)
{
    uint32_t pages[CELLS_MAX] = {0};
    *cells = (struct cells){.file_bytes = file_bytes, .tensor_count = count};
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t byte = 0; byte < tensors[i].size_bytes; byte++)
            pages[page_of(tensors[i].offset_bytes + byte)] |= UINT32_C(1) << i;
    for (uint32_t page = 0; page < CELLS_MAX; page++) {
        struct cell *last = cells->count ? &cells->cells[cells->count - 1] : NULL;
        if (!last ? pages[page] == 0 : last->tensors == pages[page])
            continue;
        if (last)
            last->end_bytes = (uint64_t)page * CELLS_PAGE_BYTES;
        cells->cells[cells->count++] = (struct cell){
            .start_bytes = (uint64_t)page * CELLS_PAGE_BYTES,
            .tensors = pages[page],
            .releaser = TRESOR_NONE,
            .unlocker = TRESOR_NONE,
            .backing = TRESOR__BACKING_NONE,
        };
    }
    if (cells->count > 0)
        cells->count--; /* behind the last tensor there is nothing */
}

#define EACH_CELL(cells, cell)                                                                     \
    for (struct cell *cell = (cells)->cells; cell < (cells)->cells + (cells)->count; cell++)
#define EACH_CELL_IN(cells, cell, start, end)                                                      \
    EACH_CELL(cells, cell)                                                                         \
    if (cell->start_bytes < (end) && cell->end_bytes > (start))
#define EACH_CELL_OF(cells, cell, tensor)                                                          \
    EACH_CELL(cells, cell)                                                                         \
    if (cell->tensors >> (tensor)&1)

static bool is_user(uint8_t role)
{
    return role == TRESOR__SPAN_LOADING || role == TRESOR__SPAN_RESIDENT ||
           role == TRESOR__SPAN_FAILED;
}

static uint32_t users_of(const struct cells *cells, const struct cell *cell)
{
    uint32_t users = 0;
    for (uint32_t i = 0; i < cells->tensor_count; i++)
        users += (cell->tensors >> i & 1) && is_user(cells->tensors[i].role);
    return users;
}

static uint32_t locks_of(const struct cells *cells, const struct cell *cell)
{
    uint32_t locks = 0;
    for (uint32_t i = 0; i < cells->tensor_count; i++)
        locks += (cell->tensors >> i & 1) && is_user(cells->tensors[i].lock_role);
    return locks;
}

static uint64_t clip(const struct cells *cells, uint64_t end)
{
    return end < cells->file_bytes ? end : cells->file_bytes;
}

/* What follows for a tensor from the cells that it has. */
static void follow_tensor(struct cells *cells, uint32_t index)
{
    struct cell_tensor *tensor = &cells->tensors[index];
    bool full = true;
    bool locked = true;
    bool leaving = false;
    bool unlocking = false;
    EACH_CELL_OF(cells, cell, index)
    {
        full = full && cell->fill == TRESOR__FILL_FULL;
        locked = locked && cell->lock == TRESOR__LOCK_HELD;
        leaving = leaving || cell->releaser == index;
        unlocking = unlocking || cell->unlocker == index;
    }
    if (tensor->role == TRESOR__SPAN_LOADING && full) {
        tensor->role = TRESOR__SPAN_RESIDENT;
        tensor->news |= TRESOR__NEWS_FILLED;
        tensor->filled++;
    }
    if (tensor->role == TRESOR__SPAN_LEAVING && !leaving) {
        tensor->role = TRESOR__SPAN_ABSENT;
        tensor->news |= TRESOR__NEWS_RELEASED;
    }
    if (tensor->lock_role == TRESOR__SPAN_LOADING && locked) {
        tensor->lock_role = TRESOR__SPAN_RESIDENT;
        tensor->news |= TRESOR__NEWS_LOCKED;
    }
    if (tensor->lock_role == TRESOR__SPAN_LEAVING && !unlocking) {
        tensor->lock_role = TRESOR__SPAN_ABSENT;
        tensor->news |= TRESOR__NEWS_UNLOCKED;
    }
}

static void follow(struct cells *cells)
{
    for (uint32_t i = 0; i < cells->tensor_count; i++)
        follow_tensor(cells, i);
}

static void hasten(struct cell *cell, uint8_t urgency)
{
    cell->urgency = cell->urgency > urgency ? cell->urgency : urgency;
}

void cells_hasten(struct cells *cells, uint32_t tensor, uint8_t urgency)
{
    EACH_CELL_OF(cells, cell, tensor)
    hasten(cell, urgency);
}

void cells_claim(struct cells *cells, uint32_t tensor, uint8_t backing, uint8_t urgency)
{
    cells->tensors[tensor].role = TRESOR__SPAN_LOADING;
    cells->tensors[tensor].filled = 0;
    EACH_CELL_OF(cells, cell, tensor)
    {
        if (users_of(cells, cell) == 1) {
            cell->wanted = backing;
            cell->urgency = 0;
        }
        hasten(cell, urgency);
        if (cell->fill == TRESOR__FILL_SPENT && !cell->failed) {
            cell->fill = TRESOR__FILL_FULL;
            cell->releaser = TRESOR_NONE;
        } else if (cell->fill == TRESOR__FILL_EMPTY) {
            cell->fill = TRESOR__FILL_WANTED;
        }
    }
    follow(cells);
}

void cells_unclaim(struct cells *cells, uint32_t tensor, bool wait)
{
    struct cell_tensor *leaving = &cells->tensors[tensor];
    leaving->role = wait ? TRESOR__SPAN_LEAVING : TRESOR__SPAN_ABSENT;
    leaving->news = (uint16_t)(leaving->news & ~(TRESOR__NEWS_FILLED | TRESOR__NEWS_FILL_FAILED |
                                                 TRESOR__NEWS_PROGRESS));
    EACH_CELL_OF(cells, cell, tensor)
    {
        if (users_of(cells, cell) > 0)
            continue;
        if (cell->fill == TRESOR__FILL_WANTED)
            cell->fill = TRESOR__FILL_EMPTY;
        if (cell->fill == TRESOR__FILL_FULL) {
            cell->fill = TRESOR__FILL_SPENT;
            cell->releaser = wait ? tensor : TRESOR_NONE;
        }
    }
    follow(cells);
}

/* Of those that wait, nobody is in more of a hurry. */
static void assert_most_urgent(struct cells *cells, uint8_t backing, uint8_t urgency)
{
    EACH_CELL(cells, cell)
    assert_true(cell->fill != TRESOR__FILL_WANTED || cell->wanted != backing ||
                cell->urgency <= urgency);
}

/* An unmap that failed has left its pages. */
static uint64_t charge_of(const struct cell *cell)
{
    return cell->leaked ? 0 : cell->end_bytes - cell->start_bytes;
}

/* Nobody of that urgency wants the next one too, or there is no room for it. */
static void assert_whole(struct cells *cells, uint64_t end, const struct cell *first, uint64_t room)
{
    EACH_CELL(cells, cell)
    assert_false(cell->start_bytes == end && cell->fill == TRESOR__FILL_WANTED &&
                 cell->wanted == first->wanted && cell->urgency == first->urgency &&
                 charge_of(cell) <= room);
}

static struct cell *cell_at(struct cells *cells, uint64_t start)
{
    EACH_CELL(cells, cell)
    if (cell->start_bytes == start)
        return cell;
    fail_msg("no cell starts there");
    return NULL;
}

static uint64_t take(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing, uint64_t room)
{
    const struct cell *first = cell_at(cells, start);
    assert_most_urgent(cells, backing, first->urgency);
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_true(charge_of(cell) <= room);
        room -= charge_of(cell);
        assert_int_equal(cell->urgency, first->urgency);
        assert_int_equal(cell->fill, TRESOR__FILL_WANTED);
        assert_int_equal(cell->wanted, backing);
        assert_true(users_of(cells, cell) > 0);
        cell->fill = TRESOR__FILL_RUNNING;
        cell->backing = backing;
        cell->failed = false;
        cell->arrived_bytes = 0;
        cell->missing_bytes = clip(cells, cell->end_bytes) - cell->start_bytes;
    }
    return room;
}

void cells_take_part(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing, uint64_t room)
{
    take(cells, start, end, backing, room);
}

void cells_take_fill(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing,
                     uint64_t room)
{
    room = take(cells, start, end, backing, room);
    assert_whole(cells, end, cell_at(cells, start), room);
}

void cells_lend(struct cells *cells, uint64_t start, uint64_t end)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_int_equal(cell->fill, TRESOR__FILL_SPENT);
        assert_int_equal(cell->backing, TRESOR__BACKING_ANONYMOUS);
        assert_int_equal(cell->lock, TRESOR__LOCK_NONE);
        assert_true(users_of(cells, cell) == 0 && !cell->failed && !cell->lock_leaked);
        cell->fill = TRESOR__FILL_RELEASING;
    }
}

static void fail_tensors(struct cells *cells, const struct cell *cell)
{
    for (uint32_t i = 0; i < cells->tensor_count; i++) {
        struct cell_tensor *tensor = &cells->tensors[i];
        if (!(cell->tensors >> i & 1) || tensor->role != TRESOR__SPAN_LOADING)
            continue;
        tensor->role = TRESOR__SPAN_FAILED;
        tensor->news |= TRESOR__NEWS_FILL_FAILED;
    }
}

static void subtract(struct cells *cells, struct cell *cell, uint64_t start, uint64_t end)
{
    uint64_t from = cell->start_bytes > start ? cell->start_bytes : start;
    uint64_t to = clip(cells, cell->end_bytes) < end ? clip(cells, cell->end_bytes) : end;
    assert_int_equal(cell->fill, TRESOR__FILL_RUNNING);
    assert_true(to - from <= cell->missing_bytes);
    cell->missing_bytes -= to - from;
    if (cell->missing_bytes > 0)
        return;
    bool good = !cell->failed && users_of(cells, cell) > 0;
    cell->fill = good ? TRESOR__FILL_FULL : TRESOR__FILL_SPENT;
    /* The new pages are in the place of those that were leaked, locked or not. */
    cell->lock_leaked = false;
    cell->leaked = false;
}

void cells_abandon(struct cells *cells, uint64_t start, uint64_t end)
{
    if (start == end)
        return;
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_true(users_of(cells, cell) == 0 || cell->failed);
        cell->failed = true;
        subtract(cells, cell, start, end);
    }
    follow(cells);
}

void cells_put_back(struct cells *cells, uint64_t start, uint64_t end)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_true(cell->start_bytes >= start && cell->end_bytes <= end);
        assert_int_equal(cell->missing_bytes, clip(cells, cell->end_bytes) - cell->start_bytes);
        cell->failed = true;
        subtract(cells, cell, cell->start_bytes, cell->end_bytes);
    }
}

static void tell_watchers(struct cells *cells, const struct cell *cell)
{
    for (uint32_t i = 0; i < cells->tensor_count; i++) {
        struct cell_tensor *tensor = &cells->tensors[i];
        if ((cell->tensors >> i & 1) && tensor->role == TRESOR__SPAN_LOADING &&
            tensor->watchers > 0)
            tensor->news |= TRESOR__NEWS_PROGRESS;
    }
}

void cells_settle(struct cells *cells, uint64_t start, uint64_t end, bool failed)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        if (failed && !cell->failed)
            fail_tensors(cells, cell);
        cell->failed = cell->failed || failed;
        uint64_t missing = cell->missing_bytes;
        subtract(cells, cell, start, end);
        cell->arrived_bytes += missing - cell->missing_bytes;
        follow(cells);
        if (!cell->failed)
            tell_watchers(cells, cell);
    }
}

uint64_t cells_arrived(const struct cells *cells, uint32_t tensor)
{
    uint64_t arrived = 0;
    for (uint32_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->cells[i];
        bool counts = cell->fill == TRESOR__FILL_FULL ||
                      (cell->fill == TRESOR__FILL_RUNNING && !cell->failed);
        if ((cell->tensors >> tensor & 1) && counts)
            arrived += cell->arrived_bytes;
    }
    return arrived;
}

void cells_unmapped(struct cells *cells, uint64_t start, uint64_t end)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_int_equal(cell->fill, TRESOR__FILL_RUNNING);
        cell->fill = TRESOR__FILL_EMPTY;
        cell->backing = TRESOR__BACKING_NONE;
        cell->missing_bytes = 0;
        fail_tensors(cells, cell);
    }
}

void cells_take_release(struct cells *cells, uint64_t start, uint64_t end, uint8_t backing)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_int_equal(cell->fill, TRESOR__FILL_SPENT);
        assert_int_equal(cell->backing, backing);
        assert_true(users_of(cells, cell) == 0 || cell->failed);
        cell->fill = TRESOR__FILL_RELEASING;
    }
}

void cells_released(struct cells *cells, uint64_t start, uint64_t end, bool failed)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        cell->fill = users_of(cells, cell) > 0 ? TRESOR__FILL_WANTED : TRESOR__FILL_EMPTY;
        cell->backing = TRESOR__BACKING_NONE;
        cell->failed = false;
        cell->leaked = cell->leaked || failed;
        cell->lock_leaked = cell->lock_leaked && failed;
        if (failed && cell->releaser != TRESOR_NONE)
            cells->tensors[cell->releaser].news |= TRESOR__NEWS_RELEASE_FAILED;
        cell->releaser = TRESOR_NONE;
    }
    follow(cells);
}

void cells_lock(struct cells *cells, uint32_t tensor)
{
    cells->tensors[tensor].lock_role = TRESOR__SPAN_LOADING;
    EACH_CELL_OF(cells, cell, tensor)
    {
        if (cell->lock == TRESOR__LOCK_SPENT) {
            cell->lock = TRESOR__LOCK_HELD;
            cell->unlocker = TRESOR_NONE;
        } else if (cell->lock == TRESOR__LOCK_NONE) {
            cell->lock = TRESOR__LOCK_WANTED;
        }
    }
    follow(cells);
}

void cells_unlock(struct cells *cells, uint32_t tensor, bool wait)
{
    struct cell_tensor *leaving = &cells->tensors[tensor];
    leaving->lock_role = wait ? TRESOR__SPAN_LEAVING : TRESOR__SPAN_ABSENT;
    leaving->news = (uint16_t)(leaving->news & ~(TRESOR__NEWS_LOCKED | TRESOR__NEWS_LOCK_FAILED));
    EACH_CELL_OF(cells, cell, tensor)
    {
        if (locks_of(cells, cell) > 0)
            continue;
        if (cell->lock == TRESOR__LOCK_WANTED)
            cell->lock = TRESOR__LOCK_NONE;
        if (cell->lock == TRESOR__LOCK_HELD) {
            cell->lock = TRESOR__LOCK_SPENT;
            cell->unlocker = wait ? tensor : TRESOR_NONE;
        }
    }
    follow(cells);
}

static void move_lock(struct cells *cells, uint64_t start, uint64_t end, uint8_t from, uint8_t to)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        assert_int_equal(cell->lock, from);
        cell->lock = to;
    }
}

void cells_take_lock(struct cells *cells, uint64_t start, uint64_t end)
{
    move_lock(cells, start, end, TRESOR__LOCK_WANTED, TRESOR__LOCK_RUNNING);
}

void cells_take_unlock(struct cells *cells, uint64_t start, uint64_t end)
{
    move_lock(cells, start, end, TRESOR__LOCK_SPENT, TRESOR__LOCK_RELEASING);
}

void cells_lock_undone(struct cells *cells, uint64_t start, uint64_t end)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        cell->lock_leaked = false;
    }
}

void cells_lock_again(struct cells *cells, uint64_t start, uint64_t end)
{
    EACH_CELL_IN(cells, cell, start, end)
    cell->lock = locks_of(cells, cell) > 0 ? TRESOR__LOCK_WANTED : TRESOR__LOCK_NONE;
}

void cells_locked(struct cells *cells, uint64_t start, uint64_t end, bool failed)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        if (!failed) {
            cell->lock_leaked = false;
            cell->lock = locks_of(cells, cell) > 0 ? TRESOR__LOCK_HELD : TRESOR__LOCK_SPENT;
            continue;
        }
        cell->lock = TRESOR__LOCK_NONE;
        for (uint32_t i = 0; i < cells->tensor_count; i++) {
            struct cell_tensor *tensor = &cells->tensors[i];
            if (!(cell->tensors >> i & 1) || tensor->lock_role != TRESOR__SPAN_LOADING)
                continue;
            tensor->lock_role = TRESOR__SPAN_FAILED;
            tensor->news |= TRESOR__NEWS_LOCK_FAILED;
        }
    }
    follow(cells);
}

void cells_unlocked(struct cells *cells, uint64_t start, uint64_t end, bool failed)
{
    EACH_CELL_IN(cells, cell, start, end)
    {
        cell->lock = locks_of(cells, cell) > 0 ? TRESOR__LOCK_WANTED : TRESOR__LOCK_NONE;
        cell->lock_leaked = cell->lock_leaked || failed;
        if (failed && cell->unlocker != TRESOR_NONE)
            cells->tensors[cell->unlocker].news |= TRESOR__NEWS_UNLOCK_FAILED;
        cell->unlocker = TRESOR_NONE;
    }
    follow(cells);
}

bool cells_have(const struct cells *cells, uint8_t fill, uint8_t backing)
{
    for (uint32_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->cells[i];
        uint8_t cell_backing = fill == TRESOR__FILL_WANTED ? cell->wanted : cell->backing;
        if (cell->fill == fill && cell_backing == backing)
            return true;
    }
    return false;
}

bool cells_have_lock(const struct cells *cells, uint8_t lock)
{
    for (uint32_t i = 0; i < cells->count; i++)
        if (cells->cells[i].lock == lock)
            return true;
    return false;
}

static void assert_same_sums(const struct cells *cells, const struct tresor__ledger *ledger)
{
    uint64_t resident[TRESOR__BACKING_COUNT] = {0};
    uint64_t locked = 0;
    uint64_t leaked = 0;
    for (uint32_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->cells[i];
        uint64_t bytes = cell->end_bytes - cell->start_bytes;
        if (cell->fill == TRESOR__FILL_FULL)
            resident[cell->backing] += bytes;
        if (cell->lock >= TRESOR__LOCK_HELD || cell->lock_leaked)
            locked += bytes;
        leaked += cell->leaked ? bytes : 0;
    }
    for (uint32_t backing = 0; backing < TRESOR__BACKING_COUNT; backing++)
        assert_int_equal(ledger->resident_bytes[backing], resident[backing]);
    assert_int_equal(ledger->locked_bytes, locked);
    assert_int_equal(ledger->leaked_bytes, leaked);
}

void assert_same_cells(const struct cells *cells, const struct tresor__ledger *ledger)
{
    assert_int_equal(ledger->interval_count, cells->count);
    for (uint32_t i = 0; i < cells->count; i++) {
        const struct cell *cell = &cells->cells[i];
        const struct tresor__interval *interval = &ledger->intervals[i];
        assert_int_equal(interval->start_bytes, cell->start_bytes);
        assert_int_equal(interval[1].start_bytes, cell->end_bytes);
        assert_int_equal(interval->fill, cell->fill);
        assert_int_equal(interval->lock, cell->lock);
        assert_int_equal(interval->users, users_of(cells, cell));
        assert_int_equal(interval->missing_bytes, cell->missing_bytes);
    }
    for (uint32_t i = 0; i < cells->tensor_count; i++) {
        assert_int_equal(ledger->spans[i].role, cells->tensors[i].role);
        assert_int_equal(ledger->spans[i].lock_role, cells->tensors[i].lock_role);
        assert_int_equal(ledger->spans[i].news, cells->tensors[i].news);
        assert_true(cells->tensors[i].filled <= 1);
        assert_int_equal(tresor__ledger_arrived(ledger, i), cells_arrived(cells, i));
    }
    assert_same_sums(cells, ledger);
}
