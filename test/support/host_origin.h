/* SPDX-License-Identifier: MIT */
/*
 * A host that hands a model of one file over in another way than by its path: as a descriptor of a file in the middle of
 * which it lies, as memory, or as a function. It counts what the library asks of it, and can fail like a disk.
 */
#ifndef TEST_SUPPORT_HOST_ORIGIN_H
#define TEST_SUPPORT_HOST_ORIGIN_H

#include <pthread.h>

#include "support/faulty_sys.h"
#include "support/model_set.h"
#include "support/session.h"

enum host_origin_kind {
    HOST_PATH,       /* of the file in the middle of which it lies */
    HOST_DESCRIPTOR, /* lent */
    HOST_ASKEW,      /* handed over, and the model does not begin with a page */
    HOST_MEMORY,     /* with a function that frees it */
    HOST_CALLBACK,
    HOST_ORIGINS,
};

struct host_origin {
    enum host_origin_kind kind;
    const struct model_part *part;
    struct bytes packed; /* the part, compressed; empty: it is handed over as it is */
    int descriptor; /* -1: none, or handed over */
    uint64_t offset_bytes;
    char path[MODEL_PATH_BYTES + 8]; /* of the file */
    uint8_t *memory;
    uint64_t length_bytes;

    pthread_mutex_t lock; /* over what follows */
    uint64_t reads;
    uint64_t releases;
    bool is_open; /* between an accepted open and its release */
    uint64_t fail_read; /* from 1 on; 0: none */
    bool reads_stay_failed;
    int32_t os_errno;
    uint64_t injected;
    bool is_short; /* each answer is half of what was asked */
    const char *violation;
};

/** Begin with the first part of a set that was written; the test fails where it cannot. */
void host_origin_init(struct host_origin *host, enum host_origin_kind kind,
                      const struct model_set *set);

/** The same of a part that is compressed; false where the build cannot. */
bool host_origin_init_packed(struct host_origin *host, enum host_origin_kind kind,
                             const struct model_set *set, uint32_t compression);

/** What tresor_source_open_with is given. */
struct tresor_source_origin host_origin_of(struct host_origin *host);

/** Open and finish; `faulty`, unless NULL, is told of the descriptor. */
int32_t host_origin_open(struct host_origin *host, struct session *session,
                         struct faulty_sys *faulty);

/** What is wrong after the context has gone, NULL if nothing. Takes everything away. */
const char *host_origin_end(struct host_origin *host);

const char *host_origin_name(enum host_origin_kind kind);

#endif
