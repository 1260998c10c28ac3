/* SPDX-License-Identifier: MIT */
/*
 * Bytes that are looked at: of what was just loaded, before anybody is told, and of what is there already, which a pin keeps
 * there meanwhile. Pieces wait in one list for one of few digests; a piece has one look at a time, for all who want one.
 */
#include <tresor/error.h>

#include "tensor/controller.h"

static uint64_t identifier_of(const struct tresor__piece *piece)
{
    return (uint64_t)piece->tensor.source << 32 | piece->index;
}

static struct tresor__piece *piece_of(const struct tresor__controller *controller, uint64_t id)
{
    return &controller->slots[id >> 32].pieces[(uint32_t)id];
}

static bool is_verifying(const struct tresor__piece *piece)
{
    return piece->tensor.state == TENSOR_VERIFYING;
}

/* --- the list --- */

static void queue(struct tresor__controller *controller, struct tresor__piece *piece)
{
    uint64_t id = identifier_of(piece);
    piece->is_look_due = true;
    piece->next_look = TRESOR__NOBODY;
    if (controller->last_look == TRESOR__NOBODY)
        controller->first_look = id;
    else
        piece_of(controller, controller->last_look)->next_look = id;
    controller->last_look = id;
}

static struct tresor__piece *take_first(struct tresor__controller *controller)
{
    struct tresor__piece *piece = piece_of(controller, controller->first_look);
    controller->first_look = piece->next_look;
    if (controller->first_look == TRESOR__NOBODY)
        controller->last_look = TRESOR__NOBODY;
    piece->is_look_due = false;
    return piece;
}

/* --- pieces that are kept --- */

static void let_go(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__slot *slot = &controller->slots[piece->tensor.source];
    bool is_awaited = false;
    piece->is_look_held = false;
    slot->look_count--;
    controller->looks_held--;
    controller->budget.is_due = true; /* it may go now */
    tresor__pins_release_one(slot, slot->generation, piece->index, &is_awaited);
    if (is_awaited && tresor__pins_finish(slot, &piece->index, 1) & TRESOR__PINS_RELEASED)
        atomic_store(&controller->released, true);
}

static int32_t hold(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__slot *slot = &controller->slots[piece->tensor.source];
    if (piece->is_look_held)
        return TRESOR_OK;
    if (!tresor__tensor_is_there(&piece->tensor))
        return TRESOR_ERROR_NOT_RESIDENT;
    int32_t code = tresor__pins_hold_one(slot, slot->generation, piece->index, &controller->acquires);
    if (code != TRESOR_OK)
        return code == TRESOR_ERROR_STALE ? TRESOR_ERROR_CANCELLED : code; /* its source closes */
    piece->is_look_held = true;
    slot->look_count++;
    controller->looks_held++;
    return TRESOR_OK;
}

/* --- who wants what --- */

static uint32_t wanted_by(const struct tresor__controller *controller,
                          const struct tresor__pair *pair)
{
    return pair->wait == TRESOR__WAIT_LOOK ? controller->requests[pair->request].looks : 0;
}

static uint32_t looks_of(const struct tresor__controller *controller,
                         const struct tresor__piece *piece)
{
    uint32_t looks = 0;
    if (is_verifying(piece))
        looks = tresor__piece_looks_left(piece);
    for (uint32_t i = piece->first_wait; !is_verifying(piece) && i != TRESOR_NONE;
         i = controller->pairs[i].next_of_tensor)
        looks |= wanted_by(controller, &controller->pairs[i]);
    return looks & TRESOR__LOOK_COMPARE ? looks | TRESOR__LOOK_SUM : looks;
}

void tresor__looks_verify(struct tresor__controller *controller, struct tresor__piece *piece)
{
    controller->slots[piece->tensor.source].look_count++;
    queue(controller, piece);
}

void tresor__looks_add(struct tresor__controller *controller, uint32_t index)
{
    const struct tresor__pair *pair = &controller->pairs[index];
    struct tresor__piece *piece = &controller->slots[pair->source].pieces[pair->tensor];
    int32_t code = hold(controller, piece);
    if (code != TRESOR_OK)
        tresor__waits_settle_one(controller, index, code, NULL);
    else if (!piece->is_look_due && piece->look == TRESOR_NONE)
        queue(controller, piece);
}

void tresor__looks_stop(struct tresor__controller *controller, const struct tresor__piece *piece)
{
    if (piece->look != TRESOR_NONE)
        tresor__router_step(controller,
                            &(struct tresor__address){TRESOR__MACHINE_DIGEST, piece->tensor.source,
                                                      piece->look},
                            &(struct tresor__input){.event = DIGEST_ON_CANCEL});
}

/* --- beginning --- */

bool tresor__looks_can_start(const struct tresor__controller *controller)
{
    return controller->first_look != TRESOR__NOBODY && controller->free_digest != TRESOR_NONE;
}

static void begin(struct tresor__controller *controller, struct tresor__piece *piece, uint32_t looks)
{
    const struct tresor__model *model = &controller->slots[piece->tensor.source].source.model;
    struct tresor__digest *digest = &controller->digests[controller->free_digest];
    controller->free_digest = digest->next;
    digest->looks = (uint8_t)looks;
    digest->source = piece->tensor.source;
    digest->piece = piece->index;
    digest->file = piece->file;
    digest->of = &model->files[piece->file].io;
    digest->offset = piece->offset_bytes;
    digest->length = piece->size_bytes;
    digest->done = 0;
    digest->asked = 0;
    digest->wanted_high = piece->digest_high;
    digest->wanted_low = piece->digest_low;
    digest->record.dtype =
        model->directory.entries[tresor__model_tensor(model, piece->index)].dtype;
    piece->look = digest->index;
    piece->tensor.looking = looks & TRESOR__LOOK_VERDICTS;
    tresor__router_step_on(
        controller, digest,
        &(struct tresor__address){TRESOR__MACHINE_DIGEST, digest->source, digest->index},
        &(struct tresor__input){.event = DIGEST_ON_START});
}

static void tell_tensor(struct tresor__controller *controller, struct tresor__piece *piece,
                        uint32_t event, int32_t code)
{
    controller->slots[piece->tensor.source].look_count--;
    tresor__router_step_on(
        controller, &piece->tensor,
        &(struct tresor__address){TRESOR__MACHINE_TENSOR, piece->tensor.source, piece->index},
        &(struct tresor__input){.event = event, .value = code});
}

void tresor__looks_start(struct tresor__controller *controller)
{
    struct tresor__piece *piece = take_first(controller);
    uint32_t looks = looks_of(controller, piece);
    if (looks != 0)
        begin(controller, piece, looks);
    else if (is_verifying(piece))
        tell_tensor(controller, piece, TENSOR_ON_VERIFIED, TRESOR_OK); /* nobody wants it any more */
    else
        let_go(controller, piece);
}

/* --- the end --- */

/* What it holds is given to nobody before it was read again. */
static void end_verifying(struct tresor__controller *controller, struct tresor__piece *piece,
                          const struct tresor__failure *failure)
{
    struct tresor__file *file = &controller->slots[piece->tensor.source].source.model.files[piece->file].io;
    bool is_told = failure->code == TRESOR_OK || failure->code == TRESOR_ERROR_CANCELLED ||
                   piece->waits[TRESOR__WAIT_LOAD] == 0;
    if (is_told) {
        tell_tensor(controller, piece, TENSOR_ON_VERIFIED, TRESOR_OK);
        return;
    }
    tresor__ledger_spoil(&file->ledger, piece->index, failure);
    tell_tensor(controller, piece, TENSOR_ON_VERIFY_FAILED, failure->code);
}

/* What a look came to for one who wanted that; AGAIN where it did not see all of it. */
static int32_t verdict_for(uint32_t wanted, uint32_t seen, int32_t code)
{
    bool is_seen = (wanted & ~seen) == 0;
    switch (code) {
    case TRESOR_OK:
        return is_seen ? TRESOR_OK : TRESOR_ERROR_AGAIN;
    case TRESOR_ERROR_CANCELLED:
        return TRESOR_ERROR_AGAIN;
    case TRESOR_ERROR_CORRUPT: /* the rest was good until the end */
        return wanted & TRESOR__LOOK_COMPARE ? code : is_seen ? TRESOR_OK : TRESOR_ERROR_AGAIN;
    case TRESOR_ERROR_NOT_FINITE:
        return wanted & TRESOR__LOOK_FINITE ? code : TRESOR_ERROR_AGAIN;
    default:
        return code;
    }
}

static void settle_pairs(struct tresor__controller *controller, const struct tresor__piece *piece,
                         uint32_t seen, const struct tresor__failure *failure)
{
    uint32_t index = piece->first_wait;
    while (index != TRESOR_NONE) {
        const struct tresor__pair *pair = &controller->pairs[index];
        uint32_t next = pair->next_of_tensor;
        int32_t code = pair->wait == TRESOR__WAIT_LOOK
                           ? verdict_for(wanted_by(controller, pair), seen, failure->code)
                           : TRESOR_ERROR_AGAIN;
        if (code != TRESOR_ERROR_AGAIN)
            tresor__waits_settle_one(controller, index, code, failure);
        index = next;
    }
}

void tresor__looks_end(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__digest *digest = &controller->digests[index];
    struct tresor__piece *piece = &controller->slots[digest->source].pieces[digest->piece];
    struct tresor__failure failure = digest->failure;
    uint32_t seen = digest->looks;
    controller->seen_high = digest->record.high;
    controller->seen_low = digest->record.low;
    digest->next = controller->free_digest;
    controller->free_digest = index;
    piece->look = TRESOR_NONE;
    if (failure.code == TRESOR_OK)
        piece->tensor.looked |= piece->tensor.looking;
    piece->tensor.looking = 0;
    if (is_verifying(piece)) {
        end_verifying(controller, piece, &failure);
        return;
    }
    if (piece->tensor.is_poisoned)
        failure = (struct tresor__failure){.code = TRESOR_ERROR_POISONED};
    settle_pairs(controller, piece, seen, &failure);
    if (piece->waits[TRESOR__WAIT_LOOK] > 0)
        queue(controller, piece);
    else
        let_go(controller, piece);
}
