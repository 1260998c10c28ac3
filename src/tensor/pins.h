/* SPDX-License-Identifier: MIT */
/*
 * What acquire and release touch, from any thread: one word a piece (open or not, and how many
 * users) and one gate a source, which keeps the words from being freed under a user. Only the
 * context's thread opens and seals.
 */
#ifndef TRESOR_TENSOR_PINS_H
#define TRESOR_TENSOR_PINS_H

#include "tensor/slot.h"

/** The tensor is in memory: it may be acquired. */
void tresor__pins_open(struct tresor__slot *slot, uint32_t tensor);

/** Close the tensor to new users if it has none; false where it has. */
bool tresor__pins_seal(struct tresor__slot *slot, uint32_t tensor);

/** The gate of a source that is open, with no users; and of one that takes no more. */
void tresor__gate_open(struct tresor__slot *slot);
void tresor__gate_close(struct tresor__slot *slot);
uint32_t tresor__gate_users(const struct tresor__slot *slot);

/** Let nobody in for a moment, while the words and what items stand for change; false where somebody is. What such a
 * source has is absent, so that is what who comes is told. */
bool tresor__gate_pause(struct tresor__slot *slot);
void tresor__gate_resume(struct tresor__slot *slot);

/** Take part, or not: TRESOR_OK, STALE, or NOT_RESIDENT while it is paused. Each entering is undone by a leaving. */
int32_t tresor__gate_enter(struct tresor__slot *slot, uint32_t generation);

/** Whether the handle's source has users: what a caller that holds an acquire sees, also while it
 * closes. */
bool tresor__gate_holds(const struct tresor__slot *slot, uint32_t generation);

/**
 * True where this was the last user of a source that is closing: its context is to be woken, and
 * `wakers`, which was raised before, to be lowered after that.
 */
bool tresor__gate_leave(struct tresor__slot *slot, _Atomic uint32_t *wakers);

/** Acquire or release all, or none, of `count` pieces, `list` NULL meaning 0 to count - 1. The
 * gate is held. */
int32_t tresor__pins_acquire(struct tresor__slot *slot, const uint32_t *list, uint32_t count);
int32_t tresor__pins_release(struct tresor__slot *slot, const uint32_t *list, uint32_t count);

#endif
