/* SPDX-License-Identifier: MIT */
#include "tensor/plan.h"

#include <assert.h>

#include <tresor/strategy.h>

#include "tensor/controller.h"
#include "tensor/pins.h"

enum {
    STEPS_SKIPPED_MAX = 8, /* that are passed because a later one was used */
    ASKED_MAX = 256,       /* of one turn */
    ENTRIES_MAX = 1 << 28,
    RATIO_PLACES = 16,   /* binary, of the part that is kept */
};

#define NEVER UINT64_MAX

struct tresor__plan *tresor__plan_of(const struct tresor__controller *controller, uint32_t request)
{
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++)
        if (controller->plans[i] && controller->plans[i]->request == request)
            return controller->plans[i];
    return NULL;
}

bool tresor__plans_stand(const struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++)
        if (controller->plans[i])
            return true;
    return false;
}

static struct tresor__piece *piece_at(const struct tresor__controller *controller,
                                      const struct tresor__plan *plan, uint32_t entry)
{
    return &controller->slots[plan->source].pieces[plan->entries[entry].piece];
}

static uint32_t wrap(const struct tresor__plan *plan, uint32_t entry)
{
    return entry < plan->entry_count ? entry : entry - plan->entry_count;
}

/* Bytes of uses from the cursor to that one. */
static uint64_t distance(const struct tresor__plan *plan, uint32_t entry)
{
    if (entry == TRESOR_NONE || plan->cursor == plan->entry_count)
        return NEVER;
    uint64_t start = plan->entries[entry].start_bytes;
    uint64_t cursor = plan->entries[plan->cursor].start_bytes;
    return entry >= plan->cursor ? start - cursor : plan->total_bytes - cursor + start;
}

/* --- making and ending --- */

static uint32_t count_entries(const struct tresor__slot *slot, const uint64_t *items, size_t count)
{
    uint64_t entries = 0;
    for (size_t i = 0; i < count && entries <= ENTRIES_MAX; i++)
        entries += tresor__items_count(slot, items[i]);
    return entries <= ENTRIES_MAX ? (uint32_t)entries : TRESOR_NONE;
}

static void release(struct tresor__controller *controller, struct tresor__plan *plan)
{
    const struct tresor_allocator *allocator = &controller->allocator;
    tresor__free(allocator, plan->entries, plan->entry_count * sizeof *plan->entries);
    tresor__free(allocator, plan->steps, (plan->step_count + 1) * sizeof *plan->steps);
    tresor__free(allocator, plan, sizeof *plan);
}

static struct tresor__plan *allocate(struct tresor__controller *controller, uint32_t entry_count,
                                     uint32_t step_count)
{
    const struct tresor_allocator *allocator = &controller->allocator;
    struct tresor__plan *plan = tresor__allocate(allocator, sizeof *plan);
    if (!plan)
        return NULL;
    plan->entry_count = entry_count;
    plan->step_count = step_count;
    plan->entries = tresor__allocate(allocator, entry_count * sizeof *plan->entries);
    plan->steps = tresor__allocate(allocator, (step_count + 1) * sizeof *plan->steps);
    if (plan->entries && plan->steps)
        return plan;
    release(controller, plan);
    return NULL;
}

static void fill(struct tresor__controller *controller, struct tresor__plan *plan,
                 const uint64_t *items)
{
    const struct tresor__slot *slot = &controller->slots[plan->source];
    uint32_t entry = 0;
    for (uint32_t step = 0; step < plan->step_count; step++) {
        uint32_t pieces = tresor__items_count(slot, items[step]);
        plan->steps[step] = entry;
        for (uint32_t i = 0; i < pieces; i++) {
            uint32_t piece = tresor__items_piece(slot, items[step], i);
            plan->entries[entry++] = (struct tresor__plan_entry){
                .piece = piece, .next = TRESOR_NONE, .step = step, .start_bytes = plan->total_bytes};
            plan->total_bytes += slot->pieces[piece].size_bytes;
        }
    }
    plan->steps[plan->step_count] = entry;
}

static bool is_named(const struct tresor__controller *controller, const struct tresor__plan *plan)
{
    for (uint32_t i = 0; i < plan->entry_count; i++)
        if (piece_at(controller, plan, i)->plan != 0)
            return true;
    return false;
}

/* From behind, so that each finds the one after it; where it is cyclic the last finds the first. */
static void link_entries(const struct tresor__controller *controller, struct tresor__plan *plan)
{
    uint32_t rounds = plan->is_cyclic ? 2 : 1;
    for (uint32_t i = 0; i < plan->entry_count; i++)
        piece_at(controller, plan, i)->plan_entry = TRESOR_NONE;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = plan->entry_count; i-- > 0;) {
            struct tresor__piece *piece = piece_at(controller, plan, i);
            plan->entries[i].next = piece->plan_entry;
            piece->plan_entry = i;
        }
    }
}

static void name_pieces(struct tresor__controller *controller, struct tresor__plan *plan)
{
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        piece->plan = (uint8_t)(plan->index + 1);
        tresor__plan_uses_restart(&controller->slots[plan->source], piece);
        tresor__budget_note_plan(controller, piece);
    }
}

static uint32_t free_index(const struct tresor__controller *controller)
{
    uint32_t index = 0;
    while (index < TRESOR__PLANS_MAX && controller->plans[index])
        index++;
    return index;
}

int32_t tresor__plan_make(struct tresor__controller *controller, struct tresor__request *request,
                          const uint64_t *items, size_t count, uint64_t window_bytes,
                          bool is_cyclic)
{
    const struct tresor__slot *slot = &controller->slots[request->source];
    uint32_t index = free_index(controller);
    uint32_t entries = count_entries(slot, items, count);
    if (entries == 0)
        return TRESOR_ERROR_INVALID;
    if (index == TRESOR__PLANS_MAX || entries == TRESOR_NONE || count > ENTRIES_MAX)
        return TRESOR_ERROR_LIMIT;
    struct tresor__plan *plan = allocate(controller, entries, (uint32_t)count);
    if (!plan)
        return TRESOR_ERROR_NO_MEMORY;
    plan->index = index;
    plan->request = request->index;
    plan->source = request->source;
    plan->backing = request->strategy == TRESOR_STRATEGY_READ ? TRESOR__BACKING_ANONYMOUS
                                                              : TRESOR__BACKING_FILE;
    plan->window_bytes = window_bytes;
    plan->is_cyclic = is_cyclic;
    fill(controller, plan, items);
    if (is_named(controller, plan)) {
        release(controller, plan);
        return TRESOR_ERROR_BUSY;
    }
    link_entries(controller, plan);
    name_pieces(controller, plan);
    controller->plans[index] = plan;
    return TRESOR_OK;
}

void tresor__plan_end(struct tresor__controller *controller, const struct tresor__request *request)
{
    struct tresor__plan *plan = tresor__plan_of(controller, request->index);
    assert(plan);
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        piece->plan = 0;
        piece->plan_entry = TRESOR_NONE;
        tresor__budget_note_plan(controller, piece);
    }
    controller->plans[plan->index] = NULL;
    release(controller, plan);
}

/* --- what was used --- */

/* True where all pieces of a step have been used since the plan last counted that, and nobody uses them any more. A use is
 * the next place's: it may come just after that place was looked at, and before a later one of the same piece is. */
static bool look_at_step(struct tresor__controller *controller, const struct tresor__plan *plan,
                         uint32_t step)
{
    struct tresor__slot *slot = &controller->slots[plan->source];
    bool used = plan->steps[step] < plan->steps[step + 1] || step == plan->step;
    for (uint32_t i = plan->steps[step]; i < plan->steps[step + 1]; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        used = piece->plan_entry == i && tresor__plan_uses_look(slot, piece) && used;
    }
    return used;
}

/* In a plan that ends each acquire of what comes again is one step's; else it would not end where several steps were
 * used before it looks. In a cycle all are the step's that is passed: a host may acquire the same in several threads. */
static void pass_step(struct tresor__controller *controller, struct tresor__plan *plan)
{
    uint32_t last = plan->steps[plan->step + 1];
    for (uint32_t i = plan->cursor; i < last; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        tresor__plan_uses_count(piece, !plan->is_cyclic && plan->entries[i].next != TRESOR_NONE);
        if (piece->plan_entry == i)
            piece->plan_entry = plan->entries[i].next;
    }
    uint32_t passed = last - plan->cursor;
    plan->ahead = plan->ahead > passed ? plan->ahead - passed : 0;
    plan->cursor = last;
    plan->step++;
    if (plan->step < plan->step_count)
        return;
    plan->passes++;
    if (plan->is_cyclic) {
        plan->step = 0;
        plan->cursor = 0;
    }
}

/* The next step that was used, of those that are near; `step_count` where none was. */
static uint32_t find_used(struct tresor__controller *controller, const struct tresor__plan *plan)
{
    for (uint32_t i = 0; i <= STEPS_SKIPPED_MAX && i < plan->step_count; i++) {
        uint32_t step = plan->step + i;
        if (step >= plan->step_count && !plan->is_cyclic)
            break;
        step = step < plan->step_count ? step : step - plan->step_count;
        if (look_at_step(controller, plan, step))
            return step;
    }
    return plan->step_count;
}

static bool is_over(const struct tresor__plan *plan)
{
    return plan->step == plan->step_count;
}

static bool advance(struct tresor__controller *controller, struct tresor__plan *plan)
{
    uint32_t used = find_used(controller, plan);
    if (used == plan->step_count)
        return false;
    while (plan->step != used) {
        /* Whoever used the later step may have acquired this one since it was looked at. */
        look_at_step(controller, plan, plan->step);
        pass_step(controller, plan);
    }
    pass_step(controller, plan);
    controller->budget.is_due = true;
    return true;
}

/* --- what comes next --- */

static void step_load(struct tresor__controller *controller, const struct tresor__plan *plan,
                      struct tresor__piece *piece, bool is_due)
{
    uint32_t urgency = is_due ? TRESOR__URGENCY_NORMAL : TRESOR__URGENCY_LOOKAHEAD;
    int64_t value = tresor__load_value(plan->backing,
                                       controller->requests[plan->request].is_strategy_asked,
                                       urgency, controller->budget.budget_bytes > 0);
    tresor__router_step_on(
        controller, &piece->tensor,
        &(struct tresor__address){TRESOR__MACHINE_TENSOR, plan->source, piece->index},
        &(struct tresor__input){.event = TENSOR_ON_LOAD, .value = value});
}

/* The same of those whose pieces are not kept, which are all that has to be loaded. */
static uint64_t passing_distance(const struct tresor__plan *plan, uint32_t entry)
{
    uint64_t start = plan->entries[entry].passing_bytes;
    uint64_t cursor = plan->entries[plan->cursor].passing_bytes;
    return entry >= plan->cursor ? start - cursor : plan->passing_bytes - cursor + start;
}

static bool is_near(const struct tresor__plan *plan, uint32_t entry)
{
    uint64_t bytes = plan->is_spread ? passing_distance(plan, entry) : distance(plan, entry);
    return plan->entries[entry].step == plan->step || bytes < plan->window_bytes;
}

/* Before a seek, which begins anew. */
static bool is_asked(const struct tresor__controller *controller,
                     const struct tresor__request *request, const struct tresor__piece *piece)
{
    for (uint32_t i = piece->first_wait; i != TRESOR_NONE; i = controller->pairs[i].next_of_tensor)
        if (controller->pairs[i].request == request->index)
            return true;
    return false;
}

static void ask(struct tresor__controller *controller, const struct tresor__plan *plan,
                struct tresor__request *request, uint32_t entry)
{
    struct tresor__piece *piece = piece_at(controller, plan, entry);
    bool is_due = plan->entries[entry].step == plan->step;
    if (piece->tensor.state == TENSOR_RESIDENT || piece->plan_entry != entry ||
        is_asked(controller, request, piece))
        return;
    request->total++;
    request->total_bytes += piece->size_bytes;
    tresor__waits_add(controller, request, piece, TRESOR__WAIT_LOAD);
    piece->is_prefetched = !is_due;
    step_load(controller, plan, piece, is_due);
}

/* True where more could be asked for in another turn. */
static bool ask_ahead(struct tresor__controller *controller, struct tresor__plan *plan,
                      struct tresor__request *request)
{
    for (uint32_t i = 0; plan->ahead < plan->entry_count; i++) {
        uint32_t entry = plan->cursor + plan->ahead;
        if (entry >= plan->entry_count && !plan->is_cyclic)
            return false;
        entry = wrap(plan, entry);
        if (!is_near(plan, entry))
            return false;
        if (i == ASKED_MAX || !tresor__visits_has_room(controller))
            return true;
        if (controller->free_pair == TRESOR_NONE) {
            tresor__turns_await_pair(controller, request->index);
            return false;
        }
        ask(controller, plan, request, entry);
        plan->ahead++;
    }
    return false;
}

/* The cursor has come to a step: what was asked for ahead is wanted now, and what has failed or gone meanwhile is asked
 * for again, once. */
static void hasten_step(struct tresor__controller *controller, struct tresor__plan *plan,
                        struct tresor__request *request)
{
    uint32_t last = plan->steps[plan->step + 1];
    for (uint32_t i = plan->cursor; i < last; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        uint8_t state = piece->tensor.state;
        if (state == TENSOR_ADMITTING || state == TENSOR_LOADING ||
            state == TENSOR_VERIFYING)
            step_load(controller, plan, piece, true);
        else if (i - plan->cursor < plan->ahead && controller->free_pair != TRESOR_NONE &&
                 tresor__visits_has_room(controller))
            ask(controller, plan, request, i);
    }
}

/* --- who stays --- */

static uint64_t largest_passing(const struct tresor__controller *controller,
                                const struct tresor__plan *plan)
{
    uint64_t largest = 0;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct tresor__piece *piece = piece_at(controller, plan, i);
        if (!piece->is_kept && piece->size_bytes > largest)
            largest = piece->size_bytes;
    }
    return largest;
}

static void keep_none(const struct tresor__controller *controller, const struct tresor__plan *plan)
{
    for (uint32_t i = 0; i < plan->entry_count; i++)
        piece_at(controller, plan, i)->is_kept = false;
}

/* Of all pieces only those stay that are larger than that. Their bytes. */
static uint64_t keep_larger(const struct tresor__controller *controller,
                            const struct tresor__plan *plan, uint64_t size_bytes)
{
    uint64_t kept = 0;
    keep_none(controller, plan);
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        if (piece->is_kept || piece->size_bytes <= size_bytes)
            continue;
        piece->is_kept = true;
        kept += piece->size_bytes;
    }
    return kept;
}

/* The few that are much larger than the others stay, so that what passes needs no room for them. Their bytes. */
static uint64_t keep_largest(const struct tresor__controller *controller,
                             const struct tresor__plan *plan, uint64_t limit)
{
    uint64_t size_bytes = plan->window_bytes;
    while (size_bytes > 0 && keep_larger(controller, plan, size_bytes / 4 * 3) <= limit / 4)
        size_bytes = size_bytes / 4 * 3;
    uint64_t kept = keep_larger(controller, plan, size_bytes);
    if (kept <= limit / 4)
        return kept;
    keep_none(controller, plan);
    return 0;
}

/* One stays wherever, of what has come so far, less does than should: `wanted` bytes of `total`. */
static void keep_evenly(const struct tresor__controller *controller, struct tresor__plan *plan,
                        uint64_t wanted, uint64_t total)
{
    uint64_t ratio = total > 0 ? (wanted << RATIO_PLACES) / total : 0;
    uint64_t seen = 0;
    uint64_t kept = 0;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        uint64_t bytes = piece->size_bytes;
        if (piece->is_kept)
            continue;
        seen += bytes;
        if (kept + bytes > wanted || kept + bytes / 2 > (seen * ratio) >> RATIO_PLACES)
            continue;
        piece->is_kept = true;
        kept += bytes;
    }
}

static void count_passing(const struct tresor__controller *controller, struct tresor__plan *plan)
{
    plan->passing_bytes = 0;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct tresor__piece *piece = piece_at(controller, plan, i);
        plan->entries[i].passing_bytes = plan->passing_bytes;
        plan->passing_bytes += piece->is_kept ? 0 : piece->size_bytes;
    }
}

/* What is not kept has the window, or room for one that is used and the next. */
static void spread(struct tresor__controller *controller, struct tresor__plan *plan)
{
    uint64_t limit = tresor__budget_most(controller);
    if (limit == plan->spread_bytes)
        return;
    plan->spread_bytes = limit;
    keep_none(controller, plan);
    plan->is_spread = plan->is_cyclic && limit < plan->total_bytes;
    uint64_t kept = plan->is_spread ? keep_largest(controller, plan, limit) : 0;
    uint64_t largest = largest_passing(controller, plan);
    uint64_t passing = plan->window_bytes > 2 * largest ? plan->window_bytes : 2 * largest;
    plan->is_spread = plan->is_spread && plan->window_bytes >= largest && limit > kept + passing;
    if (plan->is_spread)
        keep_evenly(controller, plan, limit - passing - kept, plan->total_bytes - kept);
    count_passing(controller, plan);
}

void tresor__plan_run(struct tresor__controller *controller, struct tresor__request *request)
{
    struct tresor__plan *plan = tresor__plan_of(controller, request->index);
    spread(controller, plan);
    bool has_moved = false;
    while (!is_over(plan) && advance(controller, plan))
        has_moved = true;
    if (has_moved && !is_over(plan))
        hasten_step(controller, plan, request);
    if (is_over(plan)) {
        tresor__router_step_on(
            controller, request,
            &(struct tresor__address){TRESOR__MACHINE_REQUEST, 0, request->index},
            &(struct tresor__input){.event = REQUEST_ON_VISITED});
        return;
    }
    if (ask_ahead(controller, plan, request))
        tresor__turns_add_request(controller, request->index);
}

void tresor__plans_look(struct tresor__controller *controller)
{
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++)
        if (controller->plans[i])
            tresor__turns_add_request(controller, controller->plans[i]->request);
}

uint64_t tresor__plan_measure_step(struct tresor__controller *controller,
                                   const struct tresor__piece *piece)
{
    uint32_t mark = ++controller->io.mark;
    uint64_t bytes = 0;
    const struct tresor__plan *plan = piece->plan > 0 ? controller->plans[piece->plan - 1] : NULL;
    if (!plan || is_over(plan) || piece->plan_entry == TRESOR_NONE ||
        plan->entries[piece->plan_entry].step != plan->step)
        return 0;
    for (uint32_t i = plan->steps[plan->step]; i < plan->steps[plan->step + 1]; i++) {
        const struct tresor__piece *used = piece_at(controller, plan, i);
        struct tresor__file *file =
            &controller->slots[plan->source].source.model.files[used->file].io;
        bytes += tresor__ledger_mark(&file->ledger, used->index, mark);
    }
    return bytes;
}

/* --- seeking --- */

static bool is_far(const struct tresor__controller *controller, const struct tresor__piece *piece)
{
    const struct tresor__plan *plan = controller->plans[piece->plan - 1];
    return is_over(plan) || piece->plan_entry == TRESOR_NONE || !is_near(plan, piece->plan_entry);
}

void tresor__plan_seek(struct tresor__controller *controller, struct tresor__plan *plan,
                       uint32_t step)
{
    plan->step = step;
    plan->cursor = plan->steps[step];
    plan->ahead = 0;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct tresor__piece *piece = piece_at(controller, plan, i);
        piece->plan_entry = TRESOR_NONE;
        tresor__plan_uses_restart(&controller->slots[plan->source], piece);
    }
    for (uint32_t i = plan->is_cyclic ? plan->entry_count : 0; i-- > 0;)
        piece_at(controller, plan, i)->plan_entry = i;
    for (uint32_t i = plan->entry_count; i-- > plan->cursor;)
        piece_at(controller, plan, i)->plan_entry = i;
    tresor__waits_withdraw_if(controller, &controller->requests[plan->request], is_far);
    if (!is_over(plan))
        hasten_step(controller, plan, &controller->requests[plan->request]);
    controller->budget.is_due = true;
    tresor__turns_add_request(controller, plan->request);
}

/* --- who goes --- */

/* How far back those may go that were used just before, for what comes next. */
static uint64_t behind_bytes(const struct tresor__plan *plan)
{
    return 2 * plan->window_bytes;
}

struct search {
    const struct tresor__plan *plan;
    uint64_t least_distance; /* who is needed within it stays */
    uint64_t behind_bytes;   /* who was used longer ago stays */
    bool spares_kept;
    uint32_t serial;
};

static bool may_go(const struct tresor__controller *controller, const struct search *search,
                   uint32_t entry)
{
    const struct tresor__piece *piece = piece_at(controller, search->plan, entry);
    bool is_passed = entry < search->plan->cursor && piece->plan_entry == TRESOR_NONE;
    return piece->size_bytes > 0 && (piece->plan_entry == entry || is_passed) &&
           !(search->spares_kept && piece->is_kept) &&
           tresor__budget_may_go(controller, piece, search->serial);
}

/* Backwards from the cursor, and from the end back to it: from what is needed last to what is needed next. */
static struct tresor__piece *find_victim(const struct tresor__controller *controller,
                                         const struct search *search)
{
    const struct tresor__plan *plan = search->plan;
    for (uint32_t i = 1; i <= plan->entry_count; i++) {
        uint32_t entry = i <= plan->cursor ? plan->cursor - i
                                           : plan->cursor + (plan->entry_count - i);
        struct tresor__piece *piece = piece_at(controller, plan, entry);
        uint64_t behind = i <= plan->cursor || plan->is_cyclic
                              ? plan->total_bytes - distance(plan, entry) - piece->size_bytes
                              : NEVER;
        if (piece->plan_entry == entry &&
            (distance(plan, entry) <= search->least_distance || behind > search->behind_bytes))
            return NULL;
        if (may_go(controller, search, entry))
            return piece;
    }
    return NULL;
}

static struct tresor__piece *find_any(struct tresor__controller *controller, bool spares_window,
                                      uint32_t serial)
{
    for (uint32_t i = 0; i < TRESOR__PLANS_MAX; i++) {
        const struct tresor__plan *plan = controller->plans[i];
        struct search search = {.plan = plan, .behind_bytes = NEVER, .serial = serial};
        if (!plan)
            continue;
        search.least_distance = spares_window ? plan->window_bytes : 0;
        struct tresor__piece *piece = find_victim(controller, &search);
        if (piece)
            return piece;
    }
    return NULL;
}

struct tresor__piece *tresor__plans_victim(struct tresor__controller *controller,
                                           const struct tresor__piece *piece, uint32_t serial)
{
    if (!piece || piece->plan == 0)
        return find_any(controller, piece != NULL, serial);
    const struct tresor__plan *plan = controller->plans[piece->plan - 1];
    bool is_due = piece->plan_entry == TRESOR_NONE || is_over(plan) ||
                  plan->entries[piece->plan_entry].step == plan->step;
    struct search search = {
        .plan = plan,
        .least_distance = distance(plan, piece->plan_entry),
        .behind_bytes = is_due ? NEVER : behind_bytes(plan),
        .serial = serial,
    };
    if (piece->plan_entry == TRESOR_NONE)
        search.least_distance = plan->window_bytes;
    struct tresor__piece *victim = NULL;
    if (plan->is_spread) {
        struct search passing = search;
        passing.behind_bytes = NEVER;
        passing.spares_kept = true;
        victim = find_victim(controller, &passing);
    }
    if (!victim && (is_due || !plan->is_spread))
        victim = find_victim(controller, &search);
    return victim || !is_due ? victim : find_any(controller, true, serial);
}
