/* SPDX-License-Identifier: MIT */
#include "tensor/budget.h"

#include <errno.h>

#include "tensor/controller.h"
#include "tensor/pins.h"
#include "tensor/plan.h"

enum {
    PASSED_MAX = 16, /* who are passed over because what they need is in use, in one look */
};

/* Where memory is bounded nothing is kept for later, in windows or in the page cache. */
static void bound_pages(struct tresor__controller *controller)
{
    bool is_bounded = controller->budget.budget_bytes > 0;
    controller->io.spare_bytes_max = is_bounded ? 0 : controller->limits.spare_bytes;
    controller->io.evicts_cache = is_bounded;
}

void tresor__budget_init(struct tresor__controller *controller, uint64_t budget_bytes,
                         uint32_t policy)
{
    struct tresor__budget *budget = &controller->budget;
    *budget = (struct tresor__budget){
        .budget_bytes = budget_bytes, .policy = policy, .round = 1, .request = TRESOR_NONE};
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++)
        budget->awaiting[i] = (struct tresor__room_queue){TRESOR__NOBODY, TRESOR__NOBODY};
    bound_pages(controller);
}

/* What is left of the budget beside what lasts and what is lent. */
static uint64_t limit_beside(const struct tresor__controller *controller, uint64_t lent_bytes)
{
    const struct tresor__room *room = &controller->io.room;
    uint64_t budget_bytes = controller->budget.budget_bytes;
    if (budget_bytes == 0)
        return UINT64_MAX;
    uint64_t taken = tresor__room_fixed(room) + controller->leaked_bytes + lent_bytes;
    if (controller->io.awaits_stage_room)
        taken += tresor__io_stage_room(&controller->io);
    return budget_bytes > taken ? budget_bytes - taken : 0;
}

/* Chunks that move have their room until they are there. */
uint64_t tresor__budget_limit(const struct tresor__controller *controller)
{
    const struct tresor__io *io = &controller->io;
    return limit_beside(controller, io->room.scratch_bytes - io->room.stuck_bytes +
                                        io->awaited_scratch_bytes);
}

uint64_t tresor__budget_most(const struct tresor__controller *controller)
{
    return limit_beside(controller, 0);
}

static void set_room(struct tresor__controller *controller)
{
    struct tresor__room *room = &controller->io.room;
    uint64_t budget_bytes = controller->budget.budget_bytes;
    uint64_t lost = controller->leaked_bytes; /* by sources that are closed */
    uint64_t left = budget_bytes > lost ? budget_bytes - lost : 1;
    uint64_t needed = room->committed_bytes + tresor__room_fixed(room);
    room->budget_bytes = budget_bytes > 0 ? left : 0;
    room->limit_bytes = budget_bytes == 0 ? UINT64_MAX : needed > left ? needed : left;
}

static tresor__policy *policy_of(const struct tresor__controller *controller)
{
    return tresor__policy_of(controller->budget.policy);
}

static struct tresor__ledger *ledger_of(struct tresor__controller *controller,
                                        const struct tresor__piece *piece)
{
    return &controller->slots[piece->tensor.source].source.model.files[piece->file].io.ledger;
}

static struct tresor__ranking *ranking_of(struct tresor__controller *controller,
                                          const struct tresor__piece *piece)
{
    return &controller->slots[piece->tensor.source].ranking;
}

static void step(struct tresor__controller *controller, struct tresor__piece *piece, uint32_t event,
                 int64_t value)
{
    tresor__router_step_on(controller, &piece->tensor,
                           &(struct tresor__address){TRESOR__MACHINE_TENSOR, piece->tensor.source,
                                                     piece->index},
                           &(struct tresor__input){.event = event, .value = value});
}

/* --- those who await room --- */

static uint64_t identifier(const struct tresor__piece *piece)
{
    return (uint64_t)piece->tensor.source << 32 | piece->index;
}

static struct tresor__piece *piece_of(struct tresor__controller *controller, uint64_t id)
{
    return &controller->slots[id >> 32].pieces[id & UINT32_MAX];
}

static void push(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__room_queue *queue = &controller->budget.awaiting[piece->tensor.urgency];
    uint64_t id = identifier(piece);
    piece->room = (struct tresor__room_link){.next = TRESOR__NOBODY,
                                             .previous = queue->tail,
                                             .queued = true,
                                             .urgency = piece->tensor.urgency};
    if (queue->tail == TRESOR__NOBODY)
        queue->head = id;
    else
        piece_of(controller, queue->tail)->room.next = id;
    queue->tail = id;
}

static void unlink_piece(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__room_queue *queue = &controller->budget.awaiting[piece->room.urgency];
    if (!piece->room.queued)
        return;
    if (piece->room.previous == TRESOR__NOBODY)
        queue->head = piece->room.next;
    else
        piece_of(controller, piece->room.previous)->room.next = piece->room.next;
    if (piece->room.next == TRESOR__NOBODY)
        queue->tail = piece->room.previous;
    else
        piece_of(controller, piece->room.next)->room.previous = piece->room.previous;
    piece->room.queued = false;
}

void tresor__budget_ask(struct tresor__controller *controller, struct tresor__piece *piece)
{
    unlink_piece(controller, piece);
    push(controller, piece);
    controller->budget.is_due = true;
}

void tresor__budget_withdraw(struct tresor__controller *controller, struct tresor__piece *piece)
{
    unlink_piece(controller, piece);
    controller->budget.is_due = true;
}

/* --- what tensors become --- */

static void rank(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (controller->budget.budget_bytes > 0 && piece->plan == 0 && piece->rank == TRESOR_NONE)
        tresor__ranking_add(ranking_of(controller, piece), policy_of(controller), piece->index);
}

static bool is_there(const struct tresor__piece *piece)
{
    return tresor__tensor_is_there(&piece->tensor) || piece->tensor.state == TENSOR_SEALING;
}

static void unrank(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (piece->rank != TRESOR_NONE)
        tresor__ranking_remove(ranking_of(controller, piece), policy_of(controller), piece->index);
}

static void set_yielding(struct tresor__controller *controller, struct tresor__piece *piece, bool yields)
{
    piece->is_yielding = yields;
    tresor__ledger_yield(ledger_of(controller, piece), piece->index, yields);
}

void tresor__budget_claimed(struct tresor__controller *controller)
{
    controller->budget.loading++;
}

void tresor__budget_resident(struct tresor__controller *controller, struct tresor__piece *piece)
{
    controller->budget.loading--;
    controller->budget.is_due = true;
    piece->kept_round = 0;
    rank(controller, piece);
}

void tresor__budget_kept(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (piece->is_yielding)
        set_yielding(controller, piece, false);
    rank(controller, piece);
    controller->budget.is_due = true;
}

/* Under a budget none are kept. */
static void drop_spares_of(struct tresor__controller *controller, uint32_t source, uint32_t file)
{
    struct tresor__ledger *ledger = &controller->slots[source].source.model.files[file].io.ledger;
    if (controller->budget.budget_bytes == 0 || ledger->spare_bytes == 0)
        return;
    tresor__ledger_drop_spares(ledger);
    tresor__turns_add_file(controller, source, file, TRESOR__TURN_NEWS);
}

void tresor__budget_left(struct tresor__controller *controller, struct tresor__piece *piece,
                         bool was_loading)
{
    struct tresor__budget *budget = &controller->budget;
    if (was_loading) {
        budget->loading--;
        drop_spares_of(controller, piece->tensor.source, piece->file); /* it may have wanted some */
    }
    if (piece->is_yielding) {
        budget->evicted++;
        budget->wasted += piece->is_prefetched;
        set_yielding(controller, piece, false);
    }
    piece->is_prefetched = false;
    unrank(controller, piece);
    budget->is_due = true;
}

void tresor__budget_swapped(struct tresor__controller *controller)
{
    controller->budget.swapping--;
    controller->budget.is_due = true;
}

void tresor__budget_touch(struct tresor__controller *controller, struct tresor__piece *piece,
                          const struct tresor__request *request)
{
    piece->serial = request->serial;
    if (controller->budget.budget_bytes == 0 || request->verb == TRESOR_VERB_PLAN)
        return;
    controller->budget.ticks++;
    tresor__budget_learn(controller, piece, tresor__acquires_tick(&controller->acquires),
                         (uint16_t)(piece->uses_seen + 1));
}

void tresor__budget_learn(struct tresor__controller *controller, struct tresor__piece *piece,
                          uint64_t stamp, uint16_t count)
{
    uint32_t uses = (uint16_t)(count - piece->uses_seen);
    if (stamp <= piece->use.stamp)
        return;
    piece->uses_seen = count;
    tresor__use_note(&piece->use, stamp, uses);
    piece->is_prefetched = false;
    if (piece->rank != TRESOR_NONE)
        tresor__ranking_move(ranking_of(controller, piece), policy_of(controller), piece->index);
}

void tresor__budget_note_use(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (!piece->is_yielding)
        return; /* it was the host who asked, and nobody will be told of the end of its users */
    piece->kept_round = controller->budget.round;
    tresor__releases_await(controller, piece);
}

void tresor__budget_note_plan(struct tresor__controller *controller, struct tresor__piece *piece)
{
    if (piece->plan != 0)
        unrank(controller, piece);
    else if (is_there(piece) && !piece->is_yielding)
        rank(controller, piece);
}

void tresor__budget_released(struct tresor__controller *controller)
{
    controller->budget.round++;
    controller->budget.is_due = true;
}

/* --- who goes --- */

/* Those that were taken out of the rankings, chained by their links, which nobody else needs of what is resident. */
struct chain {
    uint64_t first;
    uint64_t bytes; /* that are committed no more when all of them are gone */
};

static void chain(struct chain *chain, struct tresor__piece *piece)
{
    piece->room.next = chain->first;
    chain->first = identifier(piece);
}

typedef void each_piece(struct tresor__controller *controller, struct tresor__piece *piece);

static void each_of_chain(struct tresor__controller *controller, const struct chain *chain,
                          each_piece *visit)
{
    uint64_t next = chain->first;
    while (next != TRESOR__NOBODY) {
        struct tresor__piece *piece = piece_of(controller, next);
        next = piece->room.next;
        visit(controller, piece);
    }
}

/* Nothing would be had for a piece whose file stays in memory. */
static bool is_held(const struct tresor__controller *controller, const struct tresor__piece *piece)
{
    return controller->slots[piece->tensor.source].source.model.files[piece->file].io.ledger.is_held;
}

/* What the same request has brought in stays, or it would never have all. */
bool tresor__budget_may_go(const struct tresor__controller *controller,
                           const struct tresor__piece *piece, uint32_t serial)
{
    return piece->tensor.state == TENSOR_RESIDENT && !piece->is_yielding &&
           !is_held(controller, piece) && piece->lock.state == LOCK_UNLOCKED && piece->kept_round != controller->budget.round &&
           (serial == 0 || piece->serial != serial);
}

/* The first of all rankings; it is taken out. */
static struct tresor__piece *take_first(struct tresor__controller *controller)
{
    tresor__policy *policy = policy_of(controller);
    struct tresor__piece *best = NULL;
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        const struct tresor__slot *slot = &controller->slots[i];
        if (slot->source.state != SOURCE_READY || slot->ranking.count == 0)
            continue;
        struct tresor__piece *piece = &slot->pieces[tresor__ranking_first(&slot->ranking)];
        if (!best || policy(&piece->use, &best->use))
            best = piece;
    }
    if (best)
        unrank(controller, best);
    return best;
}

static void choose(struct tresor__controller *controller, struct chain *chosen,
                   struct tresor__piece *piece)
{
    uint64_t before = controller->io.room.leaving_bytes;
    set_yielding(controller, piece, true);
    chosen->bytes += controller->io.room.leaving_bytes - before;
    chain(chosen, piece);
}

static void choose_unnamed(struct tresor__controller *controller, struct chain *chosen,
                           uint64_t bytes, uint32_t serial)
{
    struct chain aside = {.first = TRESOR__NOBODY};
    while (chosen->bytes < bytes) {
        struct tresor__piece *piece = take_first(controller);
        if (!piece)
            break;
        if (piece->size_bytes > 0 && tresor__budget_may_go(controller, piece, serial))
            choose(controller, chosen, piece);
        else
            chain(&aside, piece);
    }
    each_of_chain(controller, &aside, rank);
}

static void keep_after_all(struct tresor__controller *controller, struct tresor__piece *piece)
{
    set_yielding(controller, piece, false);
    rank(controller, piece);
}

static void ask_to_go(struct tresor__controller *controller, struct tresor__piece *piece)
{
    step(controller, piece, TENSOR_ON_YIELD, 0);
}

/* Ask as many to go as give so many bytes, for the good of `piece` (NULL: for nobody's); false, and nobody is asked, where
 * all together do not. */
static bool make_room(struct tresor__controller *controller, uint64_t bytes,
                      const struct tresor__piece *piece, uint32_t serial)
{
    struct chain chosen = {.first = TRESOR__NOBODY};
    choose_unnamed(controller, &chosen, bytes, serial);
    while (chosen.bytes < bytes) {
        struct tresor__piece *victim = tresor__plans_victim(controller, piece, serial);
        if (!victim)
            break;
        choose(controller, &chosen, victim);
    }
    if (chosen.bytes < bytes && piece) {
        each_of_chain(controller, &chosen, keep_after_all);
        return false;
    }
    each_of_chain(controller, &chosen, ask_to_go);
    return chosen.bytes >= bytes;
}

/* --- a look --- */

static uint64_t pages_of(struct tresor__controller *controller, const struct tresor__piece *piece)
{
    const struct tresor__ledger *ledger = ledger_of(controller, piece);
    const struct tresor__span *span = &ledger->spans[piece->index];
    if (ledger->is_held)
        return 0;
    return tresor__ledger_start(ledger, span->first_interval + span->interval_count) -
           tresor__ledger_start(ledger, span->first_interval);
}

static uint64_t measure(struct tresor__controller *controller, struct tresor__slot *slot, uint64_t item,
                        uint32_t mark)
{
    uint64_t bytes = 0;
    uint32_t pieces = tresor__items_count(slot, item);
    for (uint32_t i = 0; i < pieces; i++) {
        const struct tresor__piece *piece = &slot->pieces[tresor__items_piece(slot, item, i)];
        bytes += tresor__ledger_mark(ledger_of(controller, piece), piece->index, mark);
    }
    return bytes;
}

/* The serial of the first that waits for it, whose other tensors stay; a plan's own may go for each other. */
static uint32_t serial_of(const struct tresor__controller *controller,
                          const struct tresor__piece *piece)
{
    for (uint32_t i = piece->first_wait; i != TRESOR_NONE; i = controller->pairs[i].next_of_tensor) {
        const struct tresor__request *request = &controller->requests[controller->pairs[i].request];
        if (controller->pairs[i].wait == TRESOR__WAIT_LOAD)
            return request->verb == TRESOR_VERB_PLAN ? 0 : request->serial;
    }
    return 0;
}

static void admit(struct tresor__controller *controller, struct tresor__piece *piece)
{
    unlink_piece(controller, piece);
    step(controller, piece, TENSOR_ON_ADMITTED, 0);
}

static void refuse(struct tresor__controller *controller, struct tresor__piece *piece, int32_t code)
{
    tresor__pins_set_coming(&controller->slots[piece->tensor.source], piece->index, false);
    unlink_piece(controller, piece);
    step(controller, piece, TENSOR_ON_REFUSED, code);
}

static void mark_request(struct tresor__controller *controller, struct tresor__request *request)
{
    struct tresor__slot *slot = &controller->slots[request->source];
    uint32_t mark = ++controller->io.mark;
    uint32_t item = request->first_item;
    while (item != TRESOR_NONE) {
        request->page_bytes += measure(controller, slot, controller->items[item].item, mark);
        item = controller->items[item].next;
    }
}

bool tresor__budget_is_too_big(struct tresor__controller *controller,
                               struct tresor__request *request, const struct tresor__piece *piece)
{
    if (request->verb == TRESOR_VERB_PLAN)
        return tresor__plan_measure_step(controller, piece) > tresor__budget_most(controller);
    if (request->page_bytes == 0)
        mark_request(controller, request);
    return request->page_bytes > tresor__budget_most(controller);
}

enum verdict {
    ADMITTED, /* or refused: it awaits room no more */
    COMING,   /* others were asked to go, or will end by themselves: who comes after it waits too */
    BLOCKED,  /* what it needs is in use */
};

/* A source is closing, and nobody has anything of it. */
static bool is_closing(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources && controller->draining > 0; i++)
        if (controller->slots[i].source.state == SOURCE_DRAINING &&
            tresor__pins_held(&controller->slots[i]) == 0)
            return true;
    return false;
}

/* Something beside swaps will end by itself, and may leave room. Turns that are due may bring about what is asked for, and
 * then this is looked at again. */
static bool others_are_moving(struct tresor__controller *controller)
{
    const struct tresor__room *room = &controller->io.room;
    controller->budget.awaits_turns = controller->turns.head != TRESOR_NONE;
    return controller->budget.awaits_turns ||
           atomic_load_explicit(&controller->released, memory_order_relaxed) ||
           controller->budget.loading > 0 || is_closing(controller) || room->leaving_bytes > 0 ||
           room->scratch_bytes > room->stuck_bytes;
}

/* A swap ends once it has room for its own chunk. */
static bool is_moving(struct tresor__controller *controller)
{
    return others_are_moving(controller) || controller->budget.swapping > 0 ||
           controller->io.swaps_awaiting_room > 0;
}

/* The same, to those who give swaps their room. */
static bool is_moving_beside_swaps(struct tresor__controller *controller)
{
    return others_are_moving(controller) ||
           (controller->budget.swapping > 0 && controller->io.swaps_awaiting_room == 0);
}

static enum verdict judge(struct tresor__controller *controller, struct tresor__piece *piece)
{
    uint64_t limit = tresor__budget_limit(controller);
    uint64_t committed = controller->io.room.committed_bytes;
    uint64_t leaving = controller->io.room.leaving_bytes;
    uint64_t need = tresor__ledger_need(ledger_of(controller, piece), piece->index);
    if (pages_of(controller, piece) > tresor__budget_most(controller)) {
        refuse(controller, piece, TRESOR_ERROR_TOO_BIG);
        return ADMITTED;
    }
    if (committed + need <= limit) {
        admit(controller, piece);
        return ADMITTED;
    }
    uint64_t missing = committed + need - limit;
    if (missing <= leaving ||
        make_room(controller, missing - leaving, piece, serial_of(controller, piece)))
        return COMING;
    if (is_moving(controller))
        return COMING;
    tresor__waits_refuse_room(controller, piece);
    if (piece->waits[TRESOR__WAIT_LOAD] > 0)
        return BLOCKED;
    refuse(controller, piece, TRESOR_ERROR_BUSY);
    return ADMITTED;
}

/* The most urgent first, each urgency in the order of its asking. With many that may wait for long, only those are looked at
 * that may not. */
static void look_at_awaiting(struct tresor__controller *controller)
{
    uint32_t passed = 0;
    for (uint32_t urgency = TRESOR__URGENCY_COUNT; urgency-- > 0;) {
        uint64_t next = controller->budget.awaiting[urgency].head;
        while (next != TRESOR__NOBODY) {
            struct tresor__piece *piece = piece_of(controller, next);
            next = piece->room.next;
            if (passed >= PASSED_MAX && tresor__waits_are_patient(controller, piece))
                continue;
            enum verdict verdict = judge(controller, piece);
            passed += verdict == BLOCKED;
            if (verdict == COMING)
                return;
        }
    }
}

static void settle_request(struct tresor__controller *controller, int32_t code)
{
    struct tresor__budget *budget = &controller->budget;
    uint32_t index = budget->request;
    if (index == TRESOR_NONE)
        return;
    budget->request = TRESOR_NONE;
    if (code != TRESOR_OK && code != TRESOR_ERROR_CANCELLED) {
        struct tresor_error *error = &controller->requests[index].error;
        error->code = code;
        error->wanted = budget->budget_bytes;
        error->got = controller->io.room.charged_bytes;
    }
    tresor__router_step_on(controller, &controller->requests[index],
                           &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, index},
                           &(struct tresor__input){.event = REQUEST_ON_SETTLED, .value = code});
}

/* While a stage was used already, it comes back some day. */
static void refuse_stages(struct tresor__controller *controller, int32_t code)
{
    struct tresor__io *io = &controller->io;
    if (!io->awaits_stage_room || io->room.staged_bytes > 0)
        return;
    tresor__turns_refuse_stages(controller, code);
    io->awaits_stage_room = false;
}

/* Nobody may want a stage any more; and a lower budget may not hold one. */
static void look_at_stages(struct tresor__controller *controller)
{
    struct tresor__io *io = &controller->io;
    uint64_t taken = io->room.leaked_bytes + io->room.stuck_bytes + io->room.held_bytes +
                     controller->leaked_bytes + tresor__io_stage_room(io);
    io->awaits_stage_room = controller->budget.budget_bytes > 0 && io->awaits_stage_room &&
                            tresor__turns_want_stage(controller);
    if (taken > controller->budget.budget_bytes)
        refuse_stages(controller, TRESOR_ERROR_TOO_BIG);
}

/* All that is left is in use. Swaps come first: their tensors may go when they have ended. */
static void refuse_those_above(struct tresor__controller *controller)
{
    const struct tresor__budget *budget = &controller->budget;
    if (controller->io.swaps_awaiting_room > 0) {
        tresor__waits_refuse_swaps(controller);
        return;
    }
    refuse_stages(controller, TRESOR_ERROR_BUSY);
    if (budget->request != TRESOR_NONE && !controller->requests[budget->request].awaits_room)
        settle_request(controller, TRESOR_ERROR_BUSY);
}

/* More is committed than may be: others go, for a stage, for a swap's next chunk or for nobody's good. */
static void shrink(struct tresor__controller *controller)
{
    uint64_t limit = tresor__budget_limit(controller);
    uint64_t committed = controller->io.room.committed_bytes;
    uint64_t leaving = controller->io.room.leaving_bytes;
    if (committed > limit && committed - limit > leaving &&
        !make_room(controller, committed - limit - leaving, NULL, 0) &&
        !is_moving_beside_swaps(controller))
        refuse_those_above(controller);
}

void tresor__budget_run(struct tresor__controller *controller)
{
    struct tresor__budget *budget = &controller->budget;
    budget->is_due = false;
    budget->awaits_turns = false;
    budget->leaked_bytes = controller->io.room.leaked_bytes;
    look_at_stages(controller);
    if (budget->budget_bytes > 0)
        shrink(controller);
    look_at_awaiting(controller); /* who asked before the budget was taken away is admitted too */
    if (budget->budget_bytes > 0)
        set_room(controller);
}

void tresor__budget_settle(struct tresor__controller *controller)
{
    const struct tresor__budget *budget = &controller->budget;
    const struct tresor__room *room = &controller->io.room;
    bool is_below = room->committed_bytes <= tresor__budget_limit(controller) &&
                    room->charged_bytes <= budget->budget_bytes;
    uint64_t fixed = tresor__room_fixed(room);
    if (budget->request != TRESOR_NONE && (budget->budget_bytes == 0 || is_below))
        settle_request(controller, TRESOR_OK);
    else if (room->committed_bytes == 0 && room->charged_bytes <= fixed && fixed > budget->budget_bytes)
        settle_request(controller, TRESOR_ERROR_BUSY); /* stages and decoded files keep their memory, and so does the system what it refused to unmap */
}

bool tresor__budget_is_awaited(const struct tresor__controller *controller)
{
    const struct tresor__budget *budget = &controller->budget;
    bool is_awaited = budget->request != TRESOR_NONE || controller->io.awaits_stage_room;
    for (uint32_t i = 0; i < TRESOR__URGENCY_COUNT; i++)
        is_awaited = is_awaited || budget->awaiting[i].head != TRESOR__NOBODY;
    return is_awaited;
}

bool tresor__budget_awaits_users(const struct tresor__controller *controller)
{
    uint64_t users = 0;
    if (!tresor__budget_is_awaited(controller))
        return false;
    for (uint32_t i = 0; i < controller->limits.sources; i++)
        if (controller->slots[i].source.state == SOURCE_READY)
            users += tresor__pins_users(&controller->slots[i]);
    return users > controller->pinned_count;
}

void tresor__budget_cancel(struct tresor__controller *controller, uint32_t request)
{
    if (controller->budget.request == request)
        settle_request(controller, TRESOR_ERROR_CANCELLED);
}

/* --- what the host asks --- */

/* Also of those that are about to go, for they may stay. */
static void each_resident(struct tresor__controller *controller, each_piece *visit)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        struct tresor__slot *slot = &controller->slots[i];
        for (uint32_t k = 0; slot->source.state == SOURCE_READY && k < slot->ranking.capacity; k++)
            if (is_there(&slot->pieces[k]))
                visit(controller, &slot->pieces[k]);
    }
}

/* Loads that wait for the end of an eviction were asked for before. */
static void ask_room_again(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        struct tresor__slot *slot = &controller->slots[i];
        for (uint32_t k = 0; slot->source.state == SOURCE_READY && k < slot->ranking.capacity; k++)
            slot->pieces[k].tensor.asks_room = true;
    }
}

static void drop_spares(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        const struct tresor__source *source = &controller->slots[i].source;
        for (uint32_t k = 0; source->state == SOURCE_READY && k < source->model.file_count; k++)
            drop_spares_of(controller, i, k);
    }
}

void tresor__budget_set(struct tresor__controller *controller, uint64_t budget_bytes,
                        uint32_t request)
{
    struct tresor__budget *budget = &controller->budget;
    settle_request(controller, TRESOR_ERROR_CANCELLED);
    budget->request = request;
    budget->budget_bytes = budget_bytes;
    budget->is_due = true;
    budget->round++;
    each_resident(controller, budget_bytes > 0 ? rank : unrank);
    ask_room_again(controller);
    bound_pages(controller);
    if (budget_bytes > 0 && controller->io.room.spare_bytes > 0)
        drop_spares(controller);
    set_room(controller);
}

void tresor__budget_choose_policy(struct tresor__controller *controller, uint32_t policy)
{
    controller->budget.policy = policy;
    for (uint32_t i = 0; i < controller->limits.sources; i++)
        if (controller->slots[i].source.state == SOURCE_READY)
            tresor__ranking_rebuild(&controller->slots[i].ranking, policy_of(controller));
}

void tresor__budget_prioritise(struct tresor__controller *controller, struct tresor__piece *piece,
                               int32_t priority)
{
    piece->use.priority = priority;
    if (piece->rank != TRESOR_NONE)
        tresor__ranking_move(ranking_of(controller, piece), policy_of(controller), piece->index);
}

uint64_t tresor__budget_measure(struct tresor__controller *controller, struct tresor__slot *slot,
                                const uint64_t *items, size_t count)
{
    uint64_t bytes = 0;
    uint32_t mark = ++controller->io.mark;
    for (size_t i = 0; i < count; i++)
        bytes += measure(controller, slot, items[i], mark);
    return bytes;
}
