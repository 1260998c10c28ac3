/* SPDX-License-Identifier: MIT */
/* Pages of a window that were replaced by zeros, for they could not be read: whose they were is told. */
#include "core/handle.h"
#include "tensor/controller.h"
#include "tensor/faults.h"
#include "tensor/pins.h"

/* A part of a file that was lost. */
struct loss {
    uint64_t offset;
    uint64_t length;
    struct tresor__failure failure;
};

static struct loss loss_of(const struct tresor__file *file, const struct tresor__message *message)
{
    uint64_t page = file->io->page_bytes;
    struct loss loss = {.offset = message->slot * page, .length = (uint64_t)message->code * page};
    loss.failure = (struct tresor__failure){
        .code = message->event ? TRESOR_ERROR_TRUNCATED : TRESOR_ERROR_IO,
        .offset = loss.offset,
        .wanted = loss.length,
    };
    return loss;
}

/* What it has lost since the last event of it, from its first byte that is lost on. */
static void note_loss(struct tresor__piece *piece, const struct loss *loss)
{
    uint64_t end = piece->offset_bytes + piece->size_bytes;
    uint64_t from = loss->offset > piece->offset_bytes ? loss->offset : piece->offset_bytes;
    uint64_t until = loss->offset + loss->length < end ? loss->offset + loss->length : end;
    if (piece->poisoned_bytes == 0 || from < piece->poison_offset)
        piece->poison_offset = from;
    piece->poisoned_bytes += until - from;
    if (piece->poison_code == TRESOR_OK)
        piece->poison_code = loss->failure.code;
}

/* Each in the first of its intervals that was lost, for it may have several; every page of an interval has bytes of all its
 * pieces. */
static void poison_pieces(struct tresor__controller *controller, const struct tresor__file *file,
                          uint32_t first, uint32_t number, const struct loss *loss)
{
    const struct tresor__ledger *ledger = &file->ledger;
    struct tresor__piece *pieces = controller->slots[file->source].pieces;
    for (uint32_t i = ledger->intervals[number].first_cover;
         i < ledger->intervals[number + 1].first_cover; i++) {
        uint32_t index = ledger->covers[i];
        const struct tresor__span *span = &ledger->spans[index];
        bool is_new = number == first || span->first_interval == number;
        if (!is_new || span->role != TRESOR__SPAN_RESIDENT)
            continue;
        note_loss(&pieces[index], loss);
        tresor__router_step(
            controller, &(struct tresor__address){TRESOR__MACHINE_TENSOR, file->source, index},
            &(struct tresor__input){.event = TENSOR_ON_POISONED});
    }
}

void tresor__faults_poison(struct tresor__controller *controller, uint32_t source, uint32_t index,
                           const struct tresor__message *message)
{
    struct tresor__file *file = &controller->slots[source].source.model.files[index].io;
    struct tresor__ledger *ledger = &file->ledger;
    struct loss loss = loss_of(file, message);
    uint64_t end = loss.offset + loss.length;
    uint32_t first = tresor__ledger_find(ledger, loss.offset);
    for (uint32_t i = first; i < ledger->interval_count && tresor__ledger_start(ledger, i) < end; i++) {
        tresor__ledger_poison(ledger, i, loss.offset, loss.length, &loss.failure);
        poison_pieces(controller, file, first, i, &loss);
    }
    tresor__turns_add_file(controller, source, index, TRESOR__TURN_NEWS);
}

void tresor__faults_tell(struct tresor__controller *controller, struct tresor__piece *piece)
{
    struct tresor__slot *slot = &controller->slots[piece->tensor.source];
    tresor__pins_poison(slot, piece->index);
    controller->openings++; /* who waits for it waits in vain */
    tresor__events_poison(controller, piece);
}

bool tresor__faults_hit(const struct tresor__slot *slot, const uint32_t *list, uint32_t count)
{
    const struct tresor__model *model = &slot->source.model;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t piece = list ? list[i] : i;
        uint64_t offset = tresor__model_offset(model, piece);
        uint64_t size = tresor__model_size(model, piece);
        const struct tresor__guard_range *range = &model->files[tresor__model_file_of(model, piece)].guard;
        if (size > 0 && tresor__guard_is_replaced(range, offset, size))
            return true;
    }
    return false;
}
