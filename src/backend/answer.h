/* SPDX-License-Identifier: MIT */
/*
 * What an effect came to, as a trace keeps it: all that a machine learns of it, and no address or
 * descriptor, which machines only pass on.
 */
#ifndef TRESOR_BACKEND_ANSWER_H
#define TRESOR_BACKEND_ANSWER_H

#include <stddef.h>

#include "backend/flight.h"

enum {
    TRESOR__ANSWER_FACTS = 5,
};

struct tresor__answer {
    uint64_t number; /* of the effect */
    int32_t os_errno;
    int64_t value; /* 0 for what is an address or a descriptor */
    uint32_t fact_count;
    uint64_t facts[TRESOR__ANSWER_FACTS]; /* what was written into the effect's record */
    const void *bytes;                    /* that were read of a header; not the answer's own */
    size_t size_bytes;
};

/** The answer that a completion of the effect is. Its bytes are where the effect put them. */
struct tresor__answer tresor__answer_of(const struct tresor__numbered *asked,
                                        const struct tresor__completion *completion);

/** Whether a backend could give that answer to the effect. Answers out of files may be anything. */
bool tresor__answer_is_possible(const struct tresor__effect *effect,
                                const struct tresor__answer *answer);

/** Write the facts and bytes of a possible answer to where the effect's belong. Its completion,
 * with the answer's value. */
struct tresor__completion tresor__answer_give(const struct tresor__effect *effect,
                                              const struct tresor__answer *answer);

#endif
