/* SPDX-License-Identifier: MIT */
#include <tresor/error.h>

#include "tensor/piece.h"

static const struct tresor__piece *piece_of(const void *context)
{
    return (const struct tresor__piece *)(const void *)((const char *)context -
                                                        offsetof(struct tresor__piece, tensor));
}

static bool is_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return piece_of(context)->waits[TRESOR__WAIT_LOAD] > 0;
}

static bool is_unwanted(const void *context, const struct tresor__input *input)
{
    return !is_wanted(context, input);
}

static bool is_to_be_verified(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__piece_looks_left(piece_of(context)) != 0;
}

static bool is_wanted_with_room(const void *context, const struct tresor__input *input)
{
    const struct tresor__tensor *tensor = context;
    return tensor->asks_room && is_wanted(context, input);
}

static bool asks_room(const void *context, const struct tresor__input *input)
{
    (void)context;
    return tresor__load_asks_room(input->value);
}

static bool is_more_urgent(const void *context, const struct tresor__input *input)
{
    const struct tresor__tensor *tensor = context;
    return tresor__load_urgency(input->value) > tensor->urgency;
}

static bool is_patient(const void *context, const struct tresor__input *input)
{
    (void)input;
    return piece_of(context)->waits[TRESOR__WAIT_PATIENT] > 0;
}

static bool is_locked(const void *context, const struct tresor__input *input)
{
    (void)input;
    return piece_of(context)->lock.state != LOCK_UNLOCKED;
}

static bool is_poisoned(const void *context, const struct tresor__input *input)
{
    const struct tresor__tensor *tensor = context;
    (void)input;
    return tensor->is_poisoned;
}

static bool is_to_be_reloaded(const void *context, const struct tresor__input *input)
{
    return is_poisoned(context, input) && !is_locked(context, input);
}

static bool is_waited(const struct tresor__tensor *tensor, uint8_t side)
{
    return piece_of(tensor)->waits[tresor__swap_wait(side)] > 0;
}

static bool is_swap_wanted(const void *context, const struct tresor__input *input)
{
    const struct tresor__tensor *tensor = context;
    (void)input;
    return is_waited(tensor, tensor->side);
}

static bool is_to_be_swapped_back(const void *context, const struct tresor__input *input)
{
    const struct tresor__tensor *tensor = context;
    (void)input;
    return is_waited(tensor, !tensor->side);
}

static bool is_to_be_swapped(const void *context, const struct tresor__input *input)
{
    return is_swap_wanted(context, input) || is_to_be_swapped_back(context, input);
}

static bool is_to_be_evicted(const void *context, const struct tresor__input *input)
{
    return piece_of(context)->waits[TRESOR__WAIT_EVICT] > 0 || is_patient(context, input);
}

static void say(const struct tresor__tensor *tensor, struct tresor__outbox *out, uint8_t kind,
                int32_t code)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = kind,
                                                         .event = tensor->backing,
                                                         .urgency = tensor->urgency,
                                                         .code = code,
                                                         .slot = piece_of(tensor)->index});
}

static void tell_lock(const struct tresor__tensor *tensor, struct tresor__outbox *out,
                      uint8_t event)
{
    if (piece_of(tensor)->lock.state == LOCK_AWAITING)
        tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_TELL_LOCK,
                                                             .event = event,
                                                             .slot = piece_of(tensor)->index});
}

/* --- swaps --- */

static void settle_sides(const struct tresor__tensor *tensor, struct tresor__outbox *out,
                         uint32_t sides, int32_t code)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_SETTLE_SWAP,
                                                         .event = (uint8_t)sides,
                                                         .code = code,
                                                         .slot = piece_of(tensor)->index});
}

static void settle_all_sides(const struct tresor__tensor *tensor, struct tresor__outbox *out,
                             int32_t code)
{
    settle_sides(tensor, out, 1u << TRESOR__BACKING_FILE | 1u << TRESOR__BACKING_ANONYMOUS, code);
}

/* What is not in memory has nothing to move. */
static void settle_swaps(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    settle_all_sides(context, out, TRESOR_OK);
}

static void refuse_swap(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    settle_all_sides(context, out,
                     is_poisoned(context, input) ? TRESOR_ERROR_POISONED : TRESOR_ERROR_BUSY);
}

/* Input value: where to. What was asked for first comes first. */
static void choose_side(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    uint8_t side = tresor__load_backing(input->value);
    (void)out;
    if (!is_waited(tensor, !side))
        tensor->side = side;
}

/* What comes there was read anew, so it was not looked at. */
static void say_swap(struct tresor__tensor *tensor, struct tresor__outbox *out)
{
    tensor->looked = 0;
    tensor->looking = 0;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_SWAP,
                                                         .event = tensor->side,
                                                         .slot = piece_of(tensor)->index});
}

static void swap(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    if (!is_swap_wanted(context, input))
        tensor->side = !tensor->side; /* who had asked for this one has withdrawn */
    say_swap(tensor, out);
}

static void swap_to(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->side = tresor__load_backing(input->value);
    say_swap(tensor, out);
}

static void stop_swap(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_STOP_SWAP, TRESOR_OK);
}

static void settle_side(const struct tresor__tensor *tensor, struct tresor__outbox *out,
                        int32_t code)
{
    settle_sides(tensor, out, 1u << tensor->side, code);
}

/* What a request asked for, as a load's is. */
static void note_side(struct tresor__tensor *tensor)
{
    tensor->backing = tensor->side;
    tensor->is_asked = true;
}

static void swap_back(struct tresor__tensor *tensor, struct tresor__outbox *out, int32_t code)
{
    settle_side(tensor, out, code);
    tensor->side = !tensor->side;
    say_swap(tensor, out);
}

static void settle_and_swap_back(void *context, const struct tresor__input *input,
                                 struct tresor__outbox *out)
{
    (void)input;
    note_side(context);
    swap_back(context, out, TRESOR_OK);
}

/* Input value: why. */
static void fail_and_swap_back(void *context, const struct tresor__input *input,
                               struct tresor__outbox *out)
{
    swap_back(context, out, (int32_t)input->value);
}

static void rest(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    tell_lock(context, out, LOCK_ON_LOADED);
}

static void settle_and_rest(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    note_side(context);
    settle_side(context, out, TRESOR_OK);
    rest(context, input, out);
}

static void fail_and_rest(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    settle_side(context, out, (int32_t)input->value);
    rest(context, input, out);
}

/* --- loads and evictions --- */

/* Input value: how a load that begins from now on shall fill it, and how soon. */
static void choose(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)out;
    tensor->backing = tresor__load_backing(input->value);
    tensor->is_asked = tresor__load_is_asked(input->value);
    tensor->asks_room = tresor__load_asks_room(input->value);
    if (is_more_urgent(context, input))
        tensor->urgency = tresor__load_urgency(input->value);
}

static void claim(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)input;
    tensor->looked = 0;
    tensor->looking = 0;
    say(context, out, TRESOR__MESSAGE_CLAIM, TRESOR_OK);
}

static void choose_and_claim(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->urgency = TRESOR__URGENCY_LOOKAHEAD;
    choose(context, input, out);
    claim(context, input, out);
}

static void ask_room(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_ASK_ROOM, TRESOR_OK);
}

static void choose_and_ask_room(void *context, const struct tresor__input *input,
                                struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->urgency = TRESOR__URGENCY_LOOKAHEAD;
    choose(context, input, out);
    ask_room(context, input, out);
}

static void hasten_room(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->urgency = tresor__load_urgency(input->value);
    ask_room(context, input, out);
}

static void withdraw_room(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_WITHDRAW_ROOM, TRESOR_OK);
    settle_all_sides(context, out, TRESOR_OK);
    tell_lock(context, out, LOCK_ON_GONE);
}

/* Input value: why. */
static void refuse_load(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    say(context, out, TRESOR__MESSAGE_SETTLE_LOAD, (int32_t)input->value);
    settle_all_sides(context, out, TRESOR_OK);
    tell_lock(context, out, LOCK_ON_GONE);
}

static void hasten(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->urgency = tresor__load_urgency(input->value);
    say(tensor, out, TRESOR__MESSAGE_HASTEN, TRESOR_OK);
}

static void open_and_settle(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_OPEN_PINS, TRESOR_OK);
    say(context, out, TRESOR__MESSAGE_SETTLE_LOAD, TRESOR_OK);
    tell_lock(context, out, LOCK_ON_LOADED);
}

static void open_settle_and_swap(void *context, const struct tresor__input *input,
                                 struct tresor__outbox *out)
{
    say(context, out, TRESOR__MESSAGE_OPEN_PINS, TRESOR_OK);
    say(context, out, TRESOR__MESSAGE_SETTLE_LOAD, TRESOR_OK);
    swap(context, input, out);
}

/* What was poisoned could only be loaded anew behind its eviction. */
static void settle_load(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    say(context, out, TRESOR__MESSAGE_SETTLE_LOAD,
        is_poisoned(context, input) ? TRESOR_ERROR_BUSY : TRESOR_OK);
}

static void withdraw(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_WITHDRAW, TRESOR_OK);
    settle_all_sides(context, out, TRESOR_OK);
    tell_lock(context, out, LOCK_ON_GONE);
}

static void withdraw_and_fail(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->is_poisoned = false;
    say(context, out, TRESOR__MESSAGE_SETTLE_LOAD, TRESOR_ERROR_IO);
    withdraw(context, input, out);
}

static void withdraw_poisoned(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    tensor->is_poisoned = false;
    say(tensor, out, TRESOR__MESSAGE_SETTLE_LOAD, TRESOR_ERROR_POISONED);
    withdraw(tensor, input, out);
}

static void verify(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_VERIFY, TRESOR_OK);
}

static void stop_verify(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_STOP_VERIFY, TRESOR_OK);
}

static void ask(const struct tresor__tensor *tensor, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok, uint8_t flags)
{
    const struct tresor__piece *piece = piece_of(tensor);
    bool is_still = tensor->state == TENSOR_RESIDENT || tensor->state == TENSOR_HELD;
    tresor__outbox_effect(out, (struct tresor__effect){
                                   .kind = kind,
                                   .machine = TRESOR__MACHINE_TENSOR,
                                   .on_ok = on_ok,
                                   .on_failed = (uint8_t)(on_ok + 1),
                                   .space = is_still ? TRESOR__SPACE_WINDOW : TRESOR__SPACE_NONE,
                                   .flags = flags,
                                   .source = tensor->source,
                                   .slot = piece->index,
                                   .file = piece->file,
                                   .place = piece->offset_bytes,
                                   .offset = piece->offset_bytes,
                                   .length = piece->size_bytes,
                               });
}

static void ask_seal(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)input;
    tensor->failure_code = TRESOR_OK;
    tensor->urgency = TRESOR__URGENCY_LOOKAHEAD; /* of the loads that arrive from now on */
    ask(tensor, out, TRESOR__EFFECT_SEAL, TENSOR_ON_SEAL_OK, 0);
}

/* Input value: how it shall be loaded again. */
static void seal_and_choose(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    ask_seal(context, input, out);
    choose(context, input, out);
}

static void poison(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)input;
    tensor->is_poisoned = true;
    say(tensor, out, TRESOR__MESSAGE_POISONED, TRESOR_OK);
}

/* Who waits for its eviction has waited for its swap too. */
static void settle_and_seal(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    note_side(context);
    settle_side(context, out, TRESOR_OK);
    ask_seal(context, input, out);
}

/* Input value: why the swap has failed. */
static void fail_and_seal(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    settle_side(context, out, (int32_t)input->value);
    ask_seal(context, input, out);
}

static void ask_seal_unused(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    ask_seal(context, input, out);
    out->effects[out->effect_count - 1].flags = TRESOR__SEAL_UNUSED;
}

static void release(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)input;
    tensor->is_poisoned = false;
    say(context, out, TRESOR__MESSAGE_UNCLAIM, TRESOR_OK);
}

static void settle_evict(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)input;
    say(tensor, out, TRESOR__MESSAGE_SETTLE_EVICT, tensor->failure_code);
    tensor->failure_code = TRESOR_OK;
}

static void settle_evict_and_leave(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    settle_evict(context, input, out);
    settle_all_sides(context, out, TRESOR_OK);
    tell_lock(context, out, LOCK_ON_GONE);
}

static void settle_evict_and_ask_room(void *context, const struct tresor__input *input,
                                      struct tresor__outbox *out)
{
    settle_evict(context, input, out);
    ask_room(context, input, out);
}

static void settle_evict_and_claim(void *context, const struct tresor__input *input,
                                   struct tresor__outbox *out)
{
    settle_evict(context, input, out);
    claim(context, input, out);
}

static void refuse_evict(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_EVICT, TRESOR_ERROR_BUSY);
}

static void keep(void *context, const struct tresor__input *input, struct tresor__outbox *out,
                 uint8_t kind)
{
    refuse_evict(context, input, out);
    settle_load(context, input, out);
    tell_lock(context, out, LOCK_ON_LOADED);
    say(context, out, kind, TRESOR_OK);
}

static void refuse_evict_and_settle(void *context, const struct tresor__input *input,
                                    struct tresor__outbox *out)
{
    keep(context, input, out, TRESOR__MESSAGE_KEPT);
}

static void refuse_evict_and_hold(void *context, const struct tresor__input *input,
                                  struct tresor__outbox *out)
{
    keep(context, input, out, TRESOR__MESSAGE_HOLD);
}

static void refuse_evict_settle_and_swap(void *context, const struct tresor__input *input,
                                         struct tresor__outbox *out)
{
    refuse_evict(context, input, out);
    settle_load(context, input, out);
    say(context, out, TRESOR__MESSAGE_KEPT, TRESOR_OK);
    swap(context, input, out);
}

static void remember_failure(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__tensor *tensor = context;
    (void)out;
    tensor->failure_code = (int32_t)input->value;
}

/* Input value: the advice. A tensor without bytes has nothing to advise on, and the actor skips a
 * zero length. */
static void ask_advise(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    ask(context, out, TRESOR__EFFECT_ADVISE, TENSOR_ON_ADVISE_OK, (uint8_t)input->value);
}

static void settle_advise(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_ADVISE, TRESOR_OK);
}

static void fail_advise(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_SETTLE_ADVISE, TRESOR_ERROR_UNSUPPORTED);
}

static void check(const void *context)
{
    const struct tresor__tensor *tensor = context;
    uint8_t lock = piece_of(tensor)->lock.state;
    assert(tensor->backing < TRESOR__BACKING_COUNT);
    assert(tensor->side < TRESOR__BACKING_COUNT);
    assert(tensor->urgency < TRESOR__URGENCY_COUNT);
    assert(!tensor->is_poisoned || tensor->state == TENSOR_SEALING ||
           tensor->state == TENSOR_VERIFYING || tresor__tensor_is_there(tensor));
    assert(tensor->state == TENSOR_EVICTING || tensor->failure_code == TRESOR_OK);
    assert(lock == LOCK_UNLOCKED || lock == LOCK_AWAITING || tresor__tensor_is_there(tensor));
    (void)tensor;
    (void)lock;
}

#define TRESOR__DEF "tensor/tensor.def"
#define TRESOR__S(name) TENSOR_##name
#define TRESOR__E(name) TENSOR_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__tensor_machine =
    TRESOR__MACHINE_TABLE("tensor", TRESOR__MACHINE_TENSOR, struct tresor__tensor, check);
