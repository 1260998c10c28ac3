/* SPDX-License-Identifier: MIT */
/* What was chosen for a piece, read off the machines that chose it: nothing is kept beside them that could disagree. */
#include <tresor/choice.h>
#include <tresor/strategy.h>

#include "tensor/controller.h"

enum {
    HUGE_PAGE_BYTES = 2 * 1024 * 1024, /* less than that at a place is not worth asking for */
};

/* Its largest interval is its own; at its ends it may share pages with neighbours that came in another way. */
static const struct tresor__interval *main_interval(const struct tresor__ledger *ledger,
                                                    const struct tresor__span *span)
{
    uint32_t best = span->first_interval;
    for (uint32_t i = span->first_interval; i < span->first_interval + span->interval_count; i++)
        if (tresor__ledger_start(ledger, i + 1) - tresor__ledger_start(ledger, i) >
            tresor__ledger_start(ledger, best + 1) - tresor__ledger_start(ledger, best))
            best = i;
    return &ledger->intervals[best];
}

static void choose_direct(const struct tresor__model_file *of, struct tresor_choice *choice)
{
    const struct tresor__file *file = &of->io;
    choice->direct = choice->strategy == TRESOR_STRATEGY_READ && file->direct.is_open;
    if (choice->strategy != TRESOR_STRATEGY_READ)
        choice->direct_reason = TRESOR_REASON_STRATEGY;
    else if (!tresor__origin_has_file(&of->origin) || tresor__model_is_held(of))
        choice->direct_reason = TRESOR_REASON_SOURCE;
    else if (!file->direct.is_open && file->direct.os_errno != 0)
        choice->direct_reason = TRESOR_REASON_SYSTEM;
    else
        choice->direct_reason = TRESOR_REASON_DEFAULT;
}

static void choose_huge_pages(const struct tresor__file *file, const struct tresor__piece *piece,
                              struct tresor_choice *choice)
{
    bool is_refused = choice->strategy == TRESOR_STRATEGY_MMAP && file->mapping.slow_bytes > 0;
    choice->huge_pages = piece->size_bytes >= HUGE_PAGE_BYTES && !is_refused;
    choice->huge_pages_reason = piece->size_bytes < HUGE_PAGE_BYTES ? TRESOR_REASON_SIZE
                                : is_refused                        ? TRESOR_REASON_SYSTEM
                                                                    : TRESOR_REASON_DEFAULT;
}

static void choose_lock(const struct tresor__span *span, const struct tresor__piece *piece,
                        struct tresor_choice *choice)
{
    choice->lock = piece->lock.state == LOCK_LOCKED;
    choice->lock_reason = choice->lock                                ? TRESOR_REASON_REQUEST
                          : span->lock_failure.code != TRESOR_OK ? TRESOR_REASON_SYSTEM
                                                                 : TRESOR_REASON_DEFAULT;
}

struct tresor_choice tresor__choice_of(const struct tresor__controller *controller,
                                       const struct tresor__piece *piece)
{
    const struct tresor__model *model = &controller->slots[piece->tensor.source].source.model;
    const struct tresor__model_file *of = &model->files[piece->file];
    const struct tresor__file *file = &of->io;
    const struct tresor__span *span = &file->ledger.spans[piece->index];
    struct tresor_choice choice = {0};
    if (!tresor__tensor_is_there(&piece->tensor))
        return choice;
    bool is_read = span->interval_count > 0
                       ? main_interval(&file->ledger, span)->backing == TRESOR__BACKING_ANONYMOUS
                       : piece->tensor.backing == TRESOR__BACKING_ANONYMOUS;
    choice.strategy = is_read ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
    choice.strategy_reason = piece->tensor.backing != (is_read ? TRESOR__BACKING_ANONYMOUS
                                                               : TRESOR__BACKING_FILE)
                                 ? TRESOR_REASON_RESIDENT
                             : piece->tensor.is_asked ? TRESOR_REASON_REQUEST
                             : model->is_mappable     ? TRESOR_REASON_DEFAULT
                                                      : TRESOR_REASON_SOURCE;
    choose_direct(of, &choice);
    choose_huge_pages(file, piece, &choice);
    choose_lock(span, piece, &choice);
    return choice;
}
