/* SPDX-License-Identifier: MIT */
#include "tensor/pins.h"

#define PIN_OPEN (UINT32_C(1) << 31)
#define PIN_USERS_MAX ((UINT32_C(1) << 24) - 1)

/* The gate: users in the low half, the generation above it, and three flags at the top. */
#define GATE_OPEN (UINT64_C(1) << 63)
#define GATE_CLOSING (UINT64_C(1) << 62)
#define GATE_PAUSED (UINT64_C(1) << 61)
#define GATE_GENERATION_SHIFT 32
#define GATE_USERS UINT64_C(0xffffffff)

void tresor__pins_open(struct tresor__slot *slot, uint32_t tensor)
{
    atomic_store_explicit(&slot->pins[tensor], PIN_OPEN, memory_order_release);
}

bool tresor__pins_seal(struct tresor__slot *slot, uint32_t tensor)
{
    uint32_t idle = PIN_OPEN;
    return atomic_compare_exchange_strong_explicit(&slot->pins[tensor], &idle, 0,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void tresor__gate_open(struct tresor__slot *slot)
{
    uint64_t word = GATE_OPEN | (uint64_t)slot->generation << GATE_GENERATION_SHIFT;
    atomic_store_explicit(&slot->gate, word, memory_order_release);
}

void tresor__gate_close(struct tresor__slot *slot)
{
    atomic_fetch_or_explicit(&slot->gate, GATE_CLOSING, memory_order_acq_rel);
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

int32_t tresor__gate_enter(struct tresor__slot *slot, uint32_t generation)
{
    uint64_t wanted = GATE_OPEN | (uint64_t)generation << GATE_GENERATION_SHIFT;
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    do {
        if ((word & ~GATE_USERS) != wanted)
            return (word & ~GATE_USERS) == (wanted | GATE_PAUSED) ? TRESOR_ERROR_NOT_RESIDENT
                                                                  : TRESOR_ERROR_STALE;
    } while (!atomic_compare_exchange_weak_explicit(&slot->gate, &word, word + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    return TRESOR_OK;
}

bool tresor__gate_holds(const struct tresor__slot *slot, uint32_t generation)
{
    uint64_t wanted = GATE_OPEN | (uint64_t)generation << GATE_GENERATION_SHIFT;
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    return (word & ~GATE_USERS & ~GATE_CLOSING) == wanted && (word & GATE_USERS) > 0;
}

bool tresor__gate_leave(struct tresor__slot *slot, _Atomic uint32_t *wakers)
{
    uint64_t word = atomic_load_explicit(&slot->gate, memory_order_relaxed);
    for (;;) {
        bool is_last = (word & GATE_CLOSING) && (word & GATE_USERS) == 1;
        /* Once the last user has left, the context may be destroyed, unless it is told before. */
        if (is_last)
            atomic_fetch_add(wakers, 1);
        if (atomic_compare_exchange_weak_explicit(&slot->gate, &word, word - 1,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return is_last;
        if (is_last)
            atomic_fetch_sub(wakers, 1);
    }
}

static int32_t acquire_one(_Atomic uint32_t *pin)
{
    uint32_t word = atomic_load_explicit(pin, memory_order_relaxed);
    do {
        if (!(word & PIN_OPEN))
            return TRESOR_ERROR_NOT_RESIDENT;
        if ((word & ~PIN_OPEN) == PIN_USERS_MAX)
            return TRESOR_ERROR_AGAIN;
    } while (!atomic_compare_exchange_weak_explicit(pin, &word, word + 1, memory_order_acquire,
                                                    memory_order_relaxed));
    return TRESOR_OK;
}

static int32_t release_one(_Atomic uint32_t *pin)
{
    uint32_t word = atomic_load_explicit(pin, memory_order_relaxed);
    do {
        if ((word & ~PIN_OPEN) == 0)
            return TRESOR_ERROR_INVALID;
    } while (!atomic_compare_exchange_weak_explicit(pin, &word, word - 1, memory_order_release,
                                                    memory_order_relaxed));
    return TRESOR_OK;
}

static bool has_users(const _Atomic uint32_t *pin)
{
    return (atomic_load_explicit(pin, memory_order_relaxed) & ~PIN_OPEN) > 0;
}

int32_t tresor__pins_acquire(struct tresor__slot *slot, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int32_t code = acquire_one(&slot->pins[list ? list[i] : i]);
        if (code == TRESOR_OK)
            continue;
        while (i-- > 0)
            release_one(&slot->pins[list ? list[i] : i]);
        return code;
    }
    return TRESOR_OK;
}

int32_t tresor__pins_release(struct tresor__slot *slot, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!has_users(&slot->pins[list ? list[i] : i]))
            return TRESOR_ERROR_INVALID;
    for (uint32_t i = 0; i < count; i++) {
        if (release_one(&slot->pins[list ? list[i] : i]) == TRESOR_OK)
            continue;
        while (i-- > 0)
            atomic_fetch_add_explicit(&slot->pins[list ? list[i] : i], 1, memory_order_relaxed);
        return TRESOR_ERROR_INVALID;
    }
    return TRESOR_OK;
}
