/* SPDX-License-Identifier: MIT */
#include "tensor/controller.h"

#include <errno.h>

#include "core/handle.h"
#include "tensor/pins.h"

enum {
    EFFECTS_MARGIN = 64, /* room that a turn may need before effects are taken again */
    EFFECTS_SPARE = 512,
    LOCK_BYTES = 2 * 1024 * 1024,
};

static void init_lists(struct tresor__controller *controller)
{
    const struct tresor__controller_limits *limits = &controller->limits;
    controller->turns = (struct tresor__queue){TRESOR_NONE, TRESOR_NONE};
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++) {
        controller->hungry[i] = controller->turns;
        controller->starving[i] = controller->turns;
    }
    controller->stageless = controller->turns;
    controller->roomless = controller->turns;
    controller->swapless = controller->turns;
    controller->events = controller->turns;
    for (uint32_t i = 0; i < limits->sources; i++) {
        controller->slots[i].source.index = (uint16_t)i;
        controller->slots[i].request = TRESOR_NONE;
    }
    for (uint32_t i = 0; i < limits->requests; i++) {
        controller->requests[i].index = i;
        controller->requests[i].next = i + 1 < limits->requests ? i + 1 : TRESOR_NONE;
        controller->copies[i].index = i;
        controller->checks[i].index = i;
        controller->copies[i].io = &controller->io;
        controller->streams[i] = (struct tresor__stream){.index = i,
                                                         .io = &controller->io,
                                                         .pair = TRESOR_NONE,
                                                         .failed_pair = TRESOR_NONE,
                                                         .first_stage = TRESOR_NONE,
                                                         .last_stage = TRESOR_NONE};
    }
    for (uint32_t i = 0; i < limits->items; i++)
        controller->items[i].next = i + 1 < limits->items ? i + 1 : TRESOR_NONE;
    for (uint32_t i = 0; i < limits->pairs; i++)
        controller->pairs[i].next = i + 1 < limits->pairs ? i + 1 : TRESOR_NONE;
    tresor__io_free_blocks(&controller->io);
    for (uint32_t i = 0; i < limits->stages; i++)
        controller->io.stages[i].next = i + 1 < limits->stages ? i + 1 : TRESOR_NONE;
    for (uint32_t i = 0; i < TRESOR__LOOKS_MAX; i++) {
        controller->digests[i].index = i;
        controller->digests[i].next = i + 1 < TRESOR__LOOKS_MAX ? i + 1 : TRESOR_NONE;
    }
    controller->first_look = controller->last_look = TRESOR__NOBODY;
    controller->free_item_count = limits->items;
    controller->free_pair_count = limits->pairs;
}

static void *allocate(struct tresor__controller *controller, uint32_t count, size_t size_bytes)
{
    return tresor__allocate(&controller->allocator, count * size_bytes);
}

int32_t tresor__controller_init(struct tresor__controller *controller,
                                const struct tresor_allocator *allocator,
                                const struct tresor__controller_limits *limits)
{
    *controller = (struct tresor__controller){.allocator = *allocator, .limits = *limits};
    /* A block may have its read and the read's cancelling out. */
    controller->effects_max = 2 * limits->blocks + EFFECTS_SPARE;
    controller->slots = allocate(controller, limits->sources, sizeof *controller->slots);
    controller->requests = allocate(controller, limits->requests, sizeof *controller->requests);
    controller->copies = allocate(controller, limits->requests, sizeof *controller->copies);
    controller->streams = allocate(controller, limits->requests, sizeof *controller->streams);
    controller->stage_words = allocate(controller, limits->stages, sizeof *controller->stage_words);
    controller->destinations =
        allocate(controller, limits->requests, sizeof *controller->destinations);
    controller->checks = allocate(controller, limits->requests, sizeof *controller->checks);
    controller->digests = allocate(controller, TRESOR__LOOKS_MAX, sizeof *controller->digests);
    controller->items = allocate(controller, limits->items, sizeof *controller->items);
    controller->pairs = allocate(controller, limits->pairs, sizeof *controller->pairs);
    controller->effects =
        allocate(controller, controller->effects_max, sizeof *controller->effects);
    controller->seals = allocate(controller, controller->effects_max, sizeof *controller->seals);
    controller->io = (struct tresor__io){
        .blocks = allocate(controller, limits->blocks, sizeof(struct tresor__block)),
        .block_count = limits->blocks,
        .stages = allocate(controller, limits->stages, sizeof(struct tresor__stage)),
        .stage_bytes = limits->stage_bytes,
        .page_bytes = limits->page_bytes,
        .block_bytes = limits->block_bytes,
        .populate_bytes = limits->populate_bytes,
        .ahead_max = limits->ahead_max,
        .lock_bytes = LOCK_BYTES,
        .direct = (uint8_t)limits->direct,
        .spare_bytes_max = limits->spare_bytes,
        .room.limit_bytes = limits->budget_bytes > 0 ? limits->budget_bytes : UINT64_MAX,
        .room.seams_max = limits->seams_max,
    };
    if (!controller->slots || !controller->requests || !controller->copies ||
        !controller->destinations || !controller->items || !controller->pairs ||
        !controller->streams || !controller->checks || !controller->digests || !controller->stage_words || !controller->io.stages ||
        !controller->effects || !controller->seals || !controller->io.blocks) {
        tresor__controller_free(controller);
        return TRESOR_ERROR_NO_MEMORY;
    }
    init_lists(controller);
    tresor__budget_init(controller, limits->budget_bytes, limits->policy);
    return TRESOR_OK;
}

static void release(struct tresor__controller *controller, void *block, uint32_t count,
                    size_t size_bytes)
{
    tresor__free(&controller->allocator, block, count * size_bytes);
}

void tresor__controller_free(struct tresor__controller *controller)
{
    const struct tresor__controller_limits *limits = &controller->limits;
    for (uint32_t i = 0; controller->slots && i < limits->sources; i++)
        tresor__pins_free(&controller->slots[i], &controller->allocator);
    release(controller, controller->slots, limits->sources, sizeof *controller->slots);
    release(controller, controller->requests, limits->requests, sizeof *controller->requests);
    release(controller, controller->copies, limits->requests, sizeof *controller->copies);
    release(controller, controller->streams, limits->requests, sizeof *controller->streams);
    release(controller, controller->checks, limits->requests, sizeof *controller->checks);
    release(controller, controller->digests, TRESOR__LOOKS_MAX, sizeof *controller->digests);
    release(controller, controller->stage_words, limits->stages,
            sizeof *controller->stage_words);
    release(controller, controller->io.stages, limits->stages, sizeof(struct tresor__stage));
    release(controller, controller->destinations, limits->requests,
            sizeof *controller->destinations);
    release(controller, controller->items, limits->items, sizeof *controller->items);
    release(controller, controller->pairs, limits->pairs, sizeof *controller->pairs);
    release(controller, controller->effects, controller->effects_max, sizeof *controller->effects);
    release(controller, controller->seals, controller->effects_max, sizeof *controller->seals);
    release(controller, controller->io.blocks, limits->blocks, sizeof(struct tresor__block));
    *controller = (struct tresor__controller){0};
}

bool tresor__controller_in_use(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++)
        if (controller->slots[i].source.state != SOURCE_FREE)
            return true;
    for (uint32_t i = 0; i < controller->limits.requests; i++)
        if (controller->requests[i].state != REQUEST_FREE)
            return true;
    return false;
}

void tresor__controller_answer_seal(struct tresor__controller *controller,
                                    const struct tresor__effect *effect)
{
    struct tresor__slot *slot = &controller->slots[effect->source];
    uint64_t record = tresor__pins_record(slot, effect->slot);
    bool is_used = effect->flags & TRESOR__SEAL_UNUSED &&
                   record >> TRESOR__STAMP_SHIFT > slot->pieces[effect->slot].use.stamp;
    bool sealed = !is_used && tresor__pins_seal(slot, effect->slot);
    uint32_t place = (controller->seal_head + controller->seal_count++) % controller->effects_max;
    controller->seals[place] = (struct tresor__completion){
        .kind = effect->kind,
        .machine = effect->machine,
        .event = sealed ? effect->on_ok : effect->on_failed,
        .source = effect->source,
        .slot = effect->slot,
        .file = effect->file,
        .os_errno = sealed ? 0 : is_used ? EAGAIN : EBUSY,
        .value = (int64_t)record,
    };
}

uint32_t tresor__controller_take_effects(struct tresor__controller *controller)
{
    uint32_t count = controller->effect_count;
    controller->in_flight += count;
    controller->effect_count = 0;
    return count;
}

static void deliver(struct tresor__controller *controller,
                    const struct tresor__completion *completion)
{
    controller->completion_total++;
    bool known = tresor__router_step(controller,
                                     &(struct tresor__address){.machine = completion->machine,
                                                               .source = completion->source,
                                                               .slot = completion->slot},
                                     &(struct tresor__input){.event = completion->event,
                                                             .os_errno = completion->os_errno,
                                                             .value = completion->value});
    assert(known); /* our own backends complete only what was asked */
    (void)known;
}

static void count_read(struct tresor__controller *controller,
                       const struct tresor__completion *completion)
{
    uint64_t bytes = (uint64_t)completion->value;
    controller->read_bytes += bytes;
    if (completion->flags & TRESOR__READ_DIRECT)
        controller->direct_bytes += bytes;
    else if (completion->flags & TRESOR__READ_CACHED)
        controller->cached_bytes += bytes;
}

void tresor__controller_deliver(struct tresor__controller *controller,
                                const struct tresor__completion *completion)
{
    assert(controller->in_flight > 0);
    controller->in_flight--;
    if (completion->kind == TRESOR__EFFECT_READ && completion->os_errno == 0)
        count_read(controller, completion);
    deliver(controller, completion);
}

void tresor__controller_deliver_watch(struct tresor__controller *controller,
                                      const struct tresor__completion *completion)
{
    deliver(controller, completion);
}

static void deliver_fault(struct tresor__controller *controller, const struct tresor__file *file,
                          const struct tresor__guard_run *run)
{
    const struct tresor__effect *effect = &controller->guard_effect;
    deliver(controller, &(struct tresor__completion){.kind = effect->kind,
                                                     .machine = effect->machine,
                                                     .event = effect->on_ok,
                                                     .source = file->source,
                                                     .slot = file->index,
                                                     .file = file->index,
                                                     .value = tresor__guard_value(run)});
}

/* What is marked meanwhile is found here, or makes the range's hits another number. */
static uint32_t hear_range(struct tresor__controller *controller, struct tresor__model_file *file,
                           uint32_t limit)
{
    struct tresor__guard_range *range = &file->guard;
    struct tresor__guard_run run = {0};
    uint32_t hits = atomic_load(&range->hits);
    uint32_t count = 0;
    if (hits == range->told)
        return 0;
    while (count < limit && tresor__guard_next(range, run.first + run.count, &run)) {
        deliver_fault(controller, &file->io, &run);
        count++;
    }
    if (count < limit)
        range->told = hits;
    return count;
}

static uint32_t hear_slot(struct tresor__controller *controller, struct tresor__slot *slot, uint32_t limit)
{
    uint32_t count = 0;
    bool has_ledgers = slot->source.state == SOURCE_READY || slot->source.state == SOURCE_DRAINING;
    for (uint32_t i = 0; has_ledgers && i < slot->source.model.file_count && count < limit; i++)
        count += hear_range(controller, &slot->source.model.files[i], limit - count);
    return count;
}

/* Told is what was hit before the look, once all of it is; who releases meanwhile looks at the marks. */
uint32_t tresor__controller_hear_faults(struct tresor__controller *controller, uint32_t limit)
{
    uint32_t hits = atomic_load(&controller->alarm.hits);
    uint32_t count = 0;
    if (controller->guard.state != GUARD_GUARDING || !tresor__guard_is_hit(&controller->alarm))
        return 0;
    for (uint32_t i = 0; i < controller->limits.sources && count < limit; i++)
        count += hear_slot(controller, &controller->slots[i], limit - count);
    if (count < limit)
        atomic_store(&controller->alarm.told, hits);
    return count;
}

/* Every block's cancel keeps its room: a turn or a completion may take all reads back at once. */
static bool has_room(const struct tresor__controller *controller)
{
    uint32_t used = controller->effect_count + controller->in_flight + controller->seal_count;
    return used + controller->limits.blocks + EFFECTS_MARGIN <= controller->effects_max;
}

/* --- turns --- */

/* What the answer tells of the piece's use is all that the budget knows of it. */
static void learn(struct tresor__controller *controller, const struct tresor__completion *seal)
{
    struct tresor__piece *piece = &controller->slots[seal->source].pieces[seal->slot];
    tresor__budget_learn(controller, piece, (uint64_t)seal->value >> TRESOR__STAMP_SHIFT,
                         (uint16_t)seal->value);
    if (seal->os_errno == EBUSY)
        tresor__budget_note_use(controller, piece);
}

static void deliver_seal(struct tresor__controller *controller)
{
    struct tresor__completion completion = controller->seals[controller->seal_head];
    controller->seal_head = (controller->seal_head + 1) % controller->effects_max;
    controller->seal_count--;
    learn(controller, &completion);
    deliver(controller, &completion);
}

static bool is_quiet(const struct tresor__controller *controller, const struct tresor__slot *slot)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        const struct tresor__request *request = &controller->requests[i];
        if (request->source == slot->source.index && request->state != REQUEST_FREE &&
            request->state != REQUEST_ENDED && i != slot->request)
            return false;
    }
    if (slot->look_count > 0)
        return false;
    for (uint32_t i = 0; i < slot->source.model.file_count; i++) {
        const struct tresor__file *file = &slot->source.model.files[i].io;
        if (tresor__file_busy(file) || file->turn.queued || file->hungry.queued ||
            file->roomless.queued || file->swapless.queued)
            return false;
    }
    return tresor__pins_held(slot) == 0 && tresor__gate_users(slot) == 0;
}

/* Answers to seals of its tensors are under way; those that the budget asked for are no request's. */
static bool has_drained(const struct tresor__controller *controller, uint32_t source)
{
    const struct tresor__slot *slot = &controller->slots[source];
    return slot->source.state == SOURCE_DRAINING && controller->seal_count == 0 && is_quiet(controller, slot);
}

bool tresor__controller_has_quiet(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++)
        if (has_drained(controller, i))
            return true;
    return false;
}

/* What is in its windows goes with them, and is counted until then. */
static void leave_room(struct tresor__slot *slot)
{
    for (uint32_t i = 0; i < slot->source.model.file_count; i++) {
        struct tresor__file *file = &slot->source.model.files[i].io;
        slot->closing_bytes += tresor__ledger_leave_room(&file->ledger);
        slot->closing_bytes += tresor__file_leave_scratch(file);
    }
}

/* Users may leave on any thread, so sources that drain are looked at whenever the context is. */
static void look_at_draining(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources && controller->draining > 0; i++) {
        if (!has_drained(controller, i) || !tresor__gate_shut(&controller->slots[i]))
            continue;
        controller->draining--;
        tresor__events_forget_source(controller, i);
        leave_room(&controller->slots[i]);
        tresor__router_step(controller, &(struct tresor__address){TRESOR__MACHINE_SOURCE, i, i},
                            &(struct tresor__input){.event = SOURCE_ON_QUIET});
    }
}

/* A turn is due and may be given, for there is room for what it asks. */
static bool may_turn(const struct tresor__controller *controller)
{
    return controller->turns.head != TRESOR_NONE && has_room(controller);
}

static bool may_look(const struct tresor__controller *controller)
{
    return tresor__looks_can_start(controller) && has_room(controller);
}

static bool is_budget_due(const struct tresor__controller *controller)
{
    const struct tresor__budget *budget = &controller->budget;
    bool is_due = budget->is_due ||
                  (budget->awaits_turns && controller->turns.head == TRESOR_NONE) ||
                  budget->leaked_bytes != controller->io.room.leaked_bytes;
    return is_due && has_room(controller);
}

bool tresor__controller_is_due(const struct tresor__controller *controller)
{
    return controller->seal_count > 0 || is_budget_due(controller) || may_turn(controller) ||
           may_look(controller) ||
           atomic_load_explicit(&controller->released, memory_order_relaxed) ||
           (controller->turns.head == TRESOR_NONE && tresor__turns_can_feed(controller));
}

void tresor__controller_run(struct tresor__controller *controller, uint32_t limit)
{
    tresor__stages_collect(controller);
    tresor__releases_collect(controller);
    for (uint32_t i = 0; i < limit; i++) {
        /* Seals hold room until they are delivered: to wait for room first would be for ever. */
        if (controller->seal_count > 0)
            deliver_seal(controller);
        else if (is_budget_due(controller))
            tresor__budget_run(controller);
        else if (may_turn(controller))
            tresor__turns_run_one(controller);
        else if (may_look(controller))
            tresor__looks_start(controller);
        else if (controller->turns.head == TRESOR_NONE && tresor__turns_can_feed(controller))
            tresor__turns_feed(controller);
        else
            break;
    }
    if (controller->draining > 0)
        look_at_draining(controller);
    if (controller->budget.request != TRESOR_NONE)
        tresor__budget_settle(controller);
}
