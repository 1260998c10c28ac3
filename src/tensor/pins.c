/* SPDX-License-Identifier: MIT */
#include "tensor/pins.h"

/* A word: users, the generation above them, and flags at the top. */
#define USERS UINT64_C(0xffffff)
#define GENERATION_SHIFT 24
#define GENERATION (USERS << GENERATION_SHIFT)
#define OPEN (UINT64_C(1) << 63)
#define CLOSING (UINT64_C(1) << 62) /* no new users, and counted in the slot's held_count */
#define AWAITED (UINT64_C(1) << 61) /* the context is to be told of the last user's end */
#define COMING (UINT64_C(1) << 60)  /* being loaded */
#define SPLIT (UINT64_C(1) << 57)   /* slices stand for it */
#define WATCHED (UINT64_C(1) << 58) /* the next user makes it AWAITED */
#define POISONED (UINT64_C(1) << 56) /* bytes of it were lost: nobody acquires it, who has it is told */
#define MISSED (UINT64_C(1) << 59)  /* counted as a miss, or as late */

/* The gate: who is inside in the low half, the generation above it, and three flags at the top. */
#define GATE_OPEN (UINT64_C(1) << 63)
#define GATE_CLOSING (UINT64_C(1) << 62)
#define GATE_PAUSED (UINT64_C(1) << 61)
#define GATE_GENERATION_SHIFT 32
#define GATE_USERS UINT64_C(0xffffffff)

static uint64_t of_generation(uint32_t generation)
{
    return (uint64_t)generation << GENERATION_SHIFT;
}

static struct tresor__pins *pins_of(const struct tresor__slot *slot)
{
    return atomic_load_explicit(&slot->pins, memory_order_acquire);
}

static uint64_t look(const struct tresor__pin *pin)
{
    return atomic_load_explicit(&pin->word, memory_order_relaxed);
}

/* False where the word was another meanwhile; then `*word` is what it is. */
static bool change(struct tresor__pin *pin, uint64_t *word, uint64_t next)
{
    return atomic_compare_exchange_weak_explicit(&pin->word, word, next, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

/* --- memory --- */

static size_t bytes_of(uint32_t capacity)
{
    return sizeof(struct tresor__pins) + capacity * sizeof(struct tresor__pin);
}

/* Twice as large at least, so that all smaller ones together are no larger than the last. */
static struct tresor__pins *grow(struct tresor__pins *older,
                                 const struct tresor_allocator *allocator, uint32_t count)
{
    uint32_t capacity = older && older->capacity > count / 2 ? 2 * older->capacity : count;
    struct tresor__pins *grown = tresor__allocate(allocator, bytes_of(capacity));
    if (!grown)
        return NULL;
    grown->older = older;
    grown->capacity = capacity;
    return grown;
}

static void make_word(struct tresor__pin *pin, uint32_t generation)
{
    atomic_store_explicit(&pin->record, 0, memory_order_relaxed);
    atomic_store_explicit(&pin->word, of_generation(generation), memory_order_relaxed);
}

int32_t tresor__pins_start(struct tresor__slot *slot, const struct tresor_allocator *allocator,
                           uint32_t count)
{
    slot->pin_count = 0;
    return tresor__pins_extend(slot, allocator, count);
}

int32_t tresor__pins_extend(struct tresor__slot *slot, const struct tresor_allocator *allocator,
                            uint32_t count)
{
    struct tresor__pins *before = pins_of(slot);
    struct tresor__pins *pins = before;
    assert(count >= slot->pin_count);
    for (uint32_t i = 0; i < slot->pin_count; i++)
        if (look(&before->pins[i]) & (OPEN | COMING | AWAITED | CLOSING | USERS))
            return TRESOR_ERROR_BUSY;
    if (count == 0)
        return TRESOR_OK;
    if (!before || count > before->capacity)
        pins = grow(before, allocator, count);
    if (!pins)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; pins != before && i < slot->pin_count; i++) {
        atomic_store_explicit(&pins->pins[i].record, tresor__pins_record(slot, i),
                              memory_order_relaxed);
        atomic_store_explicit(&pins->pins[i].word, look(&before->pins[i]), memory_order_relaxed);
    }
    for (uint32_t i = slot->pin_count; i < count; i++)
        make_word(&pins->pins[i], slot->generation);
    slot->pin_count = count;
    atomic_store_explicit(&slot->pins, pins, memory_order_release);
    return TRESOR_OK;
}

void tresor__pins_clear(struct tresor__slot *slot)
{
    struct tresor__pins *pins = pins_of(slot);
    for (uint32_t i = 0; i < slot->pin_count; i++)
        atomic_store_explicit(&pins->pins[i].word, 0, memory_order_relaxed);
    slot->pin_count = 0;
}

void tresor__pins_free(struct tresor__slot *slot, const struct tresor_allocator *allocator)
{
    struct tresor__pins *pins = pins_of(slot);
    while (pins) {
        struct tresor__pins *older = pins->older;
        tresor__free(allocator, pins, bytes_of(pins->capacity));
        pins = older;
    }
    atomic_store_explicit(&slot->pins, NULL, memory_order_relaxed);
}

/* --- the context's thread --- */

/* The word of a piece of the slot's own source. */
static struct tresor__pin *pin_of(const struct tresor__slot *slot, uint32_t piece)
{
    assert(piece < slot->pin_count);
    return &pins_of(slot)->pins[piece];
}

/* A word that the closing has given up, which nobody can acquire. */
static bool is_given_up(const struct tresor__slot *slot, uint64_t word)
{
    return (word & GENERATION) != of_generation(slot->generation) || word & CLOSING;
}

void tresor__pins_split(struct tresor__slot *slot, uint32_t piece)
{
    atomic_fetch_or_explicit(&pin_of(slot, piece)->word, SPLIT, memory_order_release);
}

void tresor__pins_open(struct tresor__slot *slot, uint32_t piece)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = look(pin);
    do {
        if (is_given_up(slot, word))
            return;
    } while (!change(pin, &word, (word & ~(COMING | MISSED)) | OPEN));
}

void tresor__pins_set_coming(struct tresor__slot *slot, uint32_t piece, bool is_coming)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = look(pin);
    do {
        if (is_given_up(slot, word))
            return;
    } while (!change(pin, &word, is_coming ? word | COMING : word & ~COMING));
}

bool tresor__pins_seal(struct tresor__slot *slot, uint32_t piece)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = look(pin);
    do {
        if (is_given_up(slot, word))
            return (word & USERS) == 0;
        if (!(word & (OPEN | POISONED)) || (word & USERS) > 0)
            return false;
    } while (!change(pin, &word, word & ~(OPEN | POISONED)));
    return true;
}

void tresor__pins_poison(struct tresor__slot *slot, uint32_t piece)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = look(pin);
    do {
        if (!(word & (OPEN | CLOSING)) || (word & GENERATION) != of_generation(slot->generation))
            return;
    } while (!change(pin, &word, (word & ~OPEN) | POISONED));
}

bool tresor__pins_await(struct tresor__slot *slot, uint32_t piece)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = look(pin);
    do {
        if ((word & USERS) == 0)
            return false;
    } while (!change(pin, &word, word | AWAITED));
    return true;
}

bool tresor__pins_watch(struct tresor__slot *slot, uint32_t piece)
{
    struct tresor__pin *pin = pin_of(slot, piece);
    uint64_t word = atomic_load_explicit(&pin->word, memory_order_acquire);
    uint64_t next;
    do {
        if (is_given_up(slot, word))
            return false;
        next = word | ((word & USERS) > 0 ? AWAITED : WATCHED);
    } while (next != word && !change(pin, &word, next));
    return (word & USERS) > 0;
}

uint64_t tresor__pins_record(const struct tresor__slot *slot, uint32_t piece)
{
    return atomic_load_explicit(&pin_of(slot, piece)->record, memory_order_acquire);
}

/* Who is about to tell of its end counts as a user still. */
static bool is_held(uint64_t word)
{
    return (word & USERS) > 0 || word & (AWAITED | CLOSING);
}

static void close_one(struct tresor__slot *slot, struct tresor__pin *pin)
{
    uint64_t word = look(pin);
    bool held = false;
    uint64_t next;
    do {
        if (is_held(word) && !held)
            atomic_fetch_add_explicit(&slot->held_count, 1, memory_order_relaxed);
        else if (!is_held(word) && held)
            atomic_fetch_sub_explicit(&slot->held_count, 1, memory_order_relaxed);
        held = is_held(word);
        next = held ? (word & (USERS | GENERATION | AWAITED | POISONED)) | CLOSING
               : word & SPLIT ? word & (GENERATION | SPLIT)
                              : 0;
    } while (!change(pin, &word, next));
}

/* Its own count keeps the last user from taking the look for done before it is. */
void tresor__pins_close(struct tresor__slot *slot)
{
    struct tresor__pins *pins = pins_of(slot);
    atomic_store_explicit(&slot->held_count, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < slot->pin_count; i++)
        close_one(slot, &pins->pins[i]);
    atomic_fetch_sub_explicit(&slot->held_count, 1, memory_order_acq_rel);
}

uint64_t tresor__pins_users(const struct tresor__slot *slot)
{
    const struct tresor__pins *pins = pins_of(slot);
    uint64_t users = 0;
    for (uint32_t i = 0; i < slot->pin_count; i++) {
        uint64_t word = atomic_load_explicit(&pins->pins[i].word, memory_order_acquire);
        users += (word & USERS) > 0 ? word & USERS : is_held(word);
    }
    return users;
}

uint32_t tresor__pins_held(const struct tresor__slot *slot)
{
    return atomic_load_explicit(&slot->held_count, memory_order_acquire);
}

/* --- any thread --- */

/* AGAIN where the word was another meanwhile, with `*word` what it is. */
__attribute__((noinline, cold)) static int32_t miss(struct tresor__pin *pin, uint64_t *word, struct tresor__acquires *acquires)
{
    if (*word & SPLIT)
        return TRESOR_ERROR_UNSUPPORTED;
    if (*word & POISONED)
        return TRESOR_ERROR_POISONED;
    if (*word & MISSED)
        return TRESOR_ERROR_NOT_RESIDENT;
    if (!change(pin, word, *word | MISSED))
        return TRESOR_ERROR_AGAIN;
    atomic_fetch_add_explicit(*word & COMING ? &acquires->late : &acquires->misses, 1,
                              memory_order_relaxed);
    return TRESOR_ERROR_NOT_RESIDENT;
}

static inline int32_t acquire_one(struct tresor__pin *pin, uint64_t generation,
                           struct tresor__acquires *acquires)
{
    uint64_t word = look(pin);
    for (;;) {
        if ((word & (GENERATION | CLOSING)) != generation)
            return TRESOR_ERROR_STALE;
        if (!(word & OPEN)) {
            int32_t code = miss(pin, &word, acquires);
            if (code != TRESOR_ERROR_AGAIN)
                return code;
            continue;
        }
        if ((word & USERS) == USERS)
            return TRESOR_ERROR_AGAIN;
        uint64_t next = word & WATCHED ? (word | AWAITED) & ~WATCHED : word;
        if (change(pin, &word, next + 1))
            return TRESOR_OK;
    }
}

static inline void note_use(struct tresor__pin *pin, uint64_t clock)
{
    uint64_t record = atomic_load_explicit(&pin->record, memory_order_relaxed);
    atomic_store_explicit(&pin->record, clock << TRESOR__STAMP_SHIFT | (uint16_t)(record + 1),
                          memory_order_relaxed);
}

static inline int32_t release_one(struct tresor__pin *pin, uint64_t generation, bool *is_awaited)
{
    uint64_t word = look(pin);
    do {
        if ((word & GENERATION) != generation)
            return TRESOR_ERROR_STALE;
        if ((word & USERS) == 0)
            return word & SPLIT ? TRESOR_ERROR_UNSUPPORTED : TRESOR_ERROR_INVALID;
    } while (!change(pin, &word, word - 1));
    if (word & (CLOSING | AWAITED) && (word & USERS) == 1)
        *is_awaited = true;
    return word & POISONED ? TRESOR_ERROR_POISONED : TRESOR_OK;
}

/* Undoes a release that was one too many, unless the piece has been sealed since. */
static void retake_one(struct tresor__pin *pin)
{
    uint64_t word = look(pin);
    do {
        if (!(word & (OPEN | POISONED | CLOSING)))
            return;
    } while (!change(pin, &word, word + 1));
}

static inline struct tresor__pin *pin_at(struct tresor__pins *pins, const uint32_t *list,
                                         uint32_t position)
{
    return &pins->pins[list ? list[position] : position];
}

static bool has_all(const struct tresor__pins *pins, const uint32_t *list, uint32_t count)
{
    uint32_t capacity = pins ? pins->capacity : 0;
    if (!list)
        return count <= capacity;
    for (uint32_t i = 0; i < count; i++)
        if (list[i] >= capacity)
            return false;
    return true;
}

int32_t tresor__pins_acquire(struct tresor__slot *slot, uint32_t generation, const uint32_t *list,
                             uint32_t count, struct tresor__acquires *acquires, bool *is_awaited)
{
    struct tresor__pins *pins = pins_of(slot);
    if (!has_all(pins, list, count))
        return TRESOR_ERROR_STALE;
    for (uint32_t i = 0; i < count; i++) {
        int32_t code = acquire_one(pin_at(pins, list, i), of_generation(generation), acquires);
        if (code == TRESOR_OK)
            continue;
        while (i-- > 0)
            release_one(pin_at(pins, list, i), of_generation(generation), is_awaited);
        return code;
    }
    uint64_t clock = atomic_fetch_add_explicit(&acquires->clock, count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++)
        note_use(pin_at(pins, list, i), clock + 1 + i);
    return TRESOR_OK;
}

int32_t tresor__pins_release(struct tresor__slot *slot, uint32_t generation, const uint32_t *list,
                             uint32_t count, bool *is_awaited)
{
    struct tresor__pins *pins = pins_of(slot);
    int32_t all = TRESOR_OK;
    if (!has_all(pins, list, count))
        return TRESOR_ERROR_STALE;
    for (uint32_t i = 0; count > 1 && i < count; i++)
        if ((look(pin_at(pins, list, i)) & USERS) == 0)
            return TRESOR_ERROR_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        int32_t code = release_one(pin_at(pins, list, i), of_generation(generation), is_awaited);
        if (code == TRESOR_ERROR_POISONED)
            all = code;
        if (code == TRESOR_OK || code == TRESOR_ERROR_POISONED)
            continue;
        while (i-- > 0)
            retake_one(pin_at(pins, list, i));
        return code;
    }
    return all;
}

int32_t tresor__pins_acquire_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                                 struct tresor__acquires *acquires)
{
    struct tresor__pins *pins = pins_of(slot);
    if (!pins || piece >= pins->capacity)
        return TRESOR_ERROR_STALE;
    struct tresor__pin *pin = &pins->pins[piece];
    int32_t code = acquire_one(pin, of_generation(generation), acquires);
    if (code != TRESOR_OK)
        return code;
    uint64_t clock = atomic_fetch_add_explicit(&acquires->clock, 1, memory_order_relaxed);
    note_use(pin, clock + 1);
    return TRESOR_OK;
}

int32_t tresor__pins_hold_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                              struct tresor__acquires *acquires)
{
    struct tresor__pins *pins = pins_of(slot);
    return pins && piece < pins->capacity
               ? acquire_one(&pins->pins[piece], of_generation(generation), acquires)
               : TRESOR_ERROR_STALE;
}

int32_t tresor__pins_release_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                                 bool *is_awaited)
{
    struct tresor__pins *pins = pins_of(slot);
    return pins && piece < pins->capacity
               ? release_one(&pins->pins[piece], of_generation(generation), is_awaited)
               : TRESOR_ERROR_STALE;
}

/* The flags that are taken off a word without users. */
static uint64_t finish_one(struct tresor__pin *pin)
{
    uint64_t word = look(pin);
    uint64_t next;
    do {
        if ((word & USERS) > 0 || !(word & (CLOSING | AWAITED)))
            return 0;
        next = word & CLOSING ? 0 : word & ~AWAITED;
    } while (!change(pin, &word, next));
    return word;
}

uint32_t tresor__pins_finish(struct tresor__slot *slot, const uint32_t *list, uint32_t count)
{
    struct tresor__pins *pins = pins_of(slot);
    uint32_t told = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t flags = finish_one(pin_at(pins, list, i));
        if (flags & AWAITED)
            told |= TRESOR__PINS_RELEASED;
        if (flags & CLOSING &&
            atomic_fetch_sub_explicit(&slot->held_count, 1, memory_order_acq_rel) == 1)
            told |= TRESOR__PINS_QUIET;
    }
    return told;
}

/* --- the gate --- */

void tresor__gate_open(struct tresor__slot *slot)
{
    uint64_t word = GATE_OPEN | (uint64_t)slot->generation << GATE_GENERATION_SHIFT;
    atomic_store_explicit(&slot->gate, word, memory_order_release);
}

void tresor__gate_close(struct tresor__slot *slot)
{
    atomic_fetch_or_explicit(&slot->gate, GATE_CLOSING, memory_order_acq_rel);
}

bool tresor__gate_shut(struct tresor__slot *slot)
{
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    do {
        if ((word & GATE_USERS) > 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&slot->gate, &word, 0, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return true;
}

uint32_t tresor__gate_users(const struct tresor__slot *slot)
{
    return (uint32_t)(atomic_load_explicit(&slot->gate, memory_order_acquire) & GATE_USERS);
}

bool tresor__gate_pause(struct tresor__slot *slot)
{
    uint64_t idle = GATE_OPEN | (uint64_t)slot->generation << GATE_GENERATION_SHIFT;
    return atomic_compare_exchange_strong_explicit(&slot->gate, &idle, idle | GATE_PAUSED,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void tresor__gate_resume(struct tresor__slot *slot)
{
    atomic_fetch_and_explicit(&slot->gate, ~GATE_PAUSED, memory_order_release);
}

int32_t tresor__gate_enter(struct tresor__slot *slot, uint32_t generation, bool releases)
{
    uint64_t wanted = GATE_OPEN | (uint64_t)generation << GATE_GENERATION_SHIFT;
    uint64_t ignored = GATE_USERS | (releases ? GATE_CLOSING : 0);
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    do {
        if ((word & ~ignored) != wanted)
            return (word & ~ignored) == (wanted | GATE_PAUSED) ? TRESOR_ERROR_NOT_RESIDENT
                                                               : TRESOR_ERROR_STALE;
    } while (!atomic_compare_exchange_weak_explicit(&slot->gate, &word, word + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    return TRESOR_OK;
}

bool tresor__gate_leave(struct tresor__slot *slot, _Atomic uint32_t *wakers)
{
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    for (;;) {
        bool is_last = (word & GATE_CLOSING) && (word & GATE_USERS) == 1;
        /* Once the last one has left, the context may be destroyed, unless it is told before. */
        if (is_last)
            atomic_fetch_add(wakers, 1);
        if (atomic_compare_exchange_weak_explicit(&slot->gate, &word, word - 1,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return is_last;
        if (is_last)
            atomic_fetch_sub(wakers, 1);
    }
}
