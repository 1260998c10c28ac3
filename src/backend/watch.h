/* SPDX-License-Identifier: MIT */
/*
 * The watch over memory: a thread that sleeps until the system says that memory runs short, and then completes the effect
 * WATCH. It is no backend's, for it outlasts them and may sleep for ever.
 */
#ifndef TRESOR_BACKEND_WATCH_H
#define TRESOR_BACKEND_WATCH_H

#include "backend/bell.h"
#include "core/allocator.h"
#include "core/effect.h"

struct tresor__watch_thread;

/**
 * Find what can be watched, and watch it. Where there is nothing `*watch` is NULL and `*os_errno` says why of the first that
 * was refused. It rings the bell, the context's, when it has completed something. TRESOR_OK, NO_MEMORY (also for want of a
 * thread) or DESCRIPTORS.
 */
int32_t tresor__watch_create(const struct tresor__sys *sys,
                             const struct tresor_allocator *allocator, struct tresor__bell *bell,
                             struct tresor__watch_thread **watch, int32_t *os_errno);

/** Nothing is in flight. It ends its thread, whatever that waits for. */
void tresor__watch_destroy(struct tresor__watch_thread *watch);

/**
 * Take WATCH, when none is out, or UNWATCH. WATCH completes with what has risen since the last one, or fails when nothing
 * can be watched any more; its record, struct tresor__pressure_facts, is written before. UNWATCH completes at once, with
 * the WATCH that it ends, which is then cancelled. The context's thread.
 */
void tresor__watch_submit(struct tresor__watch_thread *watch, const struct tresor__effect *effect);

enum { TRESOR__WATCH_COMPLETIONS = 2 };

/** All that is complete, at most TRESOR__WATCH_COMPLETIONS; how many. The context's thread. */
uint32_t tresor__watch_poll(struct tresor__watch_thread *watch,
                            struct tresor__completion *completions);

/** Something is complete. The context's thread. */
bool tresor__watch_pending(struct tresor__watch_thread *watch);

#endif
