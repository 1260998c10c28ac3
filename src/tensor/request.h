/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_REQUEST_H
#define TRESOR_TENSOR_REQUEST_H

#include <tresor/event.h>

#include "core/fsm.h"
#include "core/link.h"

enum {
    TRESOR__SOURCE_NONE = 0xffff, /* of a request that is about the context */
};

#define TRESOR__DEF "tensor/request.def"
#define TRESOR__S(name) REQUEST_##name
#define TRESOR__E(name) REQUEST_ON_##name
#include "core/fsm_enum.h"

/** One a slot of the context's requests. */
struct tresor__request {
    uint8_t state;
    uint8_t verb;     /* enum tresor_verb */
    uint8_t strategy; /* enum tresor_strategy, of LOAD and SWAP */
    bool is_strategy_asked; /* not the default */
    uint8_t advice;   /* enum tresor_advice, of ADVISE */
    uint8_t urgency;  /* enum tresor__urgency, of LOAD, COPY and STREAM */
    uint16_t source;
    uint8_t looks;    /* enum tresor__look, of LOAD and DIGEST */
    bool wants_items; /* an ITEM event for every tensor, not only for failed ones */
    bool wants_pins;  /* LOAD: each tensor is acquired for the host, its ITEM event hands that over */
    bool awaits_room; /* LOAD, BUDGET: waits where what is in use leaves too little, rather than fail */
    bool is_patient;  /* EVICT: waits for the end of a tensor's users */
    bool withdrawn;   /* cancelled before all tensors were asked or settled */
    uint32_t index;   /* its own slot */
    uint32_t generation;
    uint32_t serial; /* of all requests, modulo 2^32; never 0 */
    uint32_t next; /* in the list of free slots or of events */
    struct tresor__link turn;
    struct tresor__link starving; /* in the list of those that await a free pair */
    uint32_t first_item;
    uint32_t item_count;
    uint32_t item;       /* visiting stands here */
    uint32_t position;   /* in that item */
    uint32_t first_wait; /* its unsettled pairs */
    uint32_t retry;      /* the next of them to be tried again, or TRESOR_NONE */
    uint32_t walk;       /* the next of them for who walks over them, while it does */
    uint32_t unsettled;
    uint32_t total;
    uint32_t done;
    uint32_t failed;
    uint32_t cancelled;
    uint64_t page_bytes; /* LOAD: that all its tensors take, each counted once; 0: not known yet */
    uint64_t done_bytes;
    uint64_t total_bytes;
    uint64_t progress_bytes; /* a PROGRESS event at most every so many; 0: none */
    uint64_t arrived_bytes;  /* counted only if there are such events */
    uint64_t told_bytes;     /* by the last of them */
    uint32_t next_progress;  /* in the list of events */
    bool has_progress;       /* and it is in there */
    uint64_t cookie;
    struct tresor_error error; /* the first failure */
};

extern const struct tresor__machine tresor__request_machine;

#endif
