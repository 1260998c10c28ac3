/* SPDX-License-Identifier: MIT */
/* The composition of a context: a controller, a backend, and the thread that it belongs to. */
#ifndef TRESOR_SRC_CONTEXT_H
#define TRESOR_SRC_CONTEXT_H

#include <tresor/tresor.h>

#include "backend/backend.h"
#include "backend/watch.h"
#include "core/facts.h"
#include "core/options.h"
#include "tensor/controller.h"

/* Whom a wake is still to reach. */
enum {
    TRESOR__WOKEN_WAIT = 1, /* the next tresor_wait */
    TRESOR__WOKEN_LOOP = 2, /* the host's loop, until it dispatches */
};

struct tresor_context {
    struct tresor__controller controller;
    const struct tresor__sys *sys;
    struct tresor__bell bell; /* which the backends ring that it has, one after the other */
    struct tresor__backend *backend;
    struct tresor_actor actor; /* the host's own; without functions: none */
    uint32_t threads_max; /* of a backend */
    struct tresor__nodes nodes;
    struct tresor__watch_thread *watch; /* NULL: none */
    _Atomic uint32_t woken; /* TRESOR__WOKEN_ bits */
    bool is_watched;        /* the host has asked for the descriptor */
    struct tresor_allocator allocator;
    uint32_t dispatch_max;
    const void *_Atomic owner; /* the mark of the thread that first dispatched; NULL before */
    _Atomic uint32_t
        wakers; /* threads that are about to wake a context whose last user they were */
    _Atomic uint32_t sleepers; /* threads inside tresor_acquire_wait */
    _Atomic uint32_t openings; /* what they sleep at: changes whenever something may be acquired, or no more */
    uint64_t openings_told;    /* of the controller's */
};

/** TRESOR_OK, or THREAD where another thread owns the context. */
int32_t tresor__context_enter(const struct tresor_context *context);

/** Whether another dispatch would find something to do at once: a turn, or completions. */
bool tresor__context_has_more(struct tresor_context *context);

/** Rounds of completions, turns and effects until nothing moves or the limit is reached; true if more is left. */
bool tresor__context_work(struct tresor_context *context);

/** Whether something can end a sleep: work in flight, or users whose end somebody waits for. */
bool tresor__context_may_sleep(const struct tresor_context *context);

/** Whether another thread has told something since the last work, or is about to: then nothing that was found before says
 * that nothing will come. */
bool tresor__context_is_told(struct tresor_context *context);

/** What is left of a timeout that began at `start_ms`; negative: for ever. */
int32_t tresor__context_time_left(const struct tresor_context *context, int32_t timeout_ms,
                                  int64_t start_ms);

/** Wake the threads that sleep until something opens, if something has opened. */
void tresor__context_tell_sleepers(struct tresor_context *context);

/** Make the descriptor readable or not, as it should be; before a call that changed something returns. */
void tresor__context_level(struct tresor_context *context);

/** Make a context over other system calls, as tests do. */
int32_t tresor__context_create_over(const struct tresor__sys *sys,
                                    const struct tresor_context_options *options,
                                    struct tresor_context **context);

/** Makes the context's backend over its bell. TRESOR_OK or an error. */
typedef int32_t tresor__backend_maker(void *argument, const struct tresor_allocator *allocator,
                                      struct tresor__bell *bell, uint32_t effects_max,
                                      struct tresor__backend **backend);

/** Whether it names a backend, HOST only with an actor. */
bool tresor__backend_is_known(uint32_t kind, const struct tresor_actor *actor);

/** Copy a versioned actor, NULL: none. TRESOR_OK or INVALID. */
int32_t tresor__actor_copy(struct tresor_actor *known, const struct tresor_actor *given);

/** Make the one of enum tresor_backend, not DEFAULT, for a context that has all else. TRESOR_OK or NO_MEMORY. */
int32_t tresor__backend_make(struct tresor_context *context, uint32_t kind,
                             struct tresor__backend **backend);

/** Which nodes the options mean. TRESOR_OK, INVALID, or UNSUPPORTED where the machine has not got them. */
int32_t tresor__nodes_choose(const struct tresor__sys *sys,
                             const struct tresor_context_options *options,
                             struct tresor__nodes *nodes);

/** Watch memory as the option says, on a context that has all else. TRESOR_OK, NO_MEMORY or DESCRIPTORS. */
int32_t tresor__context_watch(struct tresor_context *context, uint32_t pressure);

/** Hand what was asked to the watch, and deliver what it has completed; how much that was. */
uint32_t tresor__context_run_watch(struct tresor_context *context);

/** End it, whatever it waits for. */
void tresor__context_unwatch(struct tresor_context *context);

/** Guard a context that has all else, as the option says (enum tresor_guard). TRESOR_OK, BUSY or UNSUPPORTED. */
int32_t tresor__context_guard(struct tresor_context *context, uint32_t kind);

/** End it; no source is open. */
void tresor__context_unguard(struct tresor_context *context);

/** Tell of faults that were contained; how many runs of pages. */
uint32_t tresor__context_hear_faults(struct tresor_context *context);

/** Whether there are any that were not told. Any thread. */
bool tresor__context_has_faults(const struct tresor_context *context);

/** A window is about to be reserved or released, or something mapped in it: what its guard has to know. */
void tresor__guard_resolve(struct tresor_context *context, struct tresor__effect *effect,
                           struct tresor__model_file *file);

/** How many readaheads of a file go beside its populate under a backend with so many threads. */
uint32_t tresor__backend_ahead_max(uint32_t kind, uint32_t threads_max);

/** Make a context on another backend; the one that the options name where `make` is NULL. */
int32_t tresor__context_create_on(const struct tresor__sys *sys, tresor__backend_maker *make,
                                  void *argument, const struct tresor_context_options *options,
                                  struct tresor_context **context);

/** Free all that there is of a context whose backend and bell are gone, or never were. */
void tresor__context_free(struct tresor_context *context);

#endif
