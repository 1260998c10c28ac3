/* SPDX-License-Identifier: MIT */
/* A place in an intrusive list: an object is in it once or not at all, so no list can overflow. */
#ifndef TRESOR_CORE_LINK_H
#define TRESOR_CORE_LINK_H

#include <stdbool.h>
#include <stdint.h>

/** `next` is an identifier that the list's owner can turn into the next object's link. */
struct tresor__link {
    uint32_t next;
    bool queued;
    uint8_t urgency; /* which list it is in, where there is one for each urgency */
};

struct tresor__queue {
    uint32_t head; /* TRESOR_NONE: empty */
    uint32_t tail;
};

#endif
