/* SPDX-License-Identifier: MIT */
/* Who is due: machines that asked for another turn, in the order in which they asked. */
#include "tensor/controller.h"

enum {
    KIND_SHIFT = 28,
    FILE_BITS = 16,
    NEWS_MAX = 256, /* that one turn of a file tells */
};

static uint32_t identifier(uint32_t actor, uint32_t source, uint32_t index)
{
    return actor << KIND_SHIFT |
           (actor == TRESOR__ACTOR_FILE ? source << FILE_BITS | index : index);
}

static struct tresor__file *file_of(struct tresor__controller *controller, uint32_t id)
{
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    struct tresor__slot *slot = &controller->slots[place >> FILE_BITS];
    return &slot->source.model.files[place & ((1u << FILE_BITS) - 1)].io;
}

static inline struct tresor__link *turn_of(struct tresor__controller *controller, uint32_t id)
{
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    switch (id >> KIND_SHIFT) {
    case TRESOR__ACTOR_SOURCE:
        return &controller->slots[place].source.turn;
    case TRESOR__ACTOR_FILE:
        return &file_of(controller, id)->turn;
    case TRESOR__ACTOR_REQUEST:
        return &controller->requests[place].turn;
    case TRESOR__ACTOR_STREAM:
        return &controller->streams[place].turn;
    default:
        return &controller->copies[place].turn;
    }
}

static inline struct tresor__link *hungry_of(struct tresor__controller *controller, uint32_t id)
{
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    switch (id >> KIND_SHIFT) {
    case TRESOR__ACTOR_FILE:
        return &file_of(controller, id)->hungry;
    case TRESOR__ACTOR_STREAM:
        return &controller->streams[place].hungry;
    default:
        return &controller->copies[place].hungry;
    }
}

/* So that `find` is known where it is called, and costs no call. */
#define ALWAYS_INLINE __attribute__((always_inline))

typedef struct tresor__link *link_of(struct tresor__controller *controller, uint32_t id);

ALWAYS_INLINE static inline void push(struct tresor__controller *controller,
                                      struct tresor__queue *queue, link_of *find, uint32_t id)
{
    struct tresor__link *link = find(controller, id);
    if (link->queued)
        return;
    *link = (struct tresor__link){.next = TRESOR_NONE, .queued = true};
    if (queue->tail == TRESOR_NONE)
        queue->head = id;
    else
        find(controller, queue->tail)->next = id;
    queue->tail = id;
}

ALWAYS_INLINE static inline uint32_t pop(struct tresor__controller *controller,
                                         struct tresor__queue *queue, link_of *find)
{
    uint32_t id = queue->head;
    if (id == TRESOR_NONE)
        return TRESOR_NONE;
    struct tresor__link *link = find(controller, id);
    link->queued = false;
    queue->head = link->next;
    if (queue->head == TRESOR_NONE)
        queue->tail = TRESOR_NONE;
    return id;
}

/* Out of the list that it is in; rare, so it is looked for. */
ALWAYS_INLINE static inline void unlink_from(struct tresor__controller *controller,
                                             struct tresor__queue *queue, link_of *find,
                                             uint32_t id)
{
    uint32_t previous = TRESOR_NONE;
    uint32_t at = queue->head;
    while (at != id) {
        previous = at;
        at = find(controller, at)->next;
    }
    struct tresor__link *link = find(controller, id);
    if (previous == TRESOR_NONE)
        queue->head = link->next;
    else
        find(controller, previous)->next = link->next;
    if (queue->tail == id)
        queue->tail = previous;
    link->queued = false;
}

/* Into the list of its urgency, where it is not in that of a higher one. */
ALWAYS_INLINE static inline void push_urgent(struct tresor__controller *controller,
                                             struct tresor__queue *queues, link_of *find,
                                             uint32_t id, uint8_t urgency)
{
    struct tresor__link *link = find(controller, id);
    if (link->queued && link->urgency >= urgency)
        return;
    if (link->queued)
        unlink_from(controller, &queues[link->urgency], find, id);
    push(controller, &queues[urgency], find, id);
    link->urgency = urgency;
}

static void add(struct tresor__controller *controller, uint32_t id)
{
    push(controller, &controller->turns, turn_of, id);
}

void tresor__turns_add_source(struct tresor__controller *controller, uint32_t source)
{
    add(controller, identifier(TRESOR__ACTOR_SOURCE, source, source));
}

void tresor__turns_add_file(struct tresor__controller *controller, uint32_t source, uint32_t file,
                            uint32_t turns)
{
    uint32_t id = identifier(TRESOR__ACTOR_FILE, source, file);
    file_of(controller, id)->turns |= turns;
    add(controller, id);
}

void tresor__turns_add_request(struct tresor__controller *controller, uint32_t request)
{
    add(controller, identifier(TRESOR__ACTOR_REQUEST, 0, request));
}

void tresor__turns_add_copy(struct tresor__controller *controller, uint32_t copy)
{
    add(controller, identifier(TRESOR__ACTOR_COPY, 0, copy));
}

void tresor__turns_add_stream(struct tresor__controller *controller, uint32_t stream)
{
    add(controller, identifier(TRESOR__ACTOR_STREAM, 0, stream));
}

/* The most urgent list that somebody is in; COUNT where nobody is in any. */
static uint32_t most_urgent(const struct tresor__queue *queues)
{
    for (uint32_t i = TRESOR__URGENCY_COUNT; i-- > 0;)
        if (queues[i].head != TRESOR_NONE)
            return i;
    return TRESOR__URGENCY_COUNT;
}

static void note_hungry(struct tresor__controller *controller)
{
    uint32_t urgency = most_urgent(controller->hungry);
    controller->io.awaited = urgency < TRESOR__URGENCY_COUNT ? urgency : 0;
}

void tresor__turns_await_block_for_file(struct tresor__controller *controller,
                                        struct tresor__file *file)
{
    push_urgent(controller, controller->hungry, hungry_of,
                identifier(TRESOR__ACTOR_FILE, file->source, file->index),
                (uint8_t)tresor__file_urgency(file));
    note_hungry(controller);
}

void tresor__turns_await_block_for_copy(struct tresor__controller *controller, uint32_t copy)
{
    push_urgent(controller, controller->hungry, hungry_of, identifier(TRESOR__ACTOR_COPY, 0, copy),
                controller->copies[copy].urgency);
    note_hungry(controller);
}

void tresor__turns_await_block_for_stream(struct tresor__controller *controller, uint32_t stream)
{
    push_urgent(controller, controller->hungry, hungry_of,
                identifier(TRESOR__ACTOR_STREAM, 0, stream), controller->streams[stream].urgency);
    note_hungry(controller);
}

static inline struct tresor__link *starving_of(struct tresor__controller *controller, uint32_t id)
{
    return &controller->requests[id & ((1u << KIND_SHIFT) - 1)].starving;
}

void tresor__turns_await_pair(struct tresor__controller *controller, uint32_t request)
{
    push_urgent(controller, controller->starving, starving_of,
                identifier(TRESOR__ACTOR_REQUEST, 0, request),
                controller->requests[request].urgency);
}

static inline struct tresor__link *stageless_of(struct tresor__controller *controller, uint32_t id)
{
    return &controller->streams[id & ((1u << KIND_SHIFT) - 1)].stageless;
}

void tresor__turns_await_stage(struct tresor__controller *controller, uint32_t stream)
{
    push(controller, &controller->stageless, stageless_of,
         identifier(TRESOR__ACTOR_STREAM, 0, stream));
    if (controller->io.free_stage == TRESOR_NONE)
        return;
    controller->io.awaits_stage_room = true; /* others go for its memory */
    controller->budget.is_due = true;
}

static bool wants_stage(const struct tresor__stream *stream)
{
    return stream->state == STREAM_FILLING && !stream->is_cancelled && !stream->is_stopped;
}

bool tresor__turns_want_stage(struct tresor__controller *controller)
{
    uint32_t id = controller->stageless.head;
    while (id != TRESOR_NONE && !wants_stage(&controller->streams[id & ((1u << KIND_SHIFT) - 1)]))
        id = stageless_of(controller, id)->next;
    return id != TRESOR_NONE;
}

/* None of them has a stage, so none has a failure to tell before this one. */
void tresor__turns_refuse_stages(struct tresor__controller *controller, int32_t code)
{
    uint32_t id = pop(controller, &controller->stageless, stageless_of);
    while (id != TRESOR_NONE) {
        struct tresor__stream *stream = &controller->streams[id & ((1u << KIND_SHIFT) - 1)];
        if (wants_stage(stream)) {
            assert(stream->first_stage == TRESOR_NONE);
            stream->is_stopped = true;
            stream->failed_pair = stream->pair;
            stream->failure = (struct tresor__failure){.code = code};
            add(controller, id);
        }
        id = pop(controller, &controller->stageless, stageless_of);
    }
}

static bool can_feed_stageless(const struct tresor__controller *controller)
{
    return controller->stageless.head != TRESOR_NONE && tresor__io_has_stage(&controller->io);
}

static inline struct tresor__link *roomless_of(struct tresor__controller *controller, uint32_t id)
{
    return &file_of(controller, id)->roomless;
}

void tresor__turns_await_room(struct tresor__controller *controller, uint32_t source, uint32_t file)
{
    push(controller, &controller->roomless, roomless_of,
         identifier(TRESOR__ACTOR_FILE, source, file));
}

static bool has_use_of_room(const struct tresor__ledger *ledger, enum tresor__backing backing)
{
    return !tresor__ledger_wants(ledger, backing) || tresor__ledger_has_room(ledger, backing);
}

/* The first has room now for either of its machines, or wants none any more. */
static bool can_feed_roomless(const struct tresor__controller *controller)
{
    uint32_t id = controller->roomless.head;
    if (id == TRESOR_NONE)
        return false;
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    const struct tresor__model *model = &controller->slots[place >> FILE_BITS].source.model;
    const struct tresor__ledger *ledger = &model->files[place & ((1u << FILE_BITS) - 1)].io.ledger;
    return has_use_of_room(ledger, TRESOR__BACKING_FILE) &&
           has_use_of_room(ledger, TRESOR__BACKING_ANONYMOUS);
}

static inline struct tresor__link *swapless_of(struct tresor__controller *controller, uint32_t id)
{
    return &file_of(controller, id)->swapless;
}

void tresor__turns_await_swap_room(struct tresor__controller *controller, uint32_t source,
                                   uint32_t file)
{
    push(controller, &controller->swapless, swapless_of,
         identifier(TRESOR__ACTOR_FILE, source, file));
    controller->budget.is_due = true; /* others go for it */
}

/* The first has room now for its next chunk, or wants none any more. */
static bool can_feed_swapless(const struct tresor__controller *controller)
{
    uint32_t id = controller->swapless.head;
    if (id == TRESOR_NONE)
        return false;
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    const struct tresor__model *model = &controller->slots[place >> FILE_BITS].source.model;
    const struct tresor__file *file = &model->files[place & ((1u << FILE_BITS) - 1)].io;
    return tresor__swap_need(&file->swap) <= tresor__room_left(&controller->io.room);
}

bool tresor__turns_has_starving(const struct tresor__controller *controller)
{
    return most_urgent(controller->starving) < TRESOR__URGENCY_COUNT;
}

/* Where there is no block for the most urgent, there is none for the others. */
static bool can_feed_hungry(const struct tresor__controller *controller)
{
    uint32_t urgency = most_urgent(controller->hungry);
    return urgency < TRESOR__URGENCY_COUNT && tresor__io_has_block(&controller->io, urgency);
}

bool tresor__turns_can_feed(const struct tresor__controller *controller)
{
    return can_feed_hungry(controller) || can_feed_stageless(controller) ||
           can_feed_roomless(controller) || can_feed_swapless(controller) ||
           (controller->free_pair != TRESOR_NONE && tresor__turns_has_starving(controller));
}

void tresor__turns_feed(struct tresor__controller *controller)
{
    uint32_t id =
        can_feed_hungry(controller)
            ? pop(controller, &controller->hungry[most_urgent(controller->hungry)], hungry_of)
        : can_feed_stageless(controller)
            ? pop(controller, &controller->stageless, stageless_of)
        : can_feed_roomless(controller)
            ? pop(controller, &controller->roomless, roomless_of)
        : can_feed_swapless(controller)
            ? pop(controller, &controller->swapless, swapless_of)
            : pop(controller, &controller->starving[most_urgent(controller->starving)],
                  starving_of);
    note_hungry(controller);
    if (id >> KIND_SHIFT == TRESOR__ACTOR_FILE)
        file_of(controller, id)->turns |=
            TRESOR__TURN_READ | TRESOR__TURN_MAPPING | TRESOR__TURN_SWAP;
    add(controller, id);
}

static void step(struct tresor__controller *controller, uint32_t machine, void *context,
                 uint32_t source, uint32_t slot, uint32_t event)
{
    tresor__router_step_on(controller, context, &(struct tresor__address){machine, source, slot},
                           &(struct tresor__input){.event = event});
}

/* One news of one tensor; failures before ends, for an end leaves the state that listens to them.
 */
static void tell(struct tresor__controller *controller, struct tresor__file *file, uint32_t tensor)
{
    static const struct {
        uint16_t news;
        uint8_t machine;
        uint8_t event;
    } rows[] = {
        {TRESOR__NEWS_RELEASE_FAILED, TRESOR__MACHINE_TENSOR, TENSOR_ON_RELEASE_FAILED},
        {TRESOR__NEWS_RELEASED, TRESOR__MACHINE_TENSOR, TENSOR_ON_RELEASED},
        {TRESOR__NEWS_FILL_FAILED, TRESOR__MACHINE_TENSOR, TENSOR_ON_FILL_FAILED},
        {TRESOR__NEWS_FILLED, TRESOR__MACHINE_TENSOR, TENSOR_ON_FILLED},
        {TRESOR__NEWS_SWAP_FAILED, TRESOR__MACHINE_TENSOR, TENSOR_ON_SWAP_FAILED},
        {TRESOR__NEWS_SWAPPED, TRESOR__MACHINE_TENSOR, TENSOR_ON_SWAPPED},
        {TRESOR__NEWS_LOCK_FAILED, TRESOR__MACHINE_LOCK, LOCK_ON_LOCK_FAILED},
        {TRESOR__NEWS_LOCKED, TRESOR__MACHINE_LOCK, LOCK_ON_LOCK_OK},
        {TRESOR__NEWS_UNLOCK_FAILED, TRESOR__MACHINE_LOCK, LOCK_ON_UNLOCK_FAILED},
        {TRESOR__NEWS_UNLOCKED, TRESOR__MACHINE_LOCK, LOCK_ON_UNLOCK_OK},
    };
    struct tresor__span *span = &file->ledger.spans[tensor];
    uint16_t news = span->news & (uint16_t)~TRESOR__NEWS_PROGRESS;
    if (span->news & TRESOR__NEWS_PROGRESS)
        tresor__waits_progress(controller, &controller->slots[file->source].pieces[tensor]);
    if (news & (TRESOR__NEWS_SWAPPED | TRESOR__NEWS_SWAP_FAILED))
        tresor__budget_swapped(controller);
    span->news = 0;
    for (uint32_t i = 0; news; i++) {
        if (!(news & rows[i].news))
            continue;
        news = (uint16_t)(news & ~rows[i].news);
        tresor__router_step(
            controller, &(struct tresor__address){rows[i].machine, file->source, tensor},
            &(struct tresor__input){.event = rows[i].event,
                                    .value = rows[i].machine == TRESOR__MACHINE_TENSOR
                                                 ? span->failure.code
                                                 : span->lock_failure.code});
    }
}

static void tell_news(struct tresor__controller *controller, struct tresor__file *file)
{
    for (uint32_t i = 0; i < NEWS_MAX; i++) {
        uint32_t tensor = tresor__ledger_pop_news(&file->ledger);
        if (tensor == TRESOR_NONE)
            return;
        tell(controller, file, tensor);
    }
    tresor__turns_add_file(controller, file->source, file->index, TRESOR__TURN_NEWS);
}

/*
 * Work that one machine of a file leaves for another: an interval released by one strategy may be
 * wanted by the other. Only machines that will take it get a turn, so this cannot go round in
 * circles.
 */
static void kick(struct tresor__controller *controller, struct tresor__file *file)
{
    const struct tresor__ledger *ledger = &file->ledger;
    if (!tresor__ledger_has_work(ledger))
        return;
    uint32_t mapping = file->mapping.state;
    uint32_t read = file->read.state;
    uint32_t turns = 0;
    if (ledger->release[TRESOR__BACKING_FILE].count > 0 &&
        (mapping == MAPPING_IDLE || mapping == MAPPING_MAPPED))
        turns |= TRESOR__TURN_MAPPING;
    if (tresor__ledger_wants(ledger, TRESOR__BACKING_FILE) && mapping == MAPPING_IDLE)
        turns |= TRESOR__TURN_MAPPING;
    if (ledger->release[TRESOR__BACKING_ANONYMOUS].count > 0 &&
        (read == READ_IDLE || read == READ_FILLING))
        turns |= TRESOR__TURN_READ;
    if (tresor__ledger_wants(ledger, TRESOR__BACKING_ANONYMOUS) && read == READ_IDLE)
        turns |= TRESOR__TURN_READ;
    if ((ledger->lock.count > 0 || ledger->unlock.count > 0) && file->mlock.state == MLOCK_IDLE)
        turns |= TRESOR__TURN_MLOCK;
    if (tresor__ledger_wants_swap(ledger) && file->swap.state == SWAP_IDLE)
        turns |= TRESOR__TURN_SWAP;
    if (turns)
        tresor__turns_add_file(controller, file->source, file->index, turns);
}

void tresor__turns_look(struct tresor__controller *controller, struct tresor__file *file)
{
    if (file->ledger.news_head != TRESOR_NONE)
        tell_news(controller, file);
    kick(controller, file);
}

static void run_file(struct tresor__controller *controller, struct tresor__file *file)
{
    uint32_t turns = file->turns;
    file->turns = 0;
    if (turns & TRESOR__TURN_MAPPING)
        step(controller, TRESOR__MACHINE_MAPPING, &file->mapping, file->source, file->index,
             MAPPING_ON_TURN);
    if (turns & TRESOR__TURN_READ)
        step(controller, TRESOR__MACHINE_READ, &file->read, file->source, file->index,
             READ_ON_TURN);
    if (turns & TRESOR__TURN_MLOCK)
        step(controller, TRESOR__MACHINE_MLOCK, &file->mlock, file->source, file->index,
             MLOCK_ON_TURN);
    if (turns & TRESOR__TURN_SWAP)
        step(controller, TRESOR__MACHINE_SWAP, &file->swap, file->source, file->index,
             SWAP_ON_TURN);
    if (turns & TRESOR__TURN_CANCEL)
        tresor__blocks_cancel_unwanted(controller, file);
    if (turns & TRESOR__TURN_NEWS)
        tresor__turns_look(controller, file);
}

void tresor__turns_run_one(struct tresor__controller *controller)
{
    uint32_t id = pop(controller, &controller->turns, turn_of);
    uint32_t place = id & ((1u << KIND_SHIFT) - 1);
    switch (id >> KIND_SHIFT) {
    case TRESOR__ACTOR_SOURCE:
        step(controller, TRESOR__MACHINE_SOURCE, &controller->slots[place].source, place, place,
             SOURCE_ON_TURN);
        break;
    case TRESOR__ACTOR_FILE:
        run_file(controller, file_of(controller, id));
        break;
    case TRESOR__ACTOR_REQUEST:
        step(controller, TRESOR__MACHINE_REQUEST, &controller->requests[place], 0, place,
             REQUEST_ON_TURN);
        break;
    case TRESOR__ACTOR_STREAM:
        step(controller, TRESOR__MACHINE_STREAM, &controller->streams[place],
             controller->streams[place].source, place, STREAM_ON_TURN);
        break;
    default:
        step(controller, TRESOR__MACHINE_COPY, &controller->copies[place],
             controller->copies[place].source, place, COPY_ON_TURN);
        break;
    }
}
