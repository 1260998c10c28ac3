/* SPDX-License-Identifier: MIT */
/* The host of a world: what it asks for, what it is told, and what it has. */
#include "world.h"

#include "core/handle.h"
#include "tensor/pins.h"

enum {
    DISPATCHES_MAX = 200,
    ITEMS_MAX = 2 * WORLD_TENSORS,
    PLAN_STEPS = 2,
};

/* --- what it names --- */

static struct tresor__slot *slot(void)
{
    return &world->context->controller.slots[0];
}

uint32_t host_pieces(void)
{
    return slot()->source.state == SOURCE_READY || slot()->source.state == SOURCE_DRAINING
               ? slot()->pin_count
               : 0;
}

static struct tresor_item item_of(uint32_t piece)
{
    return (struct tresor_item){tresor__items_of_piece(slot(), piece)};
}

/* Slices follow the tensors, so the pieces of an alphabet are those that were not split. */
static uint32_t choose_items(uint8_t pieces, struct tresor_item *items)
{
    const struct tresor__model *model = &slot()->source.model;
    uint32_t first = model->slices ? model->directory.entry_count : 0;
    uint32_t count = 0;
    if (pieces == 0)
        tresor_item_of_source(world->context, world->host.source, &items[count++]);
    if (pieces == LAST_PIECE)
        return tresor_item_of_tensor(world->context, world->host.source,
                                     model->directory.entry_count - 1, items) == TRESOR_OK;
    for (uint32_t i = 0; pieces >> i != 0 && slot()->source.state == SOURCE_READY; i++)
        if (pieces >> i & 1)
            items[count++] = item_of(first + i);
    return count;
}

/* --- what it asks for --- */

static int32_t load(const struct op *op, const struct tresor_item *items, uint32_t count,
                    struct tresor_request *request)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .flags = op->flags,
        .strategy = op->strategy,
        .urgency = op->urgency,
        .progress_bytes = op->argument,
    };
    return tresor_load(world->context, items, count, &options, request);
}

static int32_t copy(const struct op *op, struct tresor_item item, struct tresor_request *request)
{
    const struct tresor_request_options options = {.size_bytes = sizeof options,
                                                   .urgency = op->urgency};
    const struct tresor__piece *piece = &slot()->pieces[tresor__handle_index(item.value)];
    uintptr_t page = world->spec->page_bytes;
    uintptr_t place = page * 64 + piece->offset_bytes % page;
    if (op->argument == COPY_ASTRAY)
        place += 1;
    return tresor_copy(world->context, item, 0,
                       op->argument == COPY_NOTHING ? 0 : piece->size_bytes, (void *)place,
                       &options, request);
}

/* One step a tensor; those of the whole source are used in turn. */
static int32_t plan(const struct op *op, struct tresor_request *request)
{
    const struct tresor_plan_options options = {.size_bytes = sizeof options,
                                                .flags = op->flags,
                                                .strategy = op->strategy,
                                                .window_bytes = op->argument * world->spec->page_bytes};
    struct tresor_item items[ITEMS_MAX];
    uint32_t count = choose_items(op->pieces, items);
    return tresor_plan(world->context, items, count, &options, request);
}

static int32_t seek(const struct op *op)
{
    for (uint32_t i = 0; i < world->host.live; i++)
        if (world->host.requests[i].verb == TRESOR_VERB_PLAN)
            return tresor_plan_seek(world->context,
                                    (struct tresor_request){world->host.requests[i].handle},
                                    op->argument);
    return TRESOR_ERROR_STALE;
}

static int32_t watch(uint32_t event, uint32_t state)
{
    struct tresor__controller *controller = &world->context->controller;
    if (controller->watch.state != state)
        return TRESOR_ERROR_BUSY;
    controller->pressure.watched = TRESOR_PRESSURE_MEMORY;
    tresor__router_step(controller, &(struct tresor__address){.machine = TRESOR__MACHINE_WATCH},
                        &(struct tresor__input){.event = event});
    return TRESOR_OK;
}

static int32_t split(void)
{
    return tresor_split_pattern(world->context, world->host.source, "*");
}

static int32_t promise(void)
{
    for (uint32_t i = 0; i < host_pieces(); i++) {
        const struct tresor_item_digest digest = {item_of(i), {WORLD_DIGEST, WORLD_DIGEST}};
        int32_t code = tresor_source_set_digests(world->context, world->host.source, &digest, 1);
        if (code != TRESOR_OK)
            return code;
    }
    return TRESOR_OK;
}

/* Verbs on tensors; how a request is waited for is in its options. */
static int32_t ask(const struct op *op, struct tresor_request *request)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options, .flags = op->flags, .urgency = op->urgency};
    struct tresor_item items[ITEMS_MAX];
    uint32_t count = choose_items(op->pieces, items);
    if (op->is_twice)
        count += choose_items(op->pieces, items + count);
    struct tresor_context *context = world->context;
    switch (op->kind) {
    case OP_LOAD:
        return load(op, items, count, request);
    case OP_DIGEST:
        return tresor_digest(context, items, count, &options, request);
    case OP_EVICT:
        return tresor_evict(context, items, count, &options, request);
    case OP_LOCK:
        return tresor_lock(context, items, count, &options, request);
    case OP_UNLOCK:
        return tresor_unlock(context, items, count, &options, request);
    case OP_SWAP:
        return tresor_swap(context, items, count, op->strategy, &options, request);
    case OP_ADVISE:
        return tresor_advise(context, items, count, TRESOR_ADVICE_RANDOM, &options, request);
    case OP_COPY:
        return count > 0 ? copy(op, items[0], request) : TRESOR_ERROR_BUSY;
    default:
        return tresor_stream(context, items, count, &options, request);
    }
}

static int32_t call(const struct op *op, struct tresor_request *request)
{
    const struct tresor_request_options options = {.size_bytes = sizeof options, .flags = op->flags};
    struct host *host = &world->host;
    switch (op->kind) {
    case OP_OPEN:
        if (slot()->source.state != SOURCE_FREE)
            return TRESOR_ERROR_AGAIN;
        return tresor_source_open(world->context, model_opened_path(), 0, &host->source, request);
    case OP_CLOSE:
        return tresor_source_close(world->context, host->source, 0, request);
    case OP_BUDGET:
        return tresor_budget(world->context, op->argument * world->spec->page_bytes / 2, &options,
                             request);
    case OP_PLAN:
        return plan(op, request);
    case OP_SEEK:
        return seek(op);
    case OP_CHECK:
        return tresor_source_check(world->context, host->source, 0, request);
    case OP_UNGUARD:
        tresor__context_unguard(world->context);
        return TRESOR_OK;
    case OP_PROMISE:
        return promise();
    case OP_SPLIT:
        return split();
    case OP_WATCH:
        return watch(WATCH_ON_START, WATCH_OFF);
    case OP_UNWATCH:
        return watch(WATCH_ON_STOP, op->argument == 0 ? WATCH_WATCHING : WATCH_OFF);
    default:
        return ask(op, request);
    }
}

static uint8_t verb_of(const struct op *op)
{
    static const uint8_t verbs[] = {
        [OP_LOAD] = TRESOR_VERB_LOAD,     [OP_EVICT] = TRESOR_VERB_EVICT,
        [OP_LOCK] = TRESOR_VERB_LOCK,     [OP_UNLOCK] = TRESOR_VERB_UNLOCK,
        [OP_SWAP] = TRESOR_VERB_SWAP,     [OP_ADVISE] = TRESOR_VERB_ADVISE,
        [OP_COPY] = TRESOR_VERB_COPY,     [OP_STREAM] = TRESOR_VERB_STREAM,
        [OP_BUDGET] = TRESOR_VERB_BUDGET, [OP_PLAN] = TRESOR_VERB_PLAN,
        [OP_OPEN] = TRESOR_VERB_OPEN,     [OP_CLOSE] = TRESOR_VERB_CLOSE,
        [OP_CHECK] = TRESOR_VERB_CHECK,   [OP_UNGUARD] = 0,
        [OP_PROMISE] = 0,                 [OP_DIGEST] = TRESOR_VERB_DIGEST,
    };
    return verbs[op->kind];
}

bool host_do(const struct op *op)
{
    struct host *host = &world->host;
    struct tresor_request request = {0};
    int32_t code = call(op, &request);
    if (code != TRESOR_OK)
        return false;
    world_take_watch_effects();
    if (verb_of(op) == 0)
        return true;
    if (host->live == WORLD_REQUESTS) {
        world_violate("more requests than the world has room for");
        return true;
    }
    host->requests[host->live++] = (struct world_request){
        .handle = request.value, .verb = verb_of(op)};
    return true;
}

void host_cancel(uint32_t request)
{
    struct world_request *cancelled = &world->host.requests[request];
    cancelled->is_cancelled = true;
    if (tresor_cancel(world->context, (struct tresor_request){cancelled->handle}) != TRESOR_OK)
        world_violate("a request that has not ended could not be cancelled");
}

/* --- what it has --- */

static void must_have(uint32_t piece)
{
    if (!check_has_bytes(piece))
        world_violate("piece %u is acquired, and its bytes are not there", piece);
}

void host_acquire(uint32_t piece)
{
    if (tresor_acquire(world->context, item_of(piece), NULL) != TRESOR_OK)
        return;
    world->host.pins[piece]++;
    must_have(piece);
}

void host_release(uint32_t piece)
{
    int32_t code = tresor_release(world->context, item_of(piece));
    if (code != TRESOR_OK && (code != TRESOR_ERROR_POISONED || !world->spec->has_guard))
        world_violate("what is acquired could not be released");
    world->host.pins[piece]--;
}

uint32_t host_pins(void)
{
    uint32_t pins = 0;
    for (uint32_t i = 0; i < sizeof world->host.pins; i++)
        pins += world->host.pins[i];
    return pins;
}

void host_return_chunk(uint32_t chunk)
{
    struct host *host = &world->host;
    if (tresor_chunk_return(world->context, (struct tresor_stage){host->chunks[chunk]}) != TRESOR_OK)
        world_violate("a chunk could not be given back");
    host->chunk_count--;
    for (uint32_t i = chunk; i < host->chunk_count; i++)
        host->chunks[i] = host->chunks[i + 1];
}

/* --- what it is told --- */

static struct world_request *find(uint64_t handle)
{
    for (uint32_t i = 0; i < world->host.live; i++)
        if (world->host.requests[i].handle == handle)
            return &world->host.requests[i];
    return NULL;
}

/* Reads of what it had asked to be copied have ended, for the memory is its own again. */
static void must_not_be_read(const struct world_request *request)
{
    uint64_t place = tresor__handle_slot(request->handle);
    for (uint32_t i = 0; i < world->in_flight_count; i++) {
        const struct tresor__effect *effect = &world->in_flight[i];
        if (effect->machine != TRESOR__MACHINE_BLOCK || effect->space != TRESOR__SPACE_CALLER)
            continue;
        if (world->context->controller.io.blocks[effect->slot].job == place)
            world_violate("a copy has ended, and is still read into");
    }
}

static void see_end(const struct tresor_event *event)
{
    struct host *host = &world->host;
    struct world_request *request = find(event->request.value);
    if (!request) {
        world_violate("an end of a request that has none to come");
        return;
    }
    bool is_good = event->error.code == TRESOR_OK;
    if (request->verb != event->verb)
        world_violate("an end with another verb");
    if (request->verb == TRESOR_VERB_COPY)
        must_not_be_read(request);
    if (event->error.code == TRESOR_ERROR_CANCELLED && !request->is_cancelled && !slot()->source.cancelled &&
        slot()->source.state == SOURCE_READY && request->verb != TRESOR_VERB_BUDGET &&
        request->verb != TRESOR_VERB_PLAN)
        world_violate("%s was cancelled by nobody", tresor_verb_name(event->verb));
    if (event->done + event->failed + event->cancelled != event->total)
        world_violate("%u done, %u failed and %u cancelled are not %u", event->done, event->failed,
                      event->cancelled, event->total);
    if (request->verb == TRESOR_VERB_OPEN)
        host->is_open = is_good;
    if (request->verb == TRESOR_VERB_CLOSE)
        host->is_open = false;
    if (request->verb == TRESOR_VERB_CLOSE && host_pins() > 0)
        world_violate("a source has closed that is in use");
    host->live--;
    for (; request < host->requests + host->live; request++)
        *request = request[1];
    host->requests[host->live] = (struct world_request){0};
}

static void see_item(const struct tresor_event *event)
{
    if (!find(event->request.value))
        world_violate("an item of a request that has ended");
    if (event->done && event->verb == TRESOR_VERB_LOAD && event->data == NULL &&
        slot()->source.state == SOURCE_READY && !find(event->request.value)->is_cancelled)
        world_violate("a tensor is loaded, and nobody is told where");
    if (!(event->flags & TRESOR_EVENT_PINNED))
        return;
    uint32_t piece = tresor__handle_index(event->item.value);
    world->host.pins[piece]++;
    must_have(piece);
}

static void see_chunk(const struct tresor_event *event)
{
    struct host *host = &world->host;
    uint64_t stage = tresor__handle_slot(event->stage.value);
    if (!find(event->request.value))
        world_violate("a chunk of a request that has ended");
    if (world->staged_bytes[stage] <
        world->context->controller.io.stages[stage].place + event->bytes)
        world_violate("a chunk whose bytes were not read");
    if (host->chunk_count == WORLD_CHUNKS)
        world_violate("more chunks than there are stages");
    else
        host->chunks[host->chunk_count++] = event->stage.value;
}

bool host_take_event(void)
{
    struct tresor_event event;
    if (tresor_next_event(world->context, &event) != 1)
        return false;
    switch (event.type) {
    case TRESOR_EVENT_DONE:
        see_end(&event);
        break;
    case TRESOR_EVENT_ITEM:
        see_item(&event);
        break;
    case TRESOR_EVENT_CHUNK:
        see_chunk(&event);
        break;
    case TRESOR_EVENT_PROGRESS:
        if (!find(event.request.value))
            world_violate("progress of a request that has ended");
        break;
    default:
        break;
    }
    return true;
}

void host_settle(bool takes_all)
{
    bool moves = true;
    for (uint32_t i = 0; moves && !world->violation[0]; i++) {
        if (i == DISPATCHES_MAX) {
            world_violate("dispatch always finds more to do");
            return;
        }
        moves = tresor_dispatch(world->context) == 1;
        world_take_watch_effects();
        while (takes_all && host_take_event())
            moves = true;
    }
}
