/* SPDX-License-Identifier: MIT */
/*
 * What tells one state from another: everything that a later step looks at, in an order that does not depend on which of
 * several like places something happens to be in. Left out are
 *   - clocks, totals, serials and generations, which only grow; of serials and of the stamps of uses their order is kept;
 *   - addresses and descriptors, which follow from the rest;
 *   - where a sweep over what is wanted stands while nothing is in hand, what a failure said beside its code, the texts of
 *     the last failed open, and whether an acquire that found nothing was counted: they change what is told, or in which
 *     order what is wanted alike is taken, and two states that differ in nothing else are explored as one;
 *   - what lies in places that are free.
 */
#include "world.h"

#include "core/handle.h"
#include "tensor/pins.h"

enum {
    STAMPS_MAX = 3 * WORLD_PIECES,
    KIND_SHIFT = 28,
};

#define PIN_FLAGS (UINT64_C(7) << 61 | UINT64_C(7) << 56 | UINT64_C(0xffffff)) /* but for COMING, MISSED */

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
    uint8_t state = slot()->source.state;
    return state == SOURCE_READY || state == SOURCE_DRAINING;
}

/* --- digests --- */

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void put(uint64_t *digest, uint64_t value)
{
    *digest = mix(*digest + UINT64_C(0x9e3779b97f4a7c15) + value);
}

/* --- requests: by the order in which they were made --- */

static uint32_t rank_of_request(uint32_t index)
{
    const struct tresor__request *requests = controller()->requests;
    uint32_t rank = 0;
    if (index == TRESOR_NONE || requests[index].state == REQUEST_FREE)
        return TRESOR_NONE;
    for (uint32_t i = 0; i < controller()->limits.requests; i++)
        rank += requests[i].state != REQUEST_FREE && requests[i].serial < requests[index].serial;
    return rank;
}

static uint32_t rank_of_serial(uint32_t serial)
{
    for (uint32_t i = 0; i < controller()->limits.requests; i++)
        if (controller()->requests[i].state != REQUEST_FREE &&
            controller()->requests[i].serial == serial)
            return rank_of_request(i);
    return TRESOR_NONE;
}

static void put_pair(uint64_t *digest, uint32_t index)
{
    const struct tresor__pair *pair = &controller()->pairs[index];
    put(digest, pair->tensor);
    put(digest, (uint64_t)pair->wait << 1 | pair->has_pin);
    put(digest, pair->arrived_bytes);
}

static void put_copy(uint64_t *digest, const struct tresor__copy *copy)
{
    put(digest, copy->state);
    put(digest, copy->offset);
    put(digest, copy->length);
    put(digest, copy->started);
    put(digest, copy->blocks_running);
    put(digest, copy->misplaced_bytes);
    put(digest, (uint64_t)(uint32_t)copy->failure.code);
    put(digest, (uint64_t)copy->turn.queued << 1 | copy->hungry.queued);
}

static void put_stage(uint64_t *digest, const struct tresor__stage *stage)
{
    put(digest, stage->state);
    put(digest, stage->piece);
    put(digest, stage->offset_bytes);
    put(digest, stage->length);
    put(digest, stage->is_last);
    put(digest, (uint64_t)(uint32_t)stage->failure.code);
}

static void put_stream(uint64_t *digest, const struct tresor__stream *stream)
{
    put(digest, stream->state);
    put(digest, (uint64_t)stream->is_cancelled << 1 | stream->is_stopped);
    put(digest, stream->blocks_running);
    put(digest, (uint64_t)(uint32_t)stream->failure.code);
    put(digest, (uint64_t)stream->turn.queued << 2 | (uint64_t)stream->hungry.queued << 1 |
                    stream->stageless.queued);
    put(digest, stream->failed_pair == TRESOR_NONE ? TRESOR_NONE
                                                   : controller()->pairs[stream->failed_pair].tensor);
    for (uint32_t i = stream->first_stage; i != TRESOR_NONE; i = controller()->io.stages[i].next)
        put_stage(digest, &controller()->io.stages[i]);
    if (stream->state == STREAM_IDLE)
        return;
    put(digest, stream->piece);
    put(digest, stream->started);
}

static void put_check(uint64_t *digest, const struct tresor__check *check)
{
    put(digest, check->state);
    put(digest, check->is_cancelled);
    put(digest, check->file);
}

static void put_request(uint64_t *digest, const struct tresor__request *request)
{
    put(digest, request->state);
    put(digest, request->verb);
    put(digest, (uint64_t)request->looks << 16 | (uint64_t)request->strategy << 8 | request->urgency);
    put(digest, (uint64_t)request->wants_items << 5 | (uint64_t)request->wants_pins << 4 |
                    (uint64_t)request->awaits_room << 3 | (uint64_t)request->is_patient << 2 |
                    (uint64_t)request->withdrawn << 1 | request->is_strategy_asked);
    put(digest, (uint64_t)request->turn.queued << 2 | (uint64_t)request->starving.queued << 1 |
                    request->has_progress);
    put(digest, request->position);
    put(digest, request->done);
    put(digest, request->failed);
    put(digest, request->cancelled);
    put(digest, (uint64_t)(uint32_t)request->error.code);
    put(digest, request->verb == TRESOR_VERB_BUDGET ? request->total_bytes : request->total);
    put(digest, request->progress_bytes > 0 ? request->arrived_bytes - request->told_bytes : 0);
    for (uint32_t i = request->first_item; i != TRESOR_NONE; i = controller()->items[i].next) {
        put(digest, i == request->item);
        put(digest, controller()->items[i].item >> TRESOR__GENERATION_BITS);
    }
    for (uint32_t i = request->first_wait; i != TRESOR_NONE;
         i = controller()->pairs[i].next_of_request) {
        put(digest, i == request->retry);
        put_pair(digest, i);
    }
    if (request->verb == TRESOR_VERB_COPY)
        put_copy(digest, &controller()->copies[request->index]);
    if (request->verb == TRESOR_VERB_CHECK)
        put_check(digest, &controller()->checks[request->index]);
    if (request->verb == TRESOR_VERB_STREAM)
        put_stream(digest, &controller()->streams[request->index]);
}

/* A stream may have chunks when its request is over. */
static void put_requests(uint64_t *digest)
{
    for (uint32_t rank = 0; rank < controller()->limits.requests; rank++)
        for (uint32_t i = 0; i < controller()->limits.requests; i++)
            if (controller()->requests[i].state != REQUEST_FREE && rank_of_request(i) == rank)
                put_request(digest, &controller()->requests[i]);
    uint64_t free_turns = 0;
    for (uint32_t i = 0; i < controller()->limits.requests; i++)
        if (controller()->requests[i].state == REQUEST_FREE)
            free_turns += controller()->requests[i].turn.queued;
    put(digest, free_turns);
}

/* --- blocks and effects: in no order --- */

static uint64_t digest_of_block(const struct tresor__block *block)
{
    uint64_t digest = 1;
    bool is_of_file = block->space == TRESOR__SPACE_WINDOW || block->space == TRESOR__SPACE_SCRATCH;
    put(&digest, block->state);
    put(&digest, block->is_cancelled);
    put(&digest, block->space);
    put(&digest, is_of_file ? block->job : rank_of_request(block->job));
    put(&digest, block->retries);
    put(&digest, block->offset);
    put(&digest, block->length);
    put(&digest, block->done);
    put(&digest, (uint64_t)block->route.way << 2 | (uint64_t)block->route.probes << 1 |
                     block->route.populates);
    put(&digest, (uint64_t)(uint32_t)block->failure.code);
    return digest;
}

static void put_blocks(uint64_t *digest)
{
    const struct tresor__io *io = &controller()->io;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < io->block_count; i++)
        if (io->blocks[i].state != BLOCK_FREE)
            sum += mix(digest_of_block(&io->blocks[i]));
    put(digest, sum);
    put(digest, io->free_count);
    put(digest, io->awaited);
}

static uint64_t digest_of_effect(const struct tresor__effect *effect)
{
    uint64_t digest = 2;
    put(&digest, effect->kind);
    put(&digest, effect->machine);
    put(&digest, (uint64_t)effect->flags << 8 | effect->space);
    put(&digest, effect->machine == TRESOR__MACHINE_BLOCK
                     ? digest_of_block(&controller()->io.blocks[effect->slot])
                 : effect->machine == TRESOR__MACHINE_DIGEST ? controller()->digests[effect->slot].piece
                                                             : effect->slot);
    put(&digest, effect->file);
    put(&digest, effect->place);
    put(&digest, effect->offset);
    put(&digest, effect->length);
    put(&digest, effect->is_cancelled);
    return digest;
}

static void put_effects(uint64_t *digest)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < world->in_flight_count; i++)
        sum += mix(digest_of_effect(&world->in_flight[i]));
    put(digest, sum);
    for (uint32_t i = 0; i < controller()->effect_count; i++)
        put(digest, digest_of_effect(&controller()->effects[i]));
    for (uint32_t i = 0; i < controller()->seal_count; i++) {
        uint32_t at = (controller()->seal_head + i) % controller()->effects_max;
        put(digest, controller()->seals[at].slot);
        put(digest, (uint64_t)controller()->seals[at].os_errno);
    }
}

/* --- queues --- */

static void put_event(uint64_t *digest, uint32_t identifier)
{
    uint32_t place = identifier & ((1u << KIND_SHIFT) - 1);
    uint32_t kind = identifier >> KIND_SHIFT;
    put(digest, kind);
    if (kind == TRESOR__EVENT_OF_REQUEST || kind == TRESOR__EVENT_OF_PROGRESS)
        put(digest, rank_of_request(place));
    if (kind == TRESOR__EVENT_OF_PAIR) {
        put_pair(digest, place);
        put(digest, (uint64_t)(uint32_t)controller()->pairs[place].event.error.code);
        put(digest, controller()->pairs[place].event.flags);
    }
    if (kind == TRESOR__EVENT_OF_STAGE)
        put_stage(digest, &controller()->io.stages[place]);
}

static uint32_t next_event(uint32_t identifier)
{
    uint32_t place = identifier & ((1u << KIND_SHIFT) - 1);
    switch (identifier >> KIND_SHIFT) {
    case TRESOR__EVENT_OF_REQUEST:
        return controller()->requests[place].next;
    case TRESOR__EVENT_OF_PROGRESS:
        return controller()->requests[place].next_progress;
    case TRESOR__EVENT_OF_FILE:
        return slot()->source.model.files[place & 0xffff].io.degraded.next;
    case TRESOR__EVENT_OF_POISONED:
        return slot()->source.model.files[place & 0xffff].io.poisoned.next;
    case TRESOR__EVENT_OF_CONTEXT:
        return controller()->degraded.next;
    case TRESOR__EVENT_OF_PRESSURE:
        return controller()->pressure.next;
    case TRESOR__EVENT_OF_STAGE:
        return controller()->io.stages[place].next;
    default:
        return controller()->pairs[place].next;
    }
}

static void put_identifier(uint64_t *digest, uint32_t id)
{
    uint32_t actor = id >> KIND_SHIFT;
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    bool is_of_request = actor == TRESOR__ACTOR_REQUEST || actor == TRESOR__ACTOR_COPY ||
                         actor == TRESOR__ACTOR_STREAM;
    put(digest, actor);
    put(digest, is_of_request ? rank_of_request(place) : place);
}

static struct tresor__link *turn_of(uint32_t id)
{
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    switch (id >> KIND_SHIFT) {
    case TRESOR__ACTOR_SOURCE:
        return &slot()->source.turn;
    case TRESOR__ACTOR_FILE:
        return &slot()->source.model.files[place & 0xffff].io.turn;
    case TRESOR__ACTOR_REQUEST:
        return &controller()->requests[place].turn;
    case TRESOR__ACTOR_STREAM:
        return &controller()->streams[place].turn;
    default:
        return &controller()->copies[place].turn;
    }
}

/* Of the lists of those that await something who is first is enough where no more than two can. */
static void put_queues(uint64_t *digest)
{
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++) {
        put_identifier(digest, controller()->hungry[i].head);
        put_identifier(digest, controller()->hungry[i].tail);
        put_identifier(digest, controller()->starving[i].head);
        put_identifier(digest, controller()->starving[i].tail);
    }
    put_identifier(digest, controller()->stageless.head);
    put_identifier(digest, controller()->stageless.tail);
    put(digest, controller()->roomless.head);
    put(digest, controller()->swapless.head);
    for (uint32_t id = controller()->turns.head; id != TRESOR_NONE; id = turn_of(id)->next)
        put_identifier(digest, id);
    for (uint32_t id = controller()->events.head; id != TRESOR_NONE; id = next_event(id))
        put_event(digest, id);
}

/* --- the files --- */

static void put_interval(uint64_t *digest, const struct tresor__interval *interval)
{
    bool has_pages = tresor__interval_has_pages(interval);
    put(digest, (uint64_t)interval->fill << 8 | interval->lock);
    put(digest, has_pages ? interval->backing : TRESOR__BACKING_NONE);
    put(digest, interval->fill == TRESOR__FILL_WANTED || interval->fill >= TRESOR__FILL_SPENT
                    ? (uint64_t)interval->wanted << 8 | interval->urgency
                    : 0);
    put(digest, interval->fill == TRESOR__FILL_RUNNING ? interval->urgency + UINT64_C(1) : 0);
    put(digest, interval->missing_bytes);
    put(digest, interval->swapped_bytes);
    put(digest, interval->unlocked_bytes);
    put(digest, interval->small_bytes);
    put(digest, interval->users);
    put(digest, interval->locks);
    put(digest, interval->yielding);
    put(digest, interval->releaser);
    put(digest, interval->unlocker);
    put(digest, interval->swap == TRESOR__SWAP_NONE ? 0 : interval->swap + UINT64_C(4) * interval->swap_target);
    put(digest, (uint64_t)interval->failed << 5 | (uint64_t)interval->lock_leaked << 4 |
                    (uint64_t)interval->spare << 3 | (uint64_t)interval->leaked << 2 |
                    (uint64_t)interval->charged << 1 | interval->lent);
}

static void put_span(uint64_t *digest, const struct tresor__span *span)
{
    put(digest, span->waiting);
    put(digest, span->lock_waiting);
    put(digest, (uint64_t)span->role << 16 | (uint64_t)span->lock_role << 8 | span->swap_role);
    put(digest, span->swap_role == TRESOR__SPAN_ABSENT ? 0 : span->swap_target + UINT64_C(1));
    put(digest, span->news);
    put(digest, span->watchers);
    if (span->swap_role == TRESOR__SPAN_ABSENT)
        return;
    put(digest, span->swap_wanted_bytes);
    put(digest, span->swap_moved_bytes);
}

static void put_extent(uint64_t *digest, struct tresor__extent extent)
{
    put(digest, extent.first);
    put(digest, extent.last);
}

static void put_walk(uint64_t *digest, const struct tresor__extent_walk *walk)
{
    put_extent(digest, walk->extent);
    put(digest, walk->offset);
    put(digest, walk->length);
    put(digest, walk->retries);
}

static void put_ledger(uint64_t *digest, const struct tresor__ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->interval_count; i++)
        put_interval(digest, &ledger->intervals[i]);
    for (uint32_t i = 0; i < ledger->order_count; i++)
        put_span(digest, &ledger->spans[ledger->order[i]]);
    put(digest, ledger->exchange_bytes);
    put(digest, ledger->news_head);
}

static void put_file(uint64_t *digest, const struct tresor__file *file)
{
    const struct tresor__read *read = &file->read;
    const struct tresor__swap *swap = &file->swap;
    bool has_mapped = file->mapping.state != MAPPING_IDLE && file->mapping.state != MAPPING_UNMAPPING;
    bool has_read = read->state != READ_IDLE && read->state != READ_UNMAPPING;
    put(digest, file->mapping.state);
    put_walk(digest, &file->mapping.walk);
    put_extent(digest, file->mapping.spent);
    put(digest, file->mapping.ahead_count);
    put(digest, has_mapped ? file->mapping.ahead_offset : 0);
    put(digest, has_mapped ? file->mapping.read_bytes : 0);
    put(digest, has_mapped ? file->ledger.in_hand[0] + UINT64_C(8) * file->ledger.hastened[0] : 0);
    put(digest, (uint64_t)read->state << 1 | read->mapped_last);
    put(digest, read->blocks_running);
    put_walk(digest, &read->walk);
    put_extent(digest, read->spent);
    put(digest, has_read ? file->ledger.in_hand[1] + UINT64_C(8) * file->ledger.hastened[1] : 0);
    put(digest, (uint64_t)read->exchange.is_on << 2 | (uint64_t)read->never_moves << 1 |
                    (read->seams_refused > 0));
    put(digest, read->exchange.is_on ? read->exchange.from : 0);
    put(digest, read->exchange.is_on ? read->exchange.to : 0);
    put(digest, read->keeps_bytes);
    put(digest, (uint64_t)file->mlock.state << 8 | file->mlock.single);
    put(digest, file->mlock.retries);
    put_extent(digest, file->mlock.extent);
    put(digest, swap->state);
    put(digest, swap->retries);
    put(digest, swap->chunk.offset);
    put(digest, swap->chunk.length);
    put(digest, swap->chunk.length > 0 ? swap->chunk.target : 0);
    put(digest, swap->filled_bytes);
    put(digest, swap->held_bytes);
    put(digest, swap->awaits_room);
    put(digest, file->direct.is_open);
    put(digest, file->degraded.told);
    put(digest, file->degraded.untold);
    put(digest, file->turns);
    put(digest, (uint64_t)file->turn.queued << 3 | (uint64_t)file->hungry.queued << 2 |
                    (uint64_t)file->roomless.queued << 1 | file->swapless.queued);
    put_ledger(digest, &file->ledger);
}

/* --- the pieces --- */

/* A stamp's place among all of them. */
static uint64_t rank_of_stamp(const uint64_t *stamps, uint32_t count, uint64_t stamp)
{
    uint64_t rank = 0;
    for (uint32_t i = 0; i < count; i++)
        rank += stamps[i] < stamp;
    return rank;
}

static void put_stamps(uint64_t *digest)
{
    uint64_t stamps[STAMPS_MAX];
    uint32_t count = 0;
    bool has_plan = tresor__plans_stand(controller());
    if (controller()->budget.budget_bytes == 0 && !has_plan)
        return;
    for (uint32_t i = 0; i < slot()->pin_count; i++) {
        const struct tresor__piece *piece = &slot()->pieces[i];
        uint64_t pinned = tresor__pins_stamp(slot(), i);
        /* What is known already is not kept twice. */
        stamps[count++] = piece->use.stamp;
        stamps[count++] = pinned > piece->use.stamp ? pinned : piece->use.stamp;
        stamps[count++] = piece->plan > 0 ? piece->plan_uses.stamp : 0;
    }
    for (uint32_t i = 0; i < count; i++)
        put(digest, rank_of_stamp(stamps, count, stamps[i]));
}

/* Acquires that the plan has not counted: more than two differ by nothing that it does next. */
static uint64_t uncounted(const struct tresor__piece *piece)
{
    uint64_t record = tresor__pins_record(slot(), piece->index);
    int16_t acquires = (int16_t)((uint16_t)record - piece->plan_uses.acquires);
    int16_t told = acquires < 3 ? acquires : 3;
    return piece->plan > 0 ? (uint64_t)(uint16_t)told << 1 | piece->plan_uses.is_held_over : 0;
}

static void put_tensor(uint64_t *digest, const struct tresor__piece *piece)
{
    const struct tresor__tensor *tensor = &piece->tensor;
    bool is_away = tensor->state == TENSOR_ABSENT || tensor->state == TENSOR_FAILED;
    bool has_side = tensor->state == TENSOR_SWAPPING || tensor->state == TENSOR_STOPPING ||
                    piece->waits[TRESOR__WAIT_SWAP_MMAP] + piece->waits[TRESOR__WAIT_SWAP_READ] > 0;
    put(digest, (uint64_t)tensor->state << 1 | tensor->is_poisoned);
    put(digest, is_away ? 0
                        : (uint64_t)tensor->backing << 16 | (uint64_t)tensor->urgency << 8 |
                              (uint64_t)tensor->asks_room);
    put(digest, has_side ? tensor->side + UINT64_C(1) : 0);
    put(digest, (uint64_t)tensor->looked << 8 | tensor->looking);
    put(digest, tensor->state == TENSOR_EVICTING ? (uint64_t)(uint32_t)tensor->failure_code : 0);
}

/* Which of the digests it is does not matter. */
static void put_look(uint64_t *digest, const struct tresor__piece *piece)
{
    const struct tresor__digest *look = piece->look == TRESOR_NONE ? NULL : &controller()->digests[piece->look];
    put(digest, (uint64_t)piece->load_looks[0] << 32 | piece->load_looks[1]);
    put(digest, (uint64_t)piece->is_look_due << 2 | (uint64_t)piece->is_look_held << 1 | piece->has_digest);
    put(digest, piece->is_look_due ? piece->next_look : 0);
    put(digest, look ? (uint64_t)look->looks << 1 | look->is_cancelled : 0);
    put(digest, look ? look->done : 0);
    put(digest, look ? look->asked : 0);
}

static void put_piece(uint64_t *digest, uint32_t index)
{
    const struct tresor__piece *piece = &slot()->pieces[index];
    uint64_t word = atomic_load(&atomic_load(&slot()->pins)->pins[index].word);
    put_tensor(digest, piece);
    put_look(digest, piece);
    put(digest, piece->lock.state);
    put(digest, piece->lock.state == LOCK_UNLOCKING ? (uint64_t)(uint32_t)piece->lock.failure_code : 0);
    for (uint32_t i = piece->first_wait; i != TRESOR_NONE; i = controller()->pairs[i].next_of_tensor)
        put(digest, rank_of_request(controller()->pairs[i].request));
    put(digest, rank_of_serial(piece->serial));
    put(digest, piece->rank);
    put(digest, piece->plan > 0 ? piece->plan_entry : TRESOR_NONE);
    put(digest, uncounted(piece));
    put(digest, (uint64_t)piece->plan << 4 | (uint64_t)piece->is_yielding << 3 |
                    (uint64_t)piece->is_kept << 2 | (uint64_t)piece->is_prefetched << 1 |
                    (piece->kept_round == controller()->budget.round));
    put(digest, (uint64_t)piece->room.queued << 8 | piece->room.urgency);
    put(digest, piece->is_to_be_told);
    put(digest, word & PIN_FLAGS);
    put(digest, world->host.pins[index]);
}

/* --- the source, the budget, and what is beside them --- */

static void put_source(uint64_t *digest)
{
    const struct tresor__source *source = &slot()->source;
    const struct tresor__model *model = &source->model;
    put(digest, source->state);
    put(digest, source->cancelled);
    put(digest, source->turn.queued);
    put(digest, (uint64_t)(uint32_t)source->error.code);
    put(digest, rank_of_request(slot()->request));
    put(digest, slot()->closing_bytes > 0);
    if (source->state == SOURCE_FREE || source->state == SOURCE_READY)
        return;
    put(digest, source->retries);
    put(digest, source->header_want_bytes);
    put(digest, model->file);
    put(digest, model->file_count);
    put(digest, model->is_other_first);
    put(digest, model->parsed.status);
    for (uint32_t i = 0; i < model->file_total; i++) {
        const struct tresor__model_file *file = &model->files[i];
        put(digest, (uint64_t)(file->descriptor >= 0) << 3 |
                        (uint64_t)(file->direct_descriptor >= 0) << 2 |
                        (uint64_t)(file->window != NULL) << 1 | (file->header != NULL));
        put(digest, file->header_have_bytes);
        put(digest, (uint64_t)file->seen.modified_ns + file->seen.size_bytes);
    }
}

static void put_plan(uint64_t *digest)
{
    const struct tresor__plan *plan = controller()->plans[0];
    put(digest, plan != NULL);
    if (!plan)
        return;
    put(digest, rank_of_request(plan->request));
    put(digest, plan->step);
    put(digest, plan->cursor);
    put(digest, plan->ahead);
    put(digest, plan->is_spread);
}

static void put_budget(uint64_t *digest)
{
    const struct tresor__budget *budget = &controller()->budget;
    const struct tresor__io *io = &controller()->io;
    const struct tresor__room *room = &io->room;
    put(digest, budget->budget_bytes);
    put(digest, (uint64_t)budget->is_due << 1 | budget->awaits_turns);
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++) {
        put(digest, budget->awaiting[i].head);
        put(digest, budget->awaiting[i].tail);
    }
    put(digest, budget->loading);
    put(digest, budget->swapping);
    put(digest, rank_of_request(budget->request));
    put(digest, room->limit_bytes);
    put(digest, room->committed_bytes);
    put(digest, room->leaving_bytes);
    put(digest, room->charged_bytes);
    put(digest, room->spare_bytes);
    put(digest, room->leaked_bytes);
    put(digest, room->staged_bytes);
    put(digest, room->scratch_bytes);
    put(digest, room->stuck_bytes);
    put(digest, io->awaits_stage_room);
    put(digest, io->swaps_awaiting_room);
    put(digest, io->awaited_scratch_bytes);
    put(digest, controller()->leaked_bytes);
}

static void put_rest(uint64_t *digest)
{
    put(digest, (uint64_t)atomic_load(&controller()->stages_returned) << 1 |
                    atomic_load(&controller()->released));
    put(digest, controller()->stages_out);
    put(digest, controller()->draining);
    put(digest, controller()->degraded.told);
    put(digest, controller()->degraded.untold);
    put(digest, (uint64_t)controller()->guard.state << 1 | tresor__guard_is_hit(&controller()->alarm));
    put(digest, controller()->watch.state);
    put(digest, controller()->pressure.untold);
    put(digest, slot()->held_count);
    put(digest, slot()->pin_count);
}

/* Only what its pages are: whether they are locked or there the ledger may not know. */
static void put_pages(uint64_t *digest, const struct world_page *pages)
{
    for (uint32_t i = 0; i < WORLD_PAGES; i++)
        put(digest, (uint64_t)pages[i].backing << 16 | (uint64_t)pages[i].bytes << 8 |
                        (uint64_t)pages[i].is_replaced << 2 |
                        (uint64_t)pages[i].has_memory << 1 | pages[i].is_locked);
}

static void put_host(uint64_t *digest)
{
    for (uint32_t i = 0; i < world->host.live; i++) {
        const struct world_request *request = &world->host.requests[i];
        uint32_t index = (uint32_t)tresor__handle_slot(request->handle);
        put(digest, rank_of_request(index));
        put(digest, request->is_cancelled);
    }
    put(digest, world->host.chunk_count);
    put(digest, world->host.is_open);
    for (uint32_t i = 0; i < WORLD_PARTS; i++)
        put(digest, (uint64_t)world->opened[i] << 8 | world->opened_direct[i]);
    put(digest, world->headers);
    put(digest, world->is_staged);
}

uint64_t identity_of_state(void)
{
    uint64_t digest = 0;
    put_source(&digest);
    put_requests(&digest);
    put_blocks(&digest);
    put_effects(&digest);
    put_queues(&digest);
    put_budget(&digest);
    put_plan(&digest);
    put_rest(&digest);
    put_host(&digest);
    for (uint32_t i = 0; has_tables() && i < slot()->source.model.file_count; i++) {
        put_file(&digest, &slot()->source.model.files[i].io);
        put_pages(&digest, world->files[i].pages);
        put_pages(&digest, world->files[i].scratch);
    }
    for (uint32_t i = 0; has_tables() && i < slot()->pin_count; i++)
        put_piece(&digest, i);
    if (has_tables())
        put_stamps(&digest);
    return digest;
}
