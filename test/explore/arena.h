/* SPDX-License-Identifier: MIT */
/*
 * One block of memory at one address, in which a context and the world around it live: to go back to a state is to copy
 * bytes, and every pointer is right again. A state is kept as the lines in which it differs from the first one.
 */
#ifndef TEST_EXPLORE_ARENA_H
#define TEST_EXPLORE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/allocator.h>

/** Everything is free. */
void arena_reset(void);

/** Hooks that allocate in it; the same calls give the same addresses. */
struct tresor_allocator arena_hooks(void);

/** Bytes that are allocated. */
int64_t arena_outstanding_bytes(void);

/** What the arena holds now is what states are compared with from now on. */
void arena_keep_first(void);

/** A state, to be freed with free(); NULL where there is no memory. */
struct arena_state;
struct arena_state *arena_keep(void);
size_t arena_state_bytes(const struct arena_state *state);

/** Go back to a state, or to the first one. */
void arena_restore(const struct arena_state *state);
void arena_restore_first(void);

#endif
