/* SPDX-License-Identifier: MIT */
/* Carrying out one effect with blocking system calls: what the sync backend does in poll and a worker in its thread. */
#ifndef TRESOR_BACKEND_ACTOR_H
#define TRESOR_BACKEND_ACTOR_H

#include "core/effect.h"
#include "platform/sys.h"

/** Run the effect to its end. Any thread. */
struct tresor__completion tresor__actor_run(const struct tresor__sys *sys,
                                            const struct tresor__effect *effect);

/** The completion of an effect that came to `result`: a value, or -errno. */
struct tresor__completion tresor__actor_answer(const struct tresor__effect *effect, int64_t result);

#endif
