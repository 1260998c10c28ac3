/* SPDX-License-Identifier: MIT */
/* Reads in flight that nobody wants any more are taken back, so that the disk serves those that somebody does. */
#include "tensor/controller.h"

static void cancel(struct tresor__controller *controller, uint32_t index)
{
    struct tresor__block *block = &controller->io.blocks[index];
    tresor__router_step_on(controller, block,
                           &(struct tresor__address){TRESOR__MACHINE_BLOCK, block->source, index},
                           &(struct tresor__input){.event = BLOCK_ON_CANCEL});
}

void tresor__blocks_cancel_job(struct tresor__controller *controller, uint8_t space, uint32_t job)
{
    for (uint32_t i = 0; i < controller->io.block_count; i++) {
        const struct tresor__block *block = &controller->io.blocks[i];
        if (block->state != BLOCK_FREE && block->space == space && block->job == job)
            cancel(controller, i);
    }
}

static bool is_wanted(const struct tresor__ledger *ledger, const struct tresor__block *block)
{
    uint64_t end = block->offset + block->length;
    for (uint32_t i = block->interval;
         i < ledger->interval_count && tresor__ledger_start(ledger, i) < end; i++)
        if (ledger->intervals[i].users > 0)
            return true;
    return false;
}

void tresor__blocks_cancel_unwanted(struct tresor__controller *controller,
                                    struct tresor__file *file)
{
    for (uint32_t i = 0; i < controller->io.block_count; i++) {
        const struct tresor__block *block = &controller->io.blocks[i];
        bool is_of_file = block->state != BLOCK_FREE && block->space == TRESOR__SPACE_WINDOW &&
                          block->source == file->source && block->file == file->index;
        if (is_of_file && !is_wanted(&file->ledger, block))
            cancel(controller, i);
    }
}
