/* SPDX-License-Identifier: MIT */
/* What must be so: of pins, locks and bytes in every state, of the budget at every step, of everything at rest. */
#include "world.h"

#include "arena.h"
#include "tensor/pins.h"

enum { EIGHTHS = 8 };

static struct tresor__controller *controller(void)
{
    return &world->context->controller;
}

static struct tresor__slot *slot(void)
{
    return &controller()->slots[0];
}

static bool has_tables(void)
{
    return slot()->source.state == SOURCE_READY || slot()->source.state == SOURCE_DRAINING;
}

/* --- bytes --- */

static bool has_page(const struct world_page *page, uint32_t wanted)
{
    return page->backing != TRESOR__BACKING_NONE && (page->bytes & wanted) == wanted;
}

/* Who finds zeros finds a mark. */
static bool is_lost(const struct tresor__piece *piece)
{
    const struct tresor__guard_range *range = &slot()->source.model.files[piece->file].guard;
    return world->spec->has_guard && piece->size_bytes > 0 &&
           (piece->tensor.is_poisoned ||
            tresor__guard_is_replaced(range, piece->offset_bytes, piece->size_bytes));
}

bool check_has_bytes(uint32_t number)
{
    const struct tresor__piece *piece = &slot()->pieces[number];
    if (is_lost(piece))
        return true;
    uint64_t eighth = world->spec->page_bytes / EIGHTHS;
    uint64_t first = piece->offset_bytes / eighth;
    uint64_t last = (piece->offset_bytes + piece->size_bytes + eighth - 1) / eighth;
    for (uint64_t i = first; piece->size_bytes > 0 && i < last; i++)
        if (!has_page(&world->files[piece->file].pages[i / EIGHTHS], 1u << i % EIGHTHS))
            return false;
    return true;
}

static bool is_locked(const struct tresor__piece *piece)
{
    uint64_t page = world->spec->page_bytes;
    uint64_t last = (piece->offset_bytes + piece->size_bytes + page - 1) / page;
    for (uint64_t i = piece->offset_bytes / page; piece->size_bytes > 0 && i < last; i++)
        if (!world->files[piece->file].pages[i].is_locked)
            return false;
    return true;
}

static void check_piece(uint32_t number)
{
    const struct tresor__piece *piece = &slot()->pieces[number];
    bool is_promised = tresor__tensor_is_there(&piece->tensor) || world->host.pins[number] > 0;
    if (is_promised && !check_has_bytes(number))
        world_violate("piece %u is there, or acquired, and its bytes are not", number);
    if (piece->lock.state == LOCK_LOCKED && !is_locked(piece) && !is_lost(piece))
        world_violate("piece %u is locked, and its pages are not", number);
    if (piece->lock.state == LOCK_LOCKED && !tresor__tensor_is_there(&piece->tensor))
        world_violate("piece %u is locked, and not there", number);
}

/* --- memory --- */

static uint64_t memory_of(const struct world_page *pages)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < WORLD_PAGES; i++)
        count += pages[i].has_memory;
    return count * world->spec->page_bytes;
}

static uint64_t larger(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* The books have all memory that there is; a source that closes has handed its part over. */
static void check_charge(void)
{
    const struct tresor__room *room = &controller()->io.room;
    uint64_t memory = room->staged_bytes;
    for (uint32_t i = 0; i < WORLD_PARTS; i++)
        memory += memory_of(world->files[i].pages) + memory_of(world->files[i].scratch);
    if (memory > room->charged_bytes)
        world_violate("%ju bytes of memory, and %ju are charged", (uintmax_t)memory,
                      (uintmax_t)room->charged_bytes);
}

/* As in test/random: what is in use is never more than the budget, and only falls while that was lowered below it. */
void check_room(void)
{
    const struct tresor__room *in_use = &controller()->io.room;
    struct world_room *room = &world->room;
    uint64_t lost = controller()->leaked_bytes;
    uint64_t leaked = in_use->leaked_bytes + in_use->stuck_bytes + lost;
    uint64_t committed = in_use->committed_bytes + in_use->staged_bytes + leaked;
    uint64_t charged = in_use->charged_bytes + lost;
    uint64_t budget =
        controller()->budget.budget_bytes > 0 ? controller()->budget.budget_bytes : UINT64_MAX;
    if (room->budget_bytes != budget || leaked > room->leaked_bytes) {
        uint64_t least = room->budget_bytes == budget ? room->most_bytes : budget;
        room->most_bytes = larger(least, larger(committed, charged));
    }
    room->budget_bytes = budget;
    room->leaked_bytes = leaked;
    if (committed > room->most_bytes || charged > room->most_bytes)
        world_violate("%ju committed and %ju charged bytes, of %ju at the most",
                      (uintmax_t)committed, (uintmax_t)charged, (uintmax_t)room->most_bytes);
    uint64_t now = larger(budget, larger(committed, charged));
    if (now < room->most_bytes)
        room->most_bytes = now;
}

/* --- every state --- */

/* What is out is what the controller believes to be; the watch's effects are no backend's. */
static void check_in_flight(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->in_flight_count; i++)
        count += world->in_flight[i].machine != TRESOR__MACHINE_WATCH;
    if (count + world->is_staged != controller()->in_flight)
        world_violate("%u effects are in flight, and %u are believed to be", count,
                      controller()->in_flight);
}

void check_state(void)
{
    for (uint32_t i = 0; has_tables() && i < slot()->source.model.file_count; i++)
        tresor__ledger_check(&slot()->source.model.files[i].io.ledger);
    for (uint32_t i = 0; has_tables() && i < slot()->pin_count; i++)
        check_piece(i);
    check_charge();
    check_in_flight();
    if (controller()->rejected > 0)
        world_violate("an input was rejected");
}

/* --- rest --- */

bool check_is_at_rest(void)
{
    return controller()->in_flight == 0 && controller()->effect_count == 0 &&
           controller()->events.head == TRESOR_NONE &&
           !tresor__controller_is_due(controller());
}

static void check_requests(void)
{
    for (uint32_t i = 0; i < controller()->limits.requests; i++) {
        if (controller()->requests[i].state != REQUEST_FREE)
            world_violate("at rest a request is not free");
        if (controller()->checks[i].state != CHECK_IDLE)
            world_violate("at rest a check runs");
        if (controller()->copies[i].state != COPY_IDLE)
            world_violate("at rest a copy runs");
        if (controller()->streams[i].state != STREAM_IDLE)
            world_violate("at rest a stream runs");
    }
    if (controller()->free_item_count != controller()->limits.items ||
        controller()->free_pair_count != controller()->limits.pairs)
        world_violate("at rest some items or pairs are not free");
}

static void check_pools(void)
{
    const struct tresor__io *io = &controller()->io;
    for (uint32_t i = 0; i < io->block_count; i++)
        if (io->blocks[i].state != BLOCK_FREE)
            world_violate("at rest a block is not free");
    if (io->free_count != io->block_count)
        world_violate("at rest a block is lost");
    uint32_t stages = 0;
    for (uint32_t i = io->free_stage; i != TRESOR_NONE; i = io->stages[i].next)
        stages++;
    if (stages != controller()->limits.stages || controller()->stages_out > 0)
        world_violate("at rest a stage is not free");
}

static void check_looks(void)
{
    uint32_t idle = 0;
    for (uint32_t i = controller()->free_digest; i != TRESOR_NONE; i = controller()->digests[i].next)
        idle++;
    if (idle != TRESOR__LOOKS_MAX || controller()->first_look != TRESOR__NOBODY ||
        slot()->look_count > 0 || controller()->looks_held > 0)
        world_violate("at rest something is looked at");
    for (uint32_t i = 0; has_tables() && i < slot()->pin_count; i++)
        if (slot()->pieces[i].is_look_held || slot()->pieces[i].is_look_due || slot()->pieces[i].look != TRESOR_NONE)
            world_violate("at rest piece %u is held for a look", i);
}

static void check_counts(void)
{
    const struct tresor__budget *budget = &controller()->budget;
    const struct tresor__room *room = &controller()->io.room;
    if (controller()->patient_count > 0 || controller()->pinned_count > 0 || controller()->draining > 0)
        world_violate("at rest somebody waits for users");
    if (budget->loading > 0 || budget->swapping > 0 || budget->request != TRESOR_NONE ||
        tresor__budget_is_awaited(controller()))
        world_violate("at rest the budget believes that something moves");
    if (room->leaving_bytes > 0 || room->scratch_bytes != room->stuck_bytes ||
        controller()->io.swaps_awaiting_room > 0 || controller()->io.awaited_scratch_bytes > 0)
        world_violate("at rest room is kept for what moves");
}

static void check_intervals(const struct tresor__ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->interval_count; i++) {
        const struct tresor__interval *interval = &ledger->intervals[i];
        if (interval->fill != TRESOR__FILL_EMPTY && interval->fill != TRESOR__FILL_FULL)
            world_violate("at rest interval %u is neither empty nor full", i);
        if (interval->lock != TRESOR__LOCK_NONE && interval->lock != TRESOR__LOCK_HELD)
            world_violate("at rest interval %u is neither locked nor not", i);
        if (interval->swap != TRESOR__SWAP_NONE)
            world_violate("at rest interval %u is to be swapped", i);
        if (interval->yielding > 0 || interval->lent)
            world_violate("at rest interval %u is asked to go, or lent", i);
    }
    if (ledger->watchers > 0 || ledger->news_head != TRESOR_NONE)
        world_violate("at rest a ledger has news");
}

/* No lock is left behind that nobody asked for, but one that the system would not take off. */
static void check_no_stray_locks(const struct tresor__file *file)
{
    for (uint32_t i = 0; i < file->ledger.interval_count; i++) {
        const struct tresor__interval *interval = &file->ledger.intervals[i];
        uint64_t page = interval->start_bytes / world->spec->page_bytes;
        uint64_t last = interval[1].start_bytes / world->spec->page_bytes;
        bool is_meant = interval->locks > 0 || interval->lock_leaked || interval->leaked;
        for (; page < last && page < WORLD_PAGES && !is_meant; page++)
            if (world->files[file->index].pages[page].is_locked)
                world_violate("at rest interval %u is locked for nobody", i);
    }
}

static void check_files(void)
{
    for (uint32_t i = 0; i < slot()->source.model.file_count; i++) {
        const struct tresor__file *file = &slot()->source.model.files[i].io;
        if (tresor__file_busy(file) || file->turn.queued || file->hungry.queued ||
            file->roomless.queued || file->swapless.queued)
            world_violate("at rest a file is busy");
        check_intervals(&file->ledger);
        check_no_stray_locks(file);
    }
    for (uint32_t i = 0; i < slot()->pin_count; i++) {
        const struct tresor__piece *piece = &slot()->pieces[i];
        uint8_t state = piece->tensor.state;
        if (state != TENSOR_ABSENT && state != TENSOR_RESIDENT && state != TENSOR_FAILED)
            world_violate("at rest piece %u is on its way", i);
        if (piece->lock.state != LOCK_UNLOCKED && piece->lock.state != LOCK_LOCKED)
            world_violate("at rest the lock of piece %u is on its way", i);
        if (piece->is_yielding || piece->first_wait != TRESOR_NONE)
            world_violate("at rest somebody waits for piece %u", i);
    }
}

/* A slot keeps only the words of its pins. */
static void check_closed(void)
{
    const struct tresor__room *room = &controller()->io.room;
    const struct tresor__pins *pins = atomic_load(&slot()->pins);
    int64_t pin_bytes = 0;
    for (; pins; pins = pins->older)
        pin_bytes += (int64_t)(sizeof *pins + pins->capacity * sizeof pins->pins[0]);
    if (arena_outstanding_bytes() != world->closed_bytes + pin_bytes)
        world_violate("closed, and memory is held");
    for (uint32_t i = 0; i < WORLD_PARTS; i++)
        if (world->opened[i] > 0 || world->opened_direct[i] > 0)
            world_violate("closed, and a descriptor is open");
    bool holds_range = world->headers > 0;
    for (uint32_t i = 0; i < WORLD_PARTS; i++)
        holds_range = holds_range || world->files[i].windows > 0;
    if (holds_range && controller()->leaked_bytes == 0)
        world_violate("closed, and a range of addresses is held");
    if (room->committed_bytes > 0 || room->charged_bytes != room->staged_bytes)
        world_violate("closed, and %ju bytes are charged",
                      (uintmax_t)(room->charged_bytes - room->staged_bytes));
}

void check_idle(void)
{
    check_requests();
    check_pools();
    check_looks();
    check_counts();
    if (slot()->source.state == SOURCE_READY)
        check_files();
    else if (slot()->source.state == SOURCE_FREE)
        check_closed();
    else
        world_violate("at rest a source is neither open nor closed");
}
