/* SPDX-License-Identifier: MIT */
/*
 * Chunks that the host has. Each stage has one word that any thread may touch: its generation, and whether it is out;
 * giving back clears the second, and the context's thread then frees the stage.
 */
#include <stdatomic.h>

#include "core/handle.h"
#include "tensor/controller.h"

enum {
    STAGE_OUT = 1,
    GENERATION_SHIFT = 1,
};

static uint32_t word_of(uint64_t handle)
{
    return tresor__handle_generation(handle) << GENERATION_SHIFT | STAGE_OUT;
}

static struct tresor_stage take_out(struct tresor__controller *controller, uint32_t stage)
{
    uint32_t word = atomic_load_explicit(&controller->stage_words[stage], memory_order_relaxed);
    uint32_t generation = tresor__generation_next(word >> GENERATION_SHIFT);
    controller->io.stages[stage].state = TRESOR__STAGE_OUT;
    controller->stages_out++;
    atomic_store_explicit(&controller->stage_words[stage],
                          generation << GENERATION_SHIFT | STAGE_OUT, memory_order_release);
    return (struct tresor_stage){tresor__handle_make(TRESOR__KIND_STAGE, stage, generation)};
}

/* Its request may have ended by the time that the event is taken. */
void tresor__stages_queue(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__stage *stage = &controller->io.stages[index];
    const struct tresor__request *request = &controller->requests[stage->stream];
    stage->request = tresor__handle_make(TRESOR__KIND_REQUEST, request->index, request->generation);
    stage->item = tresor__items_of_piece(&controller->slots[stage->source], stage->piece);
    stage->cookie = request->cookie;
    tresor__events_add(controller, tresor__event_identifier(TRESOR__EVENT_OF_STAGE, index));
}

void tresor__stages_hand_out(struct tresor__controller *controller, uint32_t index,
                             struct tresor_event *event)
{
    const struct tresor__stage *stage = &controller->io.stages[index];
    *event = (struct tresor_event){
        .type = TRESOR_EVENT_CHUNK,
        .verb = TRESOR_VERB_STREAM,
        .total = 1,
        .request.value = stage->request,
        .item.value = stage->item,
        .cookie = stage->cookie,
        .bytes = stage->length,
        .data = tresor__stages_address(controller, index) + stage->place,
        .offset_bytes = stage->offset_bytes,
        .stage = take_out(controller, index),
        .error = {.file = TRESOR_NONE, .tensor = stage->tensor},
    };
}

int32_t tresor__stages_return(struct tresor__controller *controller, uint64_t handle)
{
    uint64_t stage = tresor__handle_slot(handle);
    uint32_t word = word_of(handle);
    if (tresor__handle_kind(handle) != TRESOR__KIND_STAGE || stage >= controller->limits.stages)
        return TRESOR_ERROR_STALE;
    bool is_out = atomic_compare_exchange_strong_explicit(&controller->stage_words[stage], &word,
                                                          word & ~(uint32_t)STAGE_OUT,
                                                          memory_order_acq_rel, memory_order_relaxed);
    return is_out ? TRESOR_OK : TRESOR_ERROR_STALE;
}

static bool is_back(const struct tresor__controller *controller, uint32_t stage)
{
    uint32_t word = atomic_load_explicit(&controller->stage_words[stage], memory_order_acquire);
    return controller->io.stages[stage].state == TRESOR__STAGE_OUT && !(word & STAGE_OUT);
}

void tresor__stages_collect(struct tresor__controller *controller)
{
    if (!atomic_load_explicit(&controller->stages_returned, memory_order_relaxed))
        return;
    /* An exchange, for a thread that finds the flag set relies on this look to see its chunk. */
    atomic_exchange(&controller->stages_returned, false);
    for (uint32_t i = 0; i < controller->limits.stages; i++) {
        if (!is_back(controller, i))
            continue;
        controller->stages_out--;
        tresor__io_give_stage(&controller->io, i);
    }
}

bool tresor__stages_held(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.stages; i++)
        if (controller->io.stages[i].state == TRESOR__STAGE_OUT && !is_back(controller, i))
            return true;
    return false;
}
