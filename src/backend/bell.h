/* SPDX-License-Identifier: MIT */
/*
 * A bell: the context's thread sleeps on its descriptor, any thread rings it. It is rung once until it is heard, for a
 * system call each time would cost more than the work that is told of.
 */
#ifndef TRESOR_BACKEND_BELL_H
#define TRESOR_BACKEND_BELL_H

#include <stdatomic.h>

#include "platform/sys.h"

enum tresor__bell_state {
    TRESOR__BELL_SILENT = 0, /* it was heard, and nobody has rung it since */
    TRESOR__BELL_ASKED = 1,  /* who rings it may not have come to its descriptor yet */
    TRESOR__BELL_RUNG = 3,   /* that too, and its descriptor is readable */
};

struct tresor__bell {
    const struct tresor__sys *sys;
    int descriptors[2]; /* to wait for and to ring; the same twice where one will do */
    _Atomic uint32_t rung; /* enum tresor__bell_state */
};

/** TRESOR_OK, NO_MEMORY or DESCRIPTORS, which leaves nothing. */
int32_t tresor__bell_open(struct tresor__bell *bell, const struct tresor__sys *sys);

/** No thread rings it any more. */
void tresor__bell_close(struct tresor__bell *bell);

/** Tell of what was put in its place before. Any thread. */
void tresor__bell_ring(struct tresor__bell *bell);

/** Silence it. The caller must look for what it may have told of after this, not before. */
void tresor__bell_hear(struct tresor__bell *bell);

/** Sleep until it rings or the timeout (negative: none), and hear it. A timeout of 0 only hears. */
void tresor__bell_wait(struct tresor__bell *bell, int32_t timeout_ms);

/** Readable from a ring until it is heard. Not to be read by others. */
int tresor__bell_descriptor(const struct tresor__bell *bell);

#endif
