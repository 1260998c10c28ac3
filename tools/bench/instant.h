/* SPDX-License-Identifier: MIT */
/*
 * A backend that answers at once: opening a source it leaves to the sync backend, and from then on every effect is
 * done as soon as it is asked for. What is left is the machines' own time.
 */
#ifndef TRESOR_BENCH_INSTANT_H
#define TRESOR_BENCH_INSTANT_H

#include "context.h"

/** A context on such a backend. */
int32_t instant_create(const struct tresor_context_options *options,
                       struct tresor_context **context);

#endif
