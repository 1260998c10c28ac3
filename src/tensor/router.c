/* SPDX-License-Identifier: MIT */
/* One step of any machine, and what follows: its effects into the ring, its messages to whom they
 * are for. */
#include "core/handle.h"
#include "tensor/controller.h"
#include "tensor/faults.h"
#include "tensor/machines.h"
#include "tensor/pins.h"
#include "tensor/plan.h"

static void *context_of(struct tresor__controller *controller,
                        const struct tresor__address *address)
{
    struct tresor__slot *slot = &controller->slots[address->source];
    switch (address->machine) {
    case TRESOR__MACHINE_SOURCE:
        return &slot->source;
    case TRESOR__MACHINE_MAPPING:
        return &slot->source.model.files[address->slot].io.mapping;
    case TRESOR__MACHINE_READ:
        return &slot->source.model.files[address->slot].io.read;
    case TRESOR__MACHINE_MLOCK:
        return &slot->source.model.files[address->slot].io.mlock;
    case TRESOR__MACHINE_SWAP:
        return &slot->source.model.files[address->slot].io.swap;
    case TRESOR__MACHINE_BLOCK:
        return &controller->io.blocks[address->slot];
    case TRESOR__MACHINE_COPY:
        return &controller->copies[address->slot];
    case TRESOR__MACHINE_STREAM:
        return &controller->streams[address->slot];
    case TRESOR__MACHINE_DIGEST:
        return &controller->digests[address->slot];
    case TRESOR__MACHINE_CHECK:
        return &controller->checks[address->slot];
    case TRESOR__MACHINE_TENSOR:
        return &slot->pieces[address->slot].tensor;
    case TRESOR__MACHINE_LOCK:
        return &slot->pieces[address->slot].lock;
    case TRESOR__MACHINE_WATCH:
        return &controller->watch;
    case TRESOR__MACHINE_GUARD:
        return &controller->guard;
    default:
        return &controller->requests[address->slot];
    }
}

static void step(struct tresor__controller *controller, const struct tresor__address *address,
                 uint32_t event, int64_t value)
{
    tresor__router_step(controller, address,
                        &(struct tresor__input){.event = event, .value = value});
}

static void again(struct tresor__controller *controller, const struct tresor__address *sender)
{
    switch (sender->machine) {
    case TRESOR__MACHINE_SOURCE:
        tresor__turns_add_source(controller, sender->slot);
        break;
    case TRESOR__MACHINE_MAPPING:
        tresor__turns_add_file(controller, sender->source, sender->slot, TRESOR__TURN_MAPPING);
        break;
    case TRESOR__MACHINE_READ:
        tresor__turns_add_file(controller, sender->source, sender->slot, TRESOR__TURN_READ);
        break;
    case TRESOR__MACHINE_MLOCK:
        tresor__turns_add_file(controller, sender->source, sender->slot, TRESOR__TURN_MLOCK);
        break;
    case TRESOR__MACHINE_SWAP:
        tresor__turns_add_file(controller, sender->source, sender->slot, TRESOR__TURN_SWAP);
        break;
    case TRESOR__MACHINE_COPY:
        tresor__turns_add_copy(controller, sender->slot);
        break;
    case TRESOR__MACHINE_STREAM:
        tresor__turns_add_stream(controller, sender->slot);
        break;
    default:
        tresor__turns_add_request(controller, sender->slot);
        break;
    }
}

static void end_block(struct tresor__controller *controller, uint32_t index)
{
    const struct tresor__block *block = &controller->io.blocks[index];
    struct tresor__address job = {TRESOR__MACHINE_READ, block->source, block->job};
    uint32_t event = READ_ON_BLOCK_END;
    if (block->space == TRESOR__SPACE_CALLER) {
        job.machine = TRESOR__MACHINE_COPY;
        event = COPY_ON_BLOCK_END;
    } else if (block->space == TRESOR__SPACE_STAGE) {
        job.machine = TRESOR__MACHINE_STREAM;
        event = STREAM_ON_BLOCK_END;
    } else if (block->space == TRESOR__SPACE_SCRATCH) {
        job.machine = TRESOR__MACHINE_SWAP;
        event = SWAP_ON_BLOCK_END;
    }
    step(controller, &job, event, index);
}

static void await_block(struct tresor__controller *controller, const struct tresor__address *sender)
{
    if (sender->machine == TRESOR__MACHINE_COPY)
        tresor__turns_await_block_for_copy(controller, sender->slot);
    else if (sender->machine == TRESOR__MACHINE_STREAM)
        tresor__turns_await_block_for_stream(controller, sender->slot);
    else
        tresor__turns_await_block_for_file(
            controller, &controller->slots[sender->source].source.model.files[sender->slot].io);
}

/* A tensor's word to the ledger of its file; the file then looks for what there is to tell and to
 * do. */
static void tell_ledger(struct tresor__controller *controller, const struct tresor__address *sender,
                        const struct tresor__message *message)
{
    const struct tresor__slot *slot = &controller->slots[sender->source];
    struct tresor__piece *piece = &slot->pieces[sender->slot];
    struct tresor__file *file = &slot->source.model.files[piece->file].io;
    struct tresor__ledger *ledger = &file->ledger;
    switch (message->kind) {
    case TRESOR__MESSAGE_CLAIM:
        tresor__pins_set_coming(&controller->slots[sender->source], sender->slot, true);
        tresor__budget_claimed(controller);
        tresor__ledger_claim(ledger, sender->slot, message->event, message->urgency);
        break;
    case TRESOR__MESSAGE_HASTEN:
        tresor__ledger_hasten(ledger, sender->slot, message->urgency);
        break;
    case TRESOR__MESSAGE_UNCLAIM:
        tresor__ledger_unclaim(ledger, sender->slot, true);
        tresor__budget_left(controller, piece, false);
        break;
    case TRESOR__MESSAGE_WITHDRAW:
        tresor__pins_set_coming(&controller->slots[sender->source], sender->slot, false);
        tresor__ledger_unclaim(ledger, sender->slot, false);
        tresor__budget_left(controller, piece, true);
        break;
    case TRESOR__MESSAGE_SWAP:
        controller->budget.swapping++;
        tresor__ledger_swap(ledger, sender->slot, message->event);
        break;
    case TRESOR__MESSAGE_STOP_SWAP:
        tresor__ledger_stop_swap(ledger, sender->slot);
        /* At once, or others would go for the room that it awaited. */
        if (file->swap.awaits_room && !tresor__ledger_wants_swap(ledger))
            step(controller,
                 &(struct tresor__address){TRESOR__MACHINE_SWAP, sender->source, piece->file},
                 SWAP_ON_TURN, 0);
        break;
    case TRESOR__MESSAGE_LOCK_CLAIM:
        tresor__ledger_lock(ledger, sender->slot);
        break;
    default:
        tresor__ledger_unlock(ledger, sender->slot, message->kind == TRESOR__MESSAGE_LOCK_UNCLAIM);
        break;
    }
    if (file->hungry.queued)
        tresor__turns_await_block_for_file(controller, file); /* perhaps sooner than before */
    uint32_t turns = TRESOR__TURN_NEWS;
    if (message->kind == TRESOR__MESSAGE_WITHDRAW)
        turns |= TRESOR__TURN_CANCEL;
    tresor__turns_add_file(controller, sender->source, piece->file, turns);
}

/* A tensor's word to the budget. */
static void tell_budget(struct tresor__controller *controller, const struct tresor__address *sender,
                        uint8_t kind)
{
    struct tresor__slot *slot = &controller->slots[sender->source];
    struct tresor__piece *piece = &slot->pieces[sender->slot];
    if (kind == TRESOR__MESSAGE_OPEN_PINS) {
        tresor__pins_open(slot, sender->slot);
        controller->openings++;
        tresor__budget_resident(controller, piece);
    } else if (kind == TRESOR__MESSAGE_ASK_ROOM) {
        tresor__pins_set_coming(slot, sender->slot, true);
        tresor__budget_ask(controller, piece);
    } else if (kind == TRESOR__MESSAGE_WITHDRAW_ROOM) {
        tresor__pins_set_coming(slot, sender->slot, false);
        tresor__budget_withdraw(controller, piece);
    } else {
        tresor__budget_kept(controller, piece);
    }
}

static void settle_waits(struct tresor__controller *controller,
                         const struct tresor__address *sender,
                         const struct tresor__message *message)
{
    static const uint8_t waits[] = {
        [TRESOR__MESSAGE_SETTLE_LOAD] = TRESOR__WAIT_LOAD,
        [TRESOR__MESSAGE_SETTLE_EVICT] = TRESOR__WAIT_EVICT,
        [TRESOR__MESSAGE_SETTLE_ADVISE] = TRESOR__WAIT_ADVISE,
        [TRESOR__MESSAGE_SETTLE_LOCK] = TRESOR__WAIT_LOCK,
        [TRESOR__MESSAGE_SETTLE_UNLOCK] = TRESOR__WAIT_UNLOCK,
    };
    struct tresor__piece *piece = &controller->slots[sender->source].pieces[sender->slot];
    if (message->kind == TRESOR__MESSAGE_SETTLE_LOCK || message->kind == TRESOR__MESSAGE_SETTLE_UNLOCK)
        controller->budget.is_due = true; /* what is not locked any more may go */
    tresor__waits_settle(controller, piece, waits[message->kind], message->code,
                         message->kind == TRESOR__MESSAGE_SETTLE_ADVISE);
    bool goes_on = piece->tensor.state == TENSOR_HELD || piece->tensor.state == TENSOR_SWAPPING;
    if (message->kind == TRESOR__MESSAGE_SETTLE_EVICT && !goes_on)
        tresor__waits_settle(controller, piece, TRESOR__WAIT_PATIENT, message->code, false);
}

static void settle_swaps(struct tresor__controller *controller,
                         const struct tresor__address *sender,
                         const struct tresor__message *message)
{
    struct tresor__piece *piece = &controller->slots[sender->source].pieces[sender->slot];
    for (uint32_t backing = 0; backing < TRESOR__BACKING_COUNT; backing++)
        if (message->event >> backing & 1)
            tresor__waits_settle(controller, piece, tresor__swap_wait(backing), message->code,
                                 false);
}

/* OPEN or CLOSE has ended; a source that is free again gets the next generation, so old handles are
 * stale. */
static void settle_source(struct tresor__controller *controller, uint32_t index, int32_t code)
{
    struct tresor__slot *slot = &controller->slots[index];
    struct tresor__request *request = &controller->requests[slot->request];
    slot->request = TRESOR_NONE;
    controller->leaked_bytes += slot->source.leaked_bytes;
    controller->io.room.charged_bytes -= slot->closing_bytes;
    slot->closing_bytes = 0;
    controller->budget.is_due = true;
    slot->source.leaked_bytes = 0;
    if (code != TRESOR_OK) {
        request->error = slot->source.error;
        request->error.code = code;
        request->error.source = tresor__handle_make(TRESOR__KIND_SOURCE, index, slot->generation);
    }
    if (slot->source.state == SOURCE_READY) {
        tresor__gate_open(slot);
        tresor__events_open_source(controller, index);
    } else {
        slot->generation = tresor__generation_next(slot->generation);
    }
    step(controller, &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
         REQUEST_ON_SETTLED, code);
}

static void settle_copy(struct tresor__controller *controller, uint32_t index, int32_t code)
{
    struct tresor__copy *copy = &controller->copies[index];
    struct tresor__request *request = &controller->requests[index];
    if (code != TRESOR_OK) {
        request->error.code = code;
        request->error.os_errno = copy->failure.os_errno;
        request->error.file = copy->file;
        request->error.tensor = copy->tensor;
        request->error.offset = copy->failure.offset;
        request->error.wanted = copy->failure.wanted;
        request->error.got = copy->failure.got;
    }
    step(controller, &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, index},
         REQUEST_ON_SETTLED, code == TRESOR_OK ? (int64_t)copy->length : code);
}

static void settle_check(struct tresor__controller *controller, uint32_t index, int32_t code)
{
    struct tresor__request *request = &controller->requests[index];
    if (code != TRESOR_OK) {
        uint64_t source = request->error.source;
        request->error = controller->checks[index].error;
        request->error.source = source;
        request->error.code = code;
    }
    step(controller, &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, index},
         REQUEST_ON_SETTLED, code);
}

static void cancel_all_of(struct tresor__controller *controller, uint32_t source, uint32_t but)
{
    for (uint32_t i = 0; i < controller->limits.requests; i++) {
        const struct tresor__request *request = &controller->requests[i];
        if (i != but && request->source == source && request->state != REQUEST_FREE)
            step(controller, &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, i},
                 REQUEST_ON_CANCEL, 0);
    }
}

static void start_request(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__request *request = &controller->requests[index];
    struct tresor__address source = {TRESOR__MACHINE_SOURCE, request->source, request->source};
    switch (request->verb) {
    case TRESOR_VERB_OPEN:
        step(controller, &source, SOURCE_ON_OPEN, 0);
        break;
    case TRESOR_VERB_BUDGET:
        tresor__budget_set(controller, request->total_bytes, index);
        break;
    case TRESOR_VERB_CLOSE:
        tresor__gate_close(&controller->slots[request->source]);
        tresor__pins_close(&controller->slots[request->source]);
        tresor__events_unpin_source(controller, request->source);
        controller->openings++;
        controller->draining++;
        step(controller, &source, SOURCE_ON_CLOSE, 0);
        cancel_all_of(controller, request->source, index);
        break;
    case TRESOR_VERB_CHECK:
        step(controller, &(struct tresor__address){TRESOR__MACHINE_CHECK, request->source, index},
             CHECK_ON_START, 0);
        break;
    default:
        step(controller, &(struct tresor__address){TRESOR__MACHINE_COPY, request->source, index},
             COPY_ON_START, 0);
        break;
    }
}

static void withdraw_request(struct tresor__controller *controller, uint32_t index)
{
    enum {
        PAIRS = 64
    };
    struct tresor__request *request = &controller->requests[index];
    if (request->verb == TRESOR_VERB_BUDGET)
        tresor__budget_cancel(controller, index);
    else if (request->verb == TRESOR_VERB_OPEN)
        step(controller,
             &(struct tresor__address){TRESOR__MACHINE_SOURCE, request->source, request->source},
             SOURCE_ON_CANCEL, 0);
    else if (request->verb == TRESOR_VERB_CHECK)
        step(controller, &(struct tresor__address){TRESOR__MACHINE_CHECK, request->source, index},
             CHECK_ON_CANCEL, 0);
    else if (request->verb == TRESOR_VERB_COPY)
        step(controller, &(struct tresor__address){TRESOR__MACHINE_COPY, request->source, index},
             COPY_ON_CANCEL, 0);
    else if (request->verb == TRESOR_VERB_STREAM) {
        step(controller, &(struct tresor__address){TRESOR__MACHINE_STREAM, request->source, index},
             STREAM_ON_CANCEL, 0);
        controller->budget.is_due = true; /* perhaps others need not go for its stage any more */
    } else if (tresor__waits_withdraw(controller, request, PAIRS))
        tresor__turns_add_request(controller, index);
}

static void degrade(struct tresor__controller *controller, const struct tresor__address *sender,
                    const struct tresor__message *message)
{
    struct tresor__file *file =
        &controller->slots[sender->source].source.model.files[message->slot].io;
    if (message->event == TRESOR_DEGRADED_DIRECT) {
        file->direct.is_open = false;
        file->direct.os_errno = message->code;
    }
    tresor__events_degrade(controller, file, message->event, message->code);
}

__attribute__((noinline)) static void carry(struct tresor__controller *controller,
                                            const struct tresor__address *sender,
                                            const struct tresor__message *message)
{
    switch ((enum tresor__message_kind)message->kind) {
    case TRESOR__MESSAGE_AGAIN:
        again(controller, sender);
        break;
    case TRESOR__MESSAGE_LOOK:
        if (sender->machine == TRESOR__MACHINE_SWAP)
            controller->budget.is_due = true; /* its scratch is empty, or will not be */
        tresor__turns_look(controller,
                           &controller->slots[sender->source].source.model.files[sender->slot].io);
        break;
    case TRESOR__MESSAGE_BLOCK_START:
        step(controller,
             &(struct tresor__address){TRESOR__MACHINE_BLOCK, sender->source, message->slot},
             BLOCK_ON_START, 0);
        break;
    case TRESOR__MESSAGE_BLOCK_END:
        end_block(controller, message->slot);
        break;
    case TRESOR__MESSAGE_CANCEL_BLOCKS:
        tresor__blocks_cancel_job(controller,
                                  sender->machine == TRESOR__MACHINE_COPY ? TRESOR__SPACE_CALLER
                                                                          : TRESOR__SPACE_STAGE,
                                  sender->slot);
        break;
    case TRESOR__MESSAGE_AWAIT_BLOCK:
        await_block(controller, sender);
        break;
    case TRESOR__MESSAGE_AWAIT_ROOM:
        if (sender->machine == TRESOR__MACHINE_SWAP)
            tresor__turns_await_swap_room(controller, sender->source, sender->slot);
        else
            tresor__turns_await_room(controller, sender->source, sender->slot);
        break;
    case TRESOR__MESSAGE_AWAIT_STAGE:
        tresor__turns_await_stage(controller, sender->slot);
        break;
    case TRESOR__MESSAGE_CHUNK:
        tresor__stages_queue(controller, message->slot);
        break;
    case TRESOR__MESSAGE_NEXT:
        tresor__turns_add_request(controller, message->slot);
        break;
    case TRESOR__MESSAGE_SETTLE_PAIR:
        tresor__waits_settle_one(controller, message->slot, message->code,
                                 &controller->streams[sender->slot].failure);
        break;
    case TRESOR__MESSAGE_CLAIM:
    case TRESOR__MESSAGE_HASTEN:
    case TRESOR__MESSAGE_UNCLAIM:
    case TRESOR__MESSAGE_WITHDRAW:
    case TRESOR__MESSAGE_SWAP:
    case TRESOR__MESSAGE_STOP_SWAP:
    case TRESOR__MESSAGE_LOCK_CLAIM:
    case TRESOR__MESSAGE_LOCK_UNCLAIM:
    case TRESOR__MESSAGE_LOCK_WITHDRAW:
        tell_ledger(controller, sender, message);
        break;
    case TRESOR__MESSAGE_VERIFY:
        tresor__looks_verify(controller, &controller->slots[sender->source].pieces[sender->slot]);
        break;
    case TRESOR__MESSAGE_STOP_VERIFY:
        tresor__looks_stop(controller, &controller->slots[sender->source].pieces[sender->slot]);
        break;
    case TRESOR__MESSAGE_LOOKED:
        tresor__looks_end(controller, message->slot);
        break;
    case TRESOR__MESSAGE_ASK_ROOM:
    case TRESOR__MESSAGE_WITHDRAW_ROOM:
    case TRESOR__MESSAGE_OPEN_PINS:
    case TRESOR__MESSAGE_KEPT:
        tell_budget(controller, sender, message->kind);
        break;
    case TRESOR__MESSAGE_POISONED:
        tresor__faults_tell(controller, &controller->slots[sender->source].pieces[sender->slot]);
        break;
    case TRESOR__MESSAGE_HOLD:
        tell_budget(controller, sender, TRESOR__MESSAGE_KEPT);
        tresor__releases_await(controller,
                               &controller->slots[sender->source].pieces[sender->slot]);
        break;
    case TRESOR__MESSAGE_RETRY:
        tresor__releases_retry(controller, &controller->requests[message->slot]);
        break;
    case TRESOR__MESSAGE_TELL_LOCK:
        step(controller,
             &(struct tresor__address){TRESOR__MACHINE_LOCK, sender->source, sender->slot},
             message->event, 0);
        break;
    case TRESOR__MESSAGE_SETTLE_LOAD:
    case TRESOR__MESSAGE_SETTLE_EVICT:
    case TRESOR__MESSAGE_SETTLE_ADVISE:
    case TRESOR__MESSAGE_SETTLE_LOCK:
    case TRESOR__MESSAGE_SETTLE_UNLOCK:
        settle_waits(controller, sender, message);
        break;
    case TRESOR__MESSAGE_SETTLE_SWAP:
        settle_swaps(controller, sender, message);
        break;
    case TRESOR__MESSAGE_SETTLE_SOURCE:
        settle_source(controller, sender->slot, message->code);
        break;
    case TRESOR__MESSAGE_SETTLE_REQUEST:
        if (sender->machine == TRESOR__MACHINE_CHECK)
            settle_check(controller, sender->slot, message->code);
        else
            settle_copy(controller, sender->slot, message->code);
        break;
    case TRESOR__MESSAGE_START:
        start_request(controller, message->slot);
        break;
    case TRESOR__MESSAGE_VISIT:
        tresor__visits_run(controller, &controller->requests[message->slot]);
        break;
    case TRESOR__MESSAGE_WITHDRAW_REQUEST:
        withdraw_request(controller, message->slot);
        break;
    case TRESOR__MESSAGE_END:
        if (controller->requests[message->slot].verb == TRESOR_VERB_PLAN)
            tresor__plan_end(controller, &controller->requests[message->slot]);
        tresor__events_add(controller,
                           tresor__event_identifier(TRESOR__EVENT_OF_REQUEST, message->slot));
        break;
    case TRESOR__MESSAGE_PRESSURE:
        tresor__pressure_rise(controller, message->event);
        break;
    case TRESOR__MESSAGE_BLIND:
        tresor__events_degrade(controller, NULL, TRESOR_DEGRADED_PRESSURE, message->code);
        break;
    case TRESOR__MESSAGE_FAULT:
        tresor__faults_poison(controller, sender->source, sender->slot, message);
        break;
    case TRESOR__MESSAGE_DEGRADED:
        degrade(controller, sender, message);
        break;
    }
}

__attribute__((noinline, cold)) static void observe(struct tresor__controller *controller,
                                                    const struct tresor__address *address,
                                                    uint32_t from, uint32_t rule_index,
                                                    const struct tresor__input *input)
{
    const struct tresor__machine *machine = tresor__machines[address->machine];
    const struct tresor__rule *rule =
        &tresor__machine_cell(machine, from, input->event)->rules[rule_index];
    uint32_t to = rule->target == TRESOR__STAY ? from : rule->target;
    struct tresor_transition transition = {
        .sequence = controller->steps,
        .machine = machine->name,
        .from = machine->states[from].name,
        .event = machine->events[input->event].name,
        .to = machine->states[to].name,
        .guard = rule->guard_name,
        .action = rule->action_name,
        .source = address->source,
        .slot = address->slot,
        .os_errno = input->os_errno,
    };
    controller->observer(controller->observer_cookie, &transition);
}

/* The watch is no backend's, and is not in flight as what must end is. */
static void keep_watch_effect(struct tresor__controller *controller,
                              const struct tresor__effect *effect)
{
    enum { MAX = sizeof controller->watch_effects / sizeof controller->watch_effects[0] };
    assert(controller->watch_effect_count < MAX);
    controller->watch_effects[controller->watch_effect_count++] = *effect;
}

/* Effects wait for the next submit; a seal needs no system call, so it is answered here, and
 * delivered like the rest. */
static void keep_effects(struct tresor__controller *controller, const struct tresor__outbox *out)
{
    for (uint32_t i = 0; i < out->effect_count; i++) {
        assert(controller->effect_count < controller->effects_max);
        if (out->effects[i].kind == TRESOR__EFFECT_SEAL)
            tresor__controller_answer_seal(controller, &out->effects[i]);
        else if (out->effects[i].kind == TRESOR__EFFECT_WATCH ||
                 out->effects[i].kind == TRESOR__EFFECT_UNWATCH)
            keep_watch_effect(controller, &out->effects[i]);
        else if (out->effects[i].kind == TRESOR__EFFECT_GUARD)
            controller->guard_effect = out->effects[i]; /* the same */
        else
            controller->effects[controller->effect_count++] = out->effects[i];
    }
    controller->effect_total += out->effect_count;
}

bool tresor__router_step_on(struct tresor__controller *controller, void *context,
                            const struct tresor__address *address,
                            const struct tresor__input *input)
{
    struct tresor__outbox out;
    out.effect_count = 0;
    out.message_count = 0;
    uint32_t from = ((struct tresor__machine_head *)context)->state;
    uint32_t rule = tresor__machine_step(tresor__machines[address->machine], context, input, &out);
    if (rule == TRESOR__REJECTED) {
        controller->rejected++;
        return false;
    }
    controller->steps++;
    if (controller->observer)
        observe(controller, address, from, rule, input);
    if (out.effect_count > 0)
        keep_effects(controller, &out);
    for (uint32_t i = 0; i < out.message_count; i++)
        carry(controller, address, &out.messages[i]);
    return true;
}

bool tresor__router_step(struct tresor__controller *controller,
                         const struct tresor__address *address, const struct tresor__input *input)
{
    return tresor__router_step_on(controller, context_of(controller, address), address, input);
}
