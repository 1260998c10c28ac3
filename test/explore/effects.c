/* SPDX-License-Identifier: MIT */
/* What effects do to the world: what may become of each, and what it leaves behind. */
#include "world.h"

#include <errno.h>

#include <tresor/pressure.h>

#include "backend/actor.h"
#include "io/swap/swap.h"

enum {
    DESCRIPTOR_FIRST = 100,
    DIRECT_FIRST = 200,
    ALIGNMENT_BYTES = 512,
    EIGHTHS = 8,
    ALL_EIGHTHS = 0xff,
    SLOW_BYTES = 4096,
};

/* --- what may become of one --- */

struct choice_list {
    uint8_t *outcomes;
    uint32_t count;
};

static void may(struct choice_list *list, uint32_t faults, enum outcome outcome)
{
    if (world->spec->faults & faults || faults == 0)
        list->outcomes[list->count++] = (uint8_t)outcome;
}

static void may_read(struct choice_list *list, const struct tresor__effect *effect)
{
    bool is_of_header = effect->space == TRESOR__SPACE_HEADER;
    if (effect->is_cancelled)
        may(list, 0, OUTCOME_CANCELLED);
    if (effect->flags & TRESOR__READ_CACHED) {
        may(list, FAULT_CACHE, OUTCOME_NOTHING);
        may(list, FAULT_CACHE, OUTCOME_SHORT);
        may(list, FAULT_LIE, OUTCOME_LIE);
        return;
    }
    may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
    may(list, FAULT_SHORT, OUTCOME_SHORT);
    may(list, FAULT_END, OUTCOME_NOTHING);
    may(list, FAULT_LIE, OUTCOME_LIE);
    if (effect->flags & TRESOR__READ_DIRECT && !is_of_header)
        may(list, FAULT_REFUSED, OUTCOME_REFUSED);
    if (effect->space == TRESOR__SPACE_CALLER)
        may(list, FAULT_UNREACHABLE, OUTCOME_UNREACHABLE);
}

static void may_of_kind(struct choice_list *list, const struct tresor__effect *effect)
{
    switch (effect->kind) {
    case TRESOR__EFFECT_READ:
        may_read(list, effect);
        break;
    case TRESOR__EFFECT_DIGEST:
        may(list, FAULT_SHORT, OUTCOME_SHORT);
        if (effect->flags & TRESOR__LOOK_LAST && effect->flags & TRESOR__LOOK_SUM)
            may(list, FAULT_WRONG, OUTCOME_WRONG);
        if (effect->flags & TRESOR__LOOK_FINITE)
            may(list, FAULT_WRONG, OUTCOME_NOT_FINITE);
        break;
    case TRESOR__EFFECT_STAT:
        may(list, FAULT_CHANGED, OUTCOME_CHANGED);
        may(list, FAULT_EMPTY, OUTCOME_EMPTY);
        break;
    case TRESOR__EFFECT_MAP:
        if (effect->flags & TRESOR__MAP_FILE) {
            may(list, FAULT_CACHE, OUTCOME_SLOW);
            may(list, FAULT_CACHE, OUTCOME_COLD);
        }
        may(list, FAULT_CHANGED, OUTCOME_CHANGED);
        may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
        break;
    case TRESOR__EFFECT_MOVE:
        may(list, FAULT_REFUSED, OUTCOME_REFUSED);
        may(list, FAULT_MEMORY, OUTCOME_MEMORY);
        may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
        break;
    case TRESOR__EFFECT_REPLACE:
        may(list, FAULT_REFUSED, OUTCOME_REFUSED);
        may(list, FAULT_TORN, OUTCOME_TORN);
        may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
        break;
    case TRESOR__EFFECT_POPULATE:
        may(list, FAULT_UNREACHABLE, OUTCOME_UNREACHABLE);
        may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
        break;
    case TRESOR__EFFECT_OPEN:
    case TRESOR__EFFECT_OPEN_DIRECT:
    case TRESOR__EFFECT_UNMAP:
    case TRESOR__EFFECT_LOCK:
    case TRESOR__EFFECT_UNLOCK:
        may(list, FAULT_INTERRUPTED, OUTCOME_INTERRUPTED);
        break;
    default:
        break;
    }
}

uint32_t world_outcomes(const struct tresor__effect *effect, uint8_t outcomes[WORLD_OUTCOMES])
{
    struct choice_list list = {.outcomes = outcomes};
    may(&list, 0, OUTCOME_OK);
    may(&list, FAULT_HARD, OUTCOME_HARD);
    may_of_kind(&list, effect);
    return list.count;
}

const char *world_outcome_name(uint32_t outcome)
{
    static const char *const names[OUTCOME_COUNT] = {
        "well", "fails", "interrupted", "short", "nothing", "refused", "unreachable", "lies",
        "slow", "cold", "changed", "empty", "torn", "no memory", "cancelled", "wrong", "not finite",
    };
    return names[outcome];
}

/* --- pages --- */

/* The first descriptors are parts' own, in their order; those for direct reads follow. */
static uint32_t part_of(int descriptor)
{
    return (uint32_t)descriptor % DESCRIPTOR_FIRST;
}

static struct world_file *file_of(const struct tresor__effect *effect)
{
    return &world->files[effect->file];
}

/* The pages [first, last) that a range touches, as far as the world has any. */
struct pages {
    struct world_page *list;
    uint32_t first;
    uint32_t last;
};

static uint32_t page_number(uint64_t bytes)
{
    uint64_t page = bytes / world->spec->page_bytes;
    return page < WORLD_PAGES ? (uint32_t)page : WORLD_PAGES;
}

static struct pages pages_at(struct world_page *list, uint64_t place, uint64_t length)
{
    return (struct pages){list, page_number(place),
                          page_number(place + length + world->spec->page_bytes - 1)};
}

static struct pages pages_of(const struct tresor__effect *effect)
{
    struct world_file *file = file_of(effect);
    bool is_scratch = effect->space == TRESOR__SPACE_SCRATCH;
    return pages_at(is_scratch ? file->scratch : file->pages, effect->place, effect->length);
}

/* Nobody reads into, or looks at, a page that goes, and nobody who has acquired a tensor loses its bytes. */
static void must_not_be_in_use(struct pages pages, const char *what)
{
    for (uint32_t i = 0; i < world->in_flight_count; i++) {
        const struct tresor__effect *effect = &world->in_flight[i];
        bool has_place = effect->kind == TRESOR__EFFECT_DIGEST ||
                         (effect->kind == TRESOR__EFFECT_READ &&
                          (effect->space == TRESOR__SPACE_WINDOW ||
                           effect->space == TRESOR__SPACE_SCRATCH));
        struct pages others = has_place ? pages_of(effect) : (struct pages){0};
        if (others.list == pages.list && others.first < pages.last && pages.first < others.last)
            world_violate("%s of pages that a read in flight goes to, or a look at", what);
    }
}

static void must_not_be_locked(struct pages pages, const char *what)
{
    for (uint32_t i = pages.first; i < pages.last; i++)
        if (pages.list[i].is_locked)
            world_violate("%s of a locked page", what);
}

static void must_be_within(const struct tresor__effect *effect, struct pages pages, uint8_t backing,
                           const char *what)
{
    if (file_of(effect)->windows == 0)
        world_violate("%s without a window", what);
    for (uint32_t i = pages.first; i < pages.last; i++)
        if (pages.list[i].backing != backing)
            world_violate("%s of a page that is not there", what);
}

static int64_t map(const struct tresor__effect *effect, enum outcome outcome)
{
    bool is_file = effect->flags & TRESOR__MAP_FILE;
    struct pages pages = pages_of(effect);
    bool is_spare = effect->flags & TRESOR__MAP_SPARE;
    must_not_be_in_use(pages, "a map");
    if (file_of(effect)->windows == 0)
        world_violate("a map without a window");
    for (uint32_t i = pages.first; i < pages.last; i++)
        pages.list[i] = (struct world_page){
            .backing = is_file ? TRESOR__BACKING_FILE : TRESOR__BACKING_ANONYMOUS,
            .has_memory = is_spare && pages.list[i].has_memory,
        };
    return outcome == OUTCOME_SLOW ? SLOW_BYTES : outcome == OUTCOME_COLD ? INT64_MAX : 0;
}

static int64_t unmap(const struct tresor__effect *effect)
{
    struct pages pages = pages_of(effect);
    bool is_kept = effect->flags & TRESOR__MAP_SPARE;
    must_not_be_in_use(pages, "an unmap");
    for (uint32_t i = pages.first; i < pages.last; i++)
        pages.list[i] = (struct world_page){
            .backing = TRESOR__BACKING_NONE,
            .has_memory = is_kept && pages.list[i].has_memory,
        };
    return is_kept;
}

/* The place that pages leave stays mapped, and has none. */
static int64_t move(const struct tresor__effect *effect)
{
    struct world_file *file = file_of(effect);
    struct pages from = pages_of(effect);
    struct pages to = pages_at(file->pages, effect->offset, effect->length);
    must_not_be_in_use(from, "a move");
    must_not_be_in_use(to, "a move");
    must_not_be_locked(from, "a move");
    must_be_within(effect, from, TRESOR__BACKING_ANONYMOUS, "a move");
    for (uint32_t i = 0; i < from.last - from.first; i++) {
        to.list[to.first + i] = (struct world_page){
            .backing = TRESOR__BACKING_ANONYMOUS, .has_memory = from.list[from.first + i].has_memory};
        from.list[from.first + i].has_memory = false;
        from.list[from.first + i].bytes = 0;
    }
    return 0;
}

/* Torn: the file's own pages came there, which are as good, but not what was asked for. */
static int64_t replace(const struct tresor__effect *effect, enum outcome outcome)
{
    struct world_file *file = file_of(effect);
    struct pages from = pages_of(effect);
    struct pages to = pages_at(file->pages, effect->offset, effect->length);
    bool is_torn = outcome == OUTCOME_TORN;
    must_not_be_in_use(from, "a replacing");
    must_not_be_locked(to, "a replacing");
    for (uint32_t i = 0; i < from.last - from.first; i++) {
        struct world_page *page = &to.list[to.first + i];
        struct world_page *made = &from.list[from.first + i];
        *page = is_torn ? (struct world_page){.backing = TRESOR__BACKING_FILE,
                                              .bytes = ALL_EIGHTHS,
                                              .has_memory = true}
                        : *made;
        if (!is_torn)
            *made = (struct world_page){.backing = made->backing};
        else if (made->backing == TRESOR__BACKING_FILE)
            made->has_memory = false; /* the page cache has it once */
    }
    return is_torn && !(effect->flags & TRESOR__MAP_FILE) ? -ENOMEM : 0;
}

static int64_t populate(const struct tresor__effect *effect)
{
    bool is_file = !(effect->flags & TRESOR__POPULATE_WRITE);
    if (effect->space != TRESOR__SPACE_WINDOW && effect->space != TRESOR__SPACE_SCRATCH)
        return 0;
    struct pages pages = pages_of(effect);
    if (effect->kind == TRESOR__EFFECT_READAHEAD && pages.list[pages.first].backing != TRESOR__BACKING_FILE)
        return 0; /* its extent is gone; there is no harm in that */
    must_be_within(effect, pages, is_file ? TRESOR__BACKING_FILE : TRESOR__BACKING_ANONYMOUS,
                   "a populate");
    for (uint32_t i = pages.first; i < pages.last; i++) {
        pages.list[i].has_memory = true;
        if (is_file && !pages.list[i].is_replaced)
            pages.list[i].bytes = ALL_EIGHTHS;
    }
    return 0;
}

/* Every read begins where an eighth does, and one that ends within one ends with the file. */
static void put_bytes(const struct tresor__effect *effect, uint64_t count)
{
    uint64_t eighth = world->spec->page_bytes / EIGHTHS;
    struct pages pages = pages_of(effect);
    must_be_within(effect, pages, TRESOR__BACKING_ANONYMOUS, "a read");
    for (uint32_t i = pages.first; i < pages.last; i++)
        pages.list[i].has_memory = true;
    uint64_t last = (effect->place + count + eighth - 1) / eighth;
    if (effect->offset + count < model_size(part_of(effect->descriptor)))
        last = (effect->place + count) / eighth;
    for (uint64_t i = effect->place / eighth; i < last; i++)
        if (i / EIGHTHS < WORLD_PAGES)
            pages.list[i / EIGHTHS].bytes |= (uint8_t)(1u << i % EIGHTHS);
}

/* What is left begins where an eighth does, but for the file's last one. */
static uint64_t shorten(uint64_t count, uint64_t eighth)
{
    if (count <= eighth)
        return count / 2;
    return count < 2 * eighth ? eighth : count / 2 / eighth * eighth;
}

static int64_t read_bytes(const struct tresor__effect *effect, enum outcome outcome)
{
    uint64_t size = model_size(part_of(effect->descriptor));
    uint64_t rest = effect->offset < size ? size - effect->offset : 0;
    uint64_t count = effect->length < rest ? effect->length : rest;
    if (outcome == OUTCOME_SHORT)
        count = shorten(count, world->spec->page_bytes / EIGHTHS);
    if (outcome == OUTCOME_NOTHING)
        count = 0;
    if (effect->space == TRESOR__SPACE_WINDOW || effect->space == TRESOR__SPACE_SCRATCH)
        put_bytes(effect, count);
    if (effect->space == TRESOR__SPACE_STAGE) {
        uint32_t stage = world->context->controller.io.blocks[effect->slot].stage;
        if (world->context->controller.io.stages[stage].state != TRESOR__STAGE_READING)
            world_violate("a read into a stage that nobody reads into");
        world->staged_bytes[stage] = effect->place + count;
    }
    return outcome == OUTCOME_LIE ? (int64_t)effect->length + 1 : (int64_t)count;
}

/* What is looked at is all there, but for what a guard has replaced. */
static int64_t look(const struct tresor__effect *effect, enum outcome outcome)
{
    struct tresor__digest_record *record = effect->record;
    uint64_t eighth = world->spec->page_bytes / EIGHTHS;
    const struct world_page *pages = file_of(effect)->pages;
    uint64_t last = effect->length > 0 ? (effect->place + effect->length + eighth - 1) / eighth : 0;
    for (uint64_t i = effect->place / eighth; i < last && i / EIGHTHS < WORLD_PAGES; i++)
        if (!pages[i / EIGHTHS].is_replaced && !(pages[i / EIGHTHS].bytes >> i % EIGHTHS & 1))
            world_violate("a look at bytes that are not there");
    record->high = record->low = outcome == OUTCOME_WRONG ? 0 : WORLD_DIGEST;
    record->bad_element = outcome == OUTCOME_NOT_FINITE ? 0 : UINT64_MAX;
    return (int64_t)(outcome == OUTCOME_SHORT ? effect->length / 2 : effect->length);
}

static int64_t lock(const struct tresor__effect *effect)
{
    struct pages pages = pages_of(effect);
    for (uint32_t i = pages.first; i < pages.last; i++) {
        if (pages.list[i].backing == TRESOR__BACKING_NONE)
            world_violate("a lock of a page that is not there");
        pages.list[i].is_locked = true;
    }
    return 0;
}

static int64_t unlock(const struct tresor__effect *effect)
{
    struct pages pages = pages_of(effect);
    for (uint32_t i = pages.first; i < pages.last; i++)
        pages.list[i].is_locked = false;
    return 0;
}

/* --- files --- */

static int64_t open_part(const struct tresor__effect *effect)
{
    uint32_t part = model_part_of(effect->path);
    world->opened[part]++;
    return DESCRIPTOR_FIRST + (int64_t)part;
}

static int64_t open_direct(const struct tresor__effect *effect)
{
    struct tresor__direct_facts *facts = effect->record;
    uint32_t part = part_of(effect->descriptor);
    facts->alignment_bytes = ALIGNMENT_BYTES;
    world->opened_direct[part]++;
    return DIRECT_FIRST + (int64_t)part;
}

static void close_descriptor(const struct tresor__effect *effect)
{
    uint32_t part = part_of(effect->descriptor);
    uint8_t *opened = effect->descriptor >= DIRECT_FIRST ? world->opened_direct : world->opened;
    if (opened[part] == 0)
        world_violate("a descriptor is closed that is not open");
    else
        opened[part]--;
}

static int64_t stat_part(const struct tresor__effect *effect, enum outcome outcome)
{
    uint32_t part = part_of(effect->descriptor);
    *(struct tresor__identity *)effect->record = (struct tresor__identity){
        .device = 1,
        .inode = 1 + part,
        .size_bytes = outcome == OUTCOME_EMPTY ? 0 : model_size(part),
        .modified_ns = outcome == OUTCOME_CHANGED,
    };
    return 0;
}

static int64_t reserve(const struct tresor__effect *effect)
{
    if (effect->flags & TRESOR__RESERVE_WRITABLE) {
        world->headers++;
        return (int64_t)(uintptr_t)model_bytes(part_of(effect->descriptor));
    }
    if (effect->record) {
        struct tresor__guard_range *range = effect->record;
        range->start = ((uintptr_t)effect->file + 1) << 40;
        range->is_guarded = true;
    }
    file_of(effect)->windows++;
    return ((int64_t)effect->file + 1) << 40;
}

static int64_t release(const struct tresor__effect *effect)
{
    struct world_file *file = file_of(effect);
    if (effect->space == TRESOR__SPACE_HEADER) {
        if (world->headers-- == 0)
            world_violate("a header is given back that is not mapped");
        return 0;
    }
    if (effect->record)
        ((struct tresor__guard_range *)effect->record)->is_guarded = false;
    if (file->windows-- == 0)
        world_violate("a window is given back that is not there");
    must_not_be_in_use((struct pages){file->pages, 0, WORLD_PAGES}, "a release");
    must_not_be_in_use((struct pages){file->scratch, 0, WORLD_PAGES}, "a release");
    for (uint32_t i = 0; i < WORLD_PAGES; i++)
        file->pages[i] = file->scratch[i] = (struct world_page){.backing = TRESOR__BACKING_NONE};
    return 0;
}

static int64_t query(const struct tresor__effect *effect)
{
    *(struct tresor__lock_facts *)effect->record =
        (struct tresor__lock_facts){.limit_bytes = world->spec->page_bytes};
    return 0;
}

/* --- faults --- */

static bool is_acquired(uint32_t page)
{
    const struct tresor__slot *slot = &world->context->controller.slots[0];
    uint64_t start = page * world->spec->page_bytes;
    for (uint32_t i = 0; i < host_pieces(); i++) {
        const struct tresor__piece *piece = &slot->pieces[i];
        if (world->host.pins[i] > 0 && piece->offset_bytes < start + world->spec->page_bytes &&
            piece->offset_bytes + piece->size_bytes > start)
            return true;
    }
    return false;
}

bool world_may_fault(uint32_t page)
{
    const struct world_page *it = &world->files[0].pages[page];
    return world->spec->has_guard && world->context->controller.guard.state == GUARD_GUARDING &&
           it->backing == TRESOR__BACKING_FILE && !it->is_replaced && is_acquired(page);
}

/* What the handler of the signal does: zeros, which nothing locks, and a mark. */
void world_fault(uint32_t page)
{
    struct tresor__model_file *file = world->context->controller.slots[0].source.model.files;
    tresor__guard_mark(&file->guard, page);
    world->files[0].pages[page] = (struct world_page){
        .backing = TRESOR__BACKING_FILE, .has_memory = true, .is_replaced = true};
}

/* --- one effect --- */

/* A close that failed has closed, and what is freed is freed. */
static int64_t fail(const struct tresor__effect *effect)
{
    if (effect->kind == TRESOR__EFFECT_CLOSE)
        close_descriptor(effect);
    if (effect->kind == TRESOR__EFFECT_WORK && effect->flags == TRESOR__WORK_FREE)
        effect->work(effect->record);
    switch (effect->kind) {
    case TRESOR__EFFECT_RESERVE:
    case TRESOR__EFFECT_RELEASE:
    case TRESOR__EFFECT_MAP:
    case TRESOR__EFFECT_UNMAP:
    case TRESOR__EFFECT_REPLACE:
    case TRESOR__EFFECT_LOCK:
    case TRESOR__EFFECT_WORK:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static int64_t succeed(const struct tresor__effect *effect, enum outcome outcome)
{
    switch (effect->kind) {
    case TRESOR__EFFECT_OPEN:
        return open_part(effect);
    case TRESOR__EFFECT_OPEN_DIRECT:
        return open_direct(effect);
    case TRESOR__EFFECT_STAT:
        return stat_part(effect, outcome);
    case TRESOR__EFFECT_CLOSE:
        close_descriptor(effect);
        return 0;
    case TRESOR__EFFECT_WORK:
        return effect->work(effect->record);
    case TRESOR__EFFECT_RESERVE:
        return reserve(effect);
    case TRESOR__EFFECT_RELEASE:
        return release(effect);
    case TRESOR__EFFECT_MAP:
        return map(effect, outcome);
    case TRESOR__EFFECT_UNMAP:
        return unmap(effect);
    case TRESOR__EFFECT_MOVE:
        return move(effect);
    case TRESOR__EFFECT_REPLACE:
        return replace(effect, outcome);
    case TRESOR__EFFECT_POPULATE:
    case TRESOR__EFFECT_READAHEAD:
        return populate(effect);
    case TRESOR__EFFECT_READ:
        return read_bytes(effect, outcome);
    case TRESOR__EFFECT_CANCEL:
        return effect->is_cancelled;
    case TRESOR__EFFECT_DIGEST:
        return look(effect, outcome);
    case TRESOR__EFFECT_LOCK:
        return lock(effect);
    case TRESOR__EFFECT_UNLOCK:
        return unlock(effect);
    case TRESOR__EFFECT_QUERY:
        return query(effect);
    case TRESOR__EFFECT_WATCH:
        return TRESOR_PRESSURE_STALL;
    default:
        return 0;
    }
}

static int64_t become(const struct tresor__effect *effect, enum outcome outcome)
{
    if (effect->kind == TRESOR__EFFECT_LOCK && outcome != OUTCOME_OK)
        unlock(effect); /* what was locked of it is not any more */
    switch (outcome) {
    case OUTCOME_HARD:
        return fail(effect);
    case OUTCOME_INTERRUPTED:
        return -EINTR;
    case OUTCOME_REFUSED:
        return -EINVAL;
    case OUTCOME_UNREACHABLE:
        return -EFAULT;
    case OUTCOME_MEMORY:
        return -ENOMEM;
    case OUTCOME_CANCELLED:
        return -ECANCELED;
    case OUTCOME_CHANGED:
        return effect->kind == TRESOR__EFFECT_MAP ? -ESTALE : stat_part(effect, outcome);
    default:
        return succeed(effect, outcome);
    }
}

void world_answer(uint32_t index, enum outcome outcome)
{
    struct tresor__effect effect = world->in_flight[index];
    world->in_flight_count--;
    for (uint32_t i = index; i < world->in_flight_count; i++)
        world->in_flight[i] = world->in_flight[i + 1];
    struct tresor__completion completion = tresor__actor_answer(&effect, become(&effect, outcome));
    if (effect.machine == TRESOR__MACHINE_WATCH) {
        tresor__controller_deliver_watch(&world->context->controller, &completion);
        return;
    }
    world->staged = completion;
    world->is_staged = true;
}

void world_take_watch_effects(void)
{
    struct tresor__controller *controller = &world->context->controller;
    for (uint32_t i = 0; i < controller->watch_effect_count; i++) {
        if (world->in_flight_count == WORLD_EFFECTS) {
            world_violate("more effects than the world has room for");
            return;
        }
        struct tresor__effect *effect = &world->in_flight[world->in_flight_count++];
        *effect = controller->watch_effects[i];
        effect->record = &controller->pressure.record;
    }
    controller->watch_effect_count = 0;
}
