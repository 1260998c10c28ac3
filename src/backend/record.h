/* SPDX-License-Identifier: MIT */
/*
 * A backend that tells a tape what another one is asked, and what it answers and when; and one that
 * answers what a script says, which is what the first has told. Both ways all calls come on the
 * context's thread, in one order.
 */
#ifndef TRESOR_BACKEND_RECORD_H
#define TRESOR_BACKEND_RECORD_H

#include "backend/answer.h"
#include "backend/backend.h"

/** What a poll has found, besides its answers. */
struct tresor__poll {
    uint32_t limit;
    uint32_t starts_left;  /* after it */
    int32_t refused_errno; /* of the backend, after it */
    uint32_t answer_count;
};

struct tresor__tape {
    void *cookie;
    void (*asked)(void *cookie, const struct tresor__numbered *asked);
    void (*polled)(void *cookie, const struct tresor__poll *poll);
    /* Each of a poll's, after it. */
    void (*answered)(void *cookie, const struct tresor__answer *answer);
    /* Whether the backend was found to have something pending. */
    void (*looked)(void *cookie, bool is_pending);
};

/** Where one of these says false, the script goes on in another way than the context: it is asked
 * nothing any more. */
struct tresor__script {
    void *cookie;
    bool (*ask)(void *cookie, const struct tresor__numbered *asked);
    bool (*poll)(void *cookie, struct tresor__poll *poll);
    /* Its bytes stay until the next call. */
    bool (*answer)(void *cookie, struct tresor__answer *answer);
    bool (*look)(void *cookie, bool *is_pending);
    /* An answer that no backend would give to what was asked. */
    void (*refuse)(void *cookie, const char *why);
};

/** Around `inner`, which it ends when it is destroyed. The tape must outlive it. TRESOR_OK, or
 * NO_MEMORY, which leaves `inner` as it was. */
int32_t tresor__record_create(const struct tresor__tape *tape,
                              const struct tresor_allocator *allocator, uint32_t effects_max,
                              struct tresor__backend *inner, struct tresor__backend **backend);

/**
 * Work is done and addresses are reserved here, for both need nothing of the outside; what was read
 * of headers comes out of the script, and no other memory is ever touched. Once the script goes
 * another way every effect fails, but for those that give something back, so that the context can
 * end. The script must outlive it. TRESOR_OK or NO_MEMORY.
 */
int32_t tresor__replay_create(const struct tresor__sys *sys, const struct tresor__script *script,
                              const struct tresor_allocator *allocator, struct tresor__bell *bell,
                              uint32_t effects_max, struct tresor__backend **backend);

#endif
