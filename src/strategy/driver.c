/* SPDX-License-Identifier: MIT */
#include "strategy/driver.h"

#include <errno.h>
#include <string.h>

#include <tresor/event.h>
#include <tresor/strategy.h>

#include "io/seams.h"
#include "source/model_tables.h"

enum {
    AHEAD_MAX = 3,
    LOCK_BYTES = 2 * 1024 * 1024,
    TENSORS_MAX = 1 << 24,
    EFFECTS_EACH = 2, /* of a block: its read, and that it ends early */
    EFFECTS_OTHER = AHEAD_MAX + 8,
    PIECES = 16,       /* that the block of memory is cut into */
    ALIGNMENT_BYTES = 16,
};

/* --- memory: one block of the caller's, cut from its start, never given back in parts --- */

struct arena {
    uint8_t *next;
    size_t left_bytes;
};

static void *cut(void *cookie, void *block, size_t old_bytes, size_t size_bytes)
{
    struct arena *arena = cookie;
    size_t bytes = (size_bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    (void)old_bytes;
    if (block || bytes > arena->left_bytes)
        return NULL;
    void *piece = arena->next;
    arena->next += bytes;
    arena->left_bytes -= bytes;
    return piece;
}

static void keep(void *cookie, void *block, size_t size_bytes)
{
    (void)cookie;
    (void)block;
    (void)size_bytes;
}

uint32_t tresor__driver_effects(const struct tresor__driver_limits *limits)
{
    return EFFECTS_EACH * limits->blocks_max + EFFECTS_OTHER;
}

size_t tresor__driver_bytes(uint32_t tensor_count, uint64_t file_bytes,
                            const struct tresor__driver_limits *limits)
{
    size_t intervals = 2 * (size_t)tensor_count + 1;
    size_t seams = tresor__bitset_words(tresor__seams_size(file_bytes + limits->page_bytes)) *
                   sizeof(uint64_t);
    size_t each = sizeof(struct tresor__entry) + sizeof(struct tresor__span) +
                  sizeof(struct tresor__driver_tensor) + 2 * sizeof(uint32_t) + 2 * sizeof(uint64_t);
    if (tensor_count > TENSORS_MAX)
        return 0;
    return sizeof(struct tresor__driver) + PIECES * ALIGNMENT_BYTES + seams + each * tensor_count +
           intervals * (sizeof(struct tresor__interval) + TRESOR__COVERS_EACH * sizeof(uint32_t)) +
           TRESOR__LEDGER_BITSETS * tresor__bitset_words((uint32_t)intervals) * sizeof(uint64_t) +
           limits->blocks_max * sizeof(struct tresor__block) +
           tresor__driver_effects(limits) * sizeof(struct tresor__effect);
}

/* --- steps --- */

static void carry(struct tresor__driver *driver, uint32_t machine, const struct tresor__message *message);

static const struct tresor__machine *machine_of(struct tresor__driver *driver, uint32_t machine,
                                                uint32_t slot, void **context)
{
    struct tresor__file *file = &driver->file.io;
    switch (machine) {
    case TRESOR__MACHINE_MAPPING:
        *context = &file->mapping;
        return &tresor__mapping_machine;
    case TRESOR__MACHINE_READ:
        *context = &file->read;
        return &tresor__read_machine;
    case TRESOR__MACHINE_MLOCK:
        *context = &file->mlock;
        return &tresor__mlock_machine;
    default:
        *context = &driver->io.blocks[slot];
        return &tresor__block_machine;
    }
}

static void step(struct tresor__driver *driver, uint32_t machine, uint32_t slot,
                 const struct tresor__input *input)
{
    void *context;
    struct tresor__outbox out = {.effect_count = 0};
    const struct tresor__machine *stepped = machine_of(driver, machine, slot, &context);
    uint32_t rule = tresor__machine_step(stepped, context, input, &out);
    assert(rule != TRESOR__REJECTED);
    (void)rule;
    assert(driver->effect_count + out.effect_count <= driver->effects_max);
    for (uint32_t i = 0; i < out.effect_count; i++)
        driver->effects[driver->effect_count++] = out.effects[i];
    for (uint32_t i = 0; i < out.message_count; i++)
        carry(driver, machine, &out.messages[i]);
}

static void signal(struct tresor__driver *driver, uint32_t machine, uint32_t slot, uint32_t event,
                   int64_t value)
{
    step(driver, machine, slot, &(struct tresor__input){.event = event, .value = value});
}

static void degrade(struct tresor__driver *driver, const struct tresor__message *message)
{
    if (message->event != TRESOR_DEGRADED_DIRECT)
        return;
    driver->file.io.direct.is_open = false;
    driver->file.io.direct.os_errno = message->code;
    driver->direct_errno = message->code;
}

static void carry(struct tresor__driver *driver, uint32_t machine, const struct tresor__message *message)
{
    struct tresor__file *file = &driver->file.io;
    switch (message->kind) {
    case TRESOR__MESSAGE_AGAIN:
        file->turns |= machine == TRESOR__MACHINE_MAPPING ? TRESOR__TURN_MAPPING
                       : machine == TRESOR__MACHINE_READ  ? TRESOR__TURN_READ
                                                          : TRESOR__TURN_MLOCK;
        break;
    case TRESOR__MESSAGE_LOOK:
        file->turns |= TRESOR__TURN_NEWS;
        break;
    case TRESOR__MESSAGE_BLOCK_START:
        signal(driver, TRESOR__MACHINE_BLOCK, message->slot, BLOCK_ON_START, 0);
        break;
    case TRESOR__MESSAGE_BLOCK_END:
        signal(driver, TRESOR__MACHINE_READ, 0, READ_ON_BLOCK_END, message->slot);
        break;
    case TRESOR__MESSAGE_AWAIT_BLOCK:
        driver->awaits_block = true;
        break;
    case TRESOR__MESSAGE_DEGRADED:
        degrade(driver, message);
        break;
    default:
        assert(false); /* there is no limit of room, and nobody else to talk to */
    }
}

/* Only machines that will take work get a turn for it. */
static uint32_t turns_of(const struct tresor__file *file)
{
    const struct tresor__ledger *ledger = &file->ledger;
    bool maps = ledger->release[TRESOR__BACKING_FILE].count > 0 ||
                tresor__ledger_wants(ledger, TRESOR__BACKING_FILE);
    bool reads = ledger->release[TRESOR__BACKING_ANONYMOUS].count > 0 ||
                 tresor__ledger_wants(ledger, TRESOR__BACKING_ANONYMOUS);
    bool locks = ledger->lock.count > 0 || ledger->unlock.count > 0;
    return (maps && file->mapping.state == MAPPING_IDLE ? TRESOR__TURN_MAPPING : 0u) |
           (reads && file->read.state == READ_IDLE ? TRESOR__TURN_READ : 0u) |
           (locks && file->mlock.state == MLOCK_IDLE ? TRESOR__TURN_MLOCK : 0u);
}

static bool is_refused(const struct tresor__driver *driver)
{
    return driver->is_known && driver->unknown.code != TRESOR_OK;
}

void tresor__driver_run(struct tresor__driver *driver)
{
    struct tresor__file *file = &driver->file.io;
    if (!driver->is_known || is_refused(driver))
        return;
    file->turns |= turns_of(file);
    while (file->turns || (driver->awaits_block && driver->io.free_count > 0)) {
        uint32_t turns = file->turns;
        if (driver->awaits_block && driver->io.free_count > 0) {
            driver->awaits_block = false;
            turns |= TRESOR__TURN_READ;
        }
        file->turns = 0;
        if (turns & TRESOR__TURN_MAPPING)
            signal(driver, TRESOR__MACHINE_MAPPING, 0, MAPPING_ON_TURN, 0);
        if (turns & TRESOR__TURN_READ)
            signal(driver, TRESOR__MACHINE_READ, 0, READ_ON_TURN, 0);
        if (turns & TRESOR__TURN_MLOCK)
            signal(driver, TRESOR__MACHINE_MLOCK, 0, MLOCK_ON_TURN, 0);
        if (turns & TRESOR__TURN_NEWS)
            file->turns |= turns_of(file);
    }
}

/* --- making --- */

static void start_io(struct tresor__driver *driver, const struct tresor__driver_limits *limits)
{
    driver->io = (struct tresor__io){
        .blocks = driver->io.blocks,
        .block_count = limits->blocks_max,
        .free_stage = TRESOR_NONE,
        .page_bytes = limits->page_bytes,
        .block_bytes = limits->block_bytes,
        .populate_bytes = limits->populate_bytes,
        .ahead_max = AHEAD_MAX,
        .lock_bytes = LOCK_BYTES,
        .room = {.limit_bytes = UINT64_MAX},
        .direct = limits->direct_alignment_bytes > 0 ? TRESOR_DIRECT_ON : TRESOR_DIRECT_OFF,
    };
    tresor__io_free_blocks(&driver->io);
    for (uint32_t i = 0; i < limits->blocks_max; i++)
        driver->io.blocks[i].index = i;
}

static int32_t make_model(struct tresor__driver *driver, struct arena *arena,
                          const struct tresor__driver_file *file)
{
    struct tresor__model *model = &driver->model;
    uint32_t count = file->tensor_count;
    model->allocator = (struct tresor_allocator){.cookie = arena, .reallocate = cut, .free = keep};
    model->io = &driver->io;
    model->files = &driver->file;
    model->file_count = 1;
    model->file_total = 1;
    model->piece_count = count;
    model->directory.entry_count = count;
    model->directory.entries = cut(arena, NULL, 0, count * sizeof *model->directory.entries);
    driver->tensors = cut(arena, NULL, 0, count * sizeof *driver->tensors);
    if (!model->directory.entries || !driver->tensors)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        model->directory.entries[i] =
            (struct tresor__entry){.offset_bytes = file->tensors[i].offset_bytes,
                                   .size_bytes = file->tensors[i].size_bytes};
    return tresor__model_make_tables(model);
}

static void take_file(struct tresor__driver *driver, const struct tresor__driver_limits *limits,
                      const struct tresor__driver_file *file)
{
    uint64_t page = limits->page_bytes;
    tresor__file_init(&driver->file.io, &driver->io, 0, 0);
    driver->file.identity.size_bytes = file->file_bytes;
    driver->file.window = file->window;
    driver->file.window_bytes = (file->file_bytes + page - 1) / page * page;
    driver->file.descriptor = file->descriptor;
    driver->file.direct_descriptor = file->direct_descriptor;
    driver->file.io.direct.is_open = limits->direct_alignment_bytes > 0;
    driver->file.io.direct.facts.alignment_bytes = limits->direct_alignment_bytes;
}

static void ask_identity(struct tresor__driver *driver)
{
    driver->effects[driver->effect_count++] = (struct tresor__effect){
        .kind = TRESOR__EFFECT_STAT, .machine = TRESOR__MACHINE_SOURCE};
}

int32_t tresor__driver_make(void *memory, size_t size_bytes,
                            const struct tresor__driver_limits *limits,
                            const struct tresor__driver_file *file, struct tresor__driver **driver)
{
    struct arena arena = {memory, size_bytes};
    struct tresor__driver *made = cut(&arena, NULL, 0, sizeof *made);
    if (!made)
        return TRESOR_ERROR_NO_MEMORY;
    made->effects_max = tresor__driver_effects(limits);
    made->effects = cut(&arena, NULL, 0, made->effects_max * sizeof *made->effects);
    made->io.blocks = cut(&arena, NULL, 0, limits->blocks_max * sizeof *made->io.blocks);
    if (!made->effects || !made->io.blocks)
        return TRESOR_ERROR_NO_MEMORY;
    start_io(made, limits);
    take_file(made, limits, file);
    int32_t code = make_model(made, &arena, file);
    if (code != TRESOR_OK)
        return code;
    made->model.allocator = (struct tresor_allocator){0}; /* nothing more is cut from it */
    ask_identity(made);
    *driver = made;
    return TRESOR_OK;
}

bool tresor__driver_marks(struct tresor__driver *driver, const uint32_t *tensors, uint32_t count)
{
    uint32_t marked = 0;
    while (marked < count && tensors[marked] < driver->model.piece_count &&
           !driver->tensors[tensors[marked]].is_named)
        driver->tensors[tensors[marked++]].is_named = true;
    for (uint32_t i = 0; i < marked; i++)
        driver->tensors[tensors[i]].is_named = false;
    return marked == count;
}

/* --- what is asked of it --- */

void tresor__driver_load(struct tresor__driver *driver, uint32_t tensor,
                         enum tresor__backing backing)
{
    driver->tensors[tensor].role = TRESOR__DRIVER_LOADING;
    tresor__ledger_claim(&driver->file.io.ledger, tensor, backing, TRESOR__URGENCY_NORMAL);
}

void tresor__driver_release(struct tresor__driver *driver, uint32_t tensor)
{
    driver->tensors[tensor].role = TRESOR__DRIVER_LEAVING;
    tresor__ledger_unclaim(&driver->file.io.ledger, tensor, true);
}

void tresor__driver_lock(struct tresor__driver *driver, uint32_t tensor)
{
    driver->tensors[tensor].lock_role = TRESOR__DRIVER_LOADING;
    tresor__ledger_lock(&driver->file.io.ledger, tensor);
}

void tresor__driver_unlock(struct tresor__driver *driver, uint32_t tensor)
{
    driver->tensors[tensor].lock_role = TRESOR__DRIVER_LEAVING;
    tresor__ledger_unlock(&driver->file.io.ledger, tensor, true);
}

/* --- what comes out --- */

static void resolve(struct tresor__driver *driver, struct tresor__effect *effect)
{
    struct tresor__model_file *file = &driver->file;
    bool is_direct = effect->kind == TRESOR__EFFECT_READ && effect->flags & TRESOR__READ_DIRECT;
    effect->descriptor = is_direct ? file->direct_descriptor : file->descriptor;
    effect->address = effect->space == TRESOR__SPACE_WINDOW ? file->window + effect->place : NULL;
    effect->target = effect->kind == TRESOR__EFFECT_MOVE ? file->window + effect->offset : NULL;
    effect->record = effect->kind == TRESOR__EFFECT_STAT    ? (void *)&file->seen
                     : effect->kind == TRESOR__EFFECT_READ  ? (void *)&file->io.direct.facts
                     : effect->kind == TRESOR__EFFECT_MAP   ? (void *)&file->identity
                     : effect->kind == TRESOR__EFFECT_QUERY ? (void *)&file->io.lock_facts
                                                            : NULL;
}

uint32_t tresor__driver_take(struct tresor__driver *driver, struct tresor__effect *effects,
                             uint32_t limit)
{
    uint32_t count = driver->effect_count < limit ? driver->effect_count : limit;
    for (uint32_t i = 0; i < count; i++) {
        effects[i] = driver->effects[i];
        resolve(driver, &effects[i]);
    }
    driver->effect_count -= count;
    driver->in_flight += count;
    memmove(driver->effects, driver->effects + count, driver->effect_count * sizeof *effects);
    return count;
}

/* Another file than it was said to be has other bytes at the tensors' places. */
static void know(struct tresor__driver *driver, const struct tresor__completion *completion)
{
    const struct tresor__identity *seen = &driver->file.seen;
    uint64_t wanted = driver->file.identity.size_bytes;
    driver->is_known = true;
    if (completion->os_errno != 0)
        driver->unknown = tresor__failure_of(TRESOR_ERROR_IO, completion->os_errno, 0, 0, 0);
    else if (seen->size_bytes != wanted)
        driver->unknown =
            tresor__failure_of(TRESOR_ERROR_CHANGED, 0, 0, wanted, seen->size_bytes);
    else
        driver->file.identity = *seen;
}

void tresor__driver_deliver(struct tresor__driver *driver,
                            const struct tresor__completion *completion)
{
    assert(driver->in_flight > 0);
    driver->in_flight--;
    if (completion->kind == TRESOR__EFFECT_STAT)
        know(driver, completion);
    else
        step(driver, completion->machine, completion->slot,
             &(struct tresor__input){.event = completion->event,
                                     .os_errno = completion->os_errno,
                                     .value = completion->value});
    tresor__driver_run(driver);
}

/* The news that a result is made of, what a tensor awaits that has it, and what its role becomes by it. */
static const struct {
    enum tresor__span_news news;
    bool is_lock;
    bool is_end; /* of the two that tell of a place that is given back, the last */
    uint8_t from;
    uint8_t to;
} rows[] = {
    {TRESOR__NEWS_RELEASE_FAILED, false, false, TRESOR__DRIVER_LEAVING, TRESOR__DRIVER_LEAVING},
    {TRESOR__NEWS_RELEASED, false, true, TRESOR__DRIVER_LEAVING, TRESOR__DRIVER_ABSENT},
    {TRESOR__NEWS_FILL_FAILED, false, true, TRESOR__DRIVER_LOADING, TRESOR__DRIVER_ABSENT},
    {TRESOR__NEWS_FILLED, false, true, TRESOR__DRIVER_LOADING, TRESOR__DRIVER_RESIDENT},
    {TRESOR__NEWS_UNLOCK_FAILED, true, false, TRESOR__DRIVER_LEAVING, TRESOR__DRIVER_LEAVING},
    {TRESOR__NEWS_UNLOCKED, true, true, TRESOR__DRIVER_LEAVING, TRESOR__DRIVER_ABSENT},
    {TRESOR__NEWS_LOCK_FAILED, true, true, TRESOR__DRIVER_LOADING, TRESOR__DRIVER_ABSENT},
    {TRESOR__NEWS_LOCKED, true, true, TRESOR__DRIVER_LOADING, TRESOR__DRIVER_RESIDENT},
};

/* One news; a failure to give something back is told when all else of it has been given back. */
static struct tresor__driver_result tell(struct tresor__driver *driver, uint32_t index, uint32_t row)
{
    struct tresor__ledger *ledger = &driver->file.io.ledger;
    struct tresor__span *span = &ledger->spans[index];
    struct tresor__driver_tensor *tensor = &driver->tensors[index];
    struct tresor__driver_result result = {.tensor = index};
    uint8_t *role = rows[row].is_lock ? &tensor->lock_role : &tensor->role;
    bool *has_failed = rows[row].is_lock ? &tensor->unlock_failed : &tensor->release_failed;
    if (*role != rows[row].from)
        return result;
    *role = rows[row].to;
    bool is_failure = rows[row].news &
                      (TRESOR__NEWS_RELEASE_FAILED | TRESOR__NEWS_FILL_FAILED |
                       TRESOR__NEWS_UNLOCK_FAILED | TRESOR__NEWS_LOCK_FAILED);
    *has_failed = *has_failed || is_failure;
    if (!rows[row].is_end)
        return result;
    result.news = rows[row].news;
    if (*has_failed)
        result.failure = rows[row].is_lock ? span->lock_failure : span->failure;
    *has_failed = false;
    if (rows[row].news == TRESOR__NEWS_FILL_FAILED)
        tresor__ledger_unclaim(ledger, index, false);
    if (rows[row].news == TRESOR__NEWS_LOCK_FAILED)
        tresor__ledger_unlock(ledger, index, false);
    return result;
}

/* Of several news of one tensor the others come next. */
static struct tresor__driver_result tell_next(struct tresor__driver *driver, uint32_t tensor)
{
    enum {
        ROWS = sizeof rows / sizeof *rows
    };
    struct tresor__ledger *ledger = &driver->file.io.ledger;
    struct tresor__span *span = &ledger->spans[tensor];
    struct tresor__driver_result result = {0};
    span->news &= (uint16_t)~TRESOR__NEWS_PROGRESS;
    for (uint32_t row = 0; row < ROWS && result.news == 0; row++) {
        if (!(span->news & rows[row].news))
            continue;
        span->news = (uint16_t)(span->news & ~rows[row].news);
        result = tell(driver, tensor, row);
    }
    if (span->news != 0 && !span->in_news)
        tresor__ledger_tell(ledger, tensor, (enum tresor__span_news)span->news);
    return result;
}

/* A tensor that waits for what cannot be loaded; how many tensors there are where none does. */
static uint32_t find_loading(const struct tresor__driver *driver)
{
    uint32_t tensor = 0;
    while (tensor < driver->model.piece_count &&
           driver->tensors[tensor].role != TRESOR__DRIVER_LOADING)
        tensor++;
    return tensor;
}

/* Why nothing can be loaded is the same for all that is asked. */
static struct tresor__driver_result refuse(struct tresor__driver *driver, uint32_t tensor)
{
    driver->tensors[tensor].role = TRESOR__DRIVER_ABSENT;
    tresor__ledger_unclaim(&driver->file.io.ledger, tensor, false);
    return (struct tresor__driver_result){
        .news = TRESOR__NEWS_FILL_FAILED, .tensor = tensor, .failure = driver->unknown};
}

struct tresor__driver_result tresor__driver_next(struct tresor__driver *driver)
{
    struct tresor__driver_result result = {0};
    uint32_t loading = is_refused(driver) ? find_loading(driver) : driver->model.piece_count;
    if (loading < driver->model.piece_count)
        return refuse(driver, loading);
    while (result.news == 0) {
        uint32_t tensor = tresor__ledger_pop_news(&driver->file.io.ledger);
        if (tensor == TRESOR_NONE)
            break;
        result = tell_next(driver, tensor);
    }
    tresor__driver_run(driver); /* what a failure has left is released */
    return result;
}

bool tresor__driver_has_more(const struct tresor__driver *driver)
{
    bool is_owed = is_refused(driver) && find_loading(driver) < driver->model.piece_count;
    return is_owed || driver->effect_count > 0 || driver->direct_errno != 0 ||
           driver->file.io.ledger.news_head != TRESOR_NONE;
}
