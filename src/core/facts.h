/* SPDX-License-Identifier: MIT */
/* What STAT, OPEN_DIRECT, QUERY, WATCH and DIGEST write into a machine's record, and what MAP and POPULATE may be told. */
#ifndef TRESOR_CORE_FACTS_H
#define TRESOR_CORE_FACTS_H

#include <stdint.h>

/** What tells one file from another, and one version of it from the next. */
struct tresor__identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t modified_ns;
    int64_t changed_ns;
};

/** Direct reads of one file: begins and lengths are multiples of it, in memory and in the file. */
struct tresor__direct_facts {
    uint32_t alignment_bytes;
};

struct tresor__lock_facts {
    uint64_t limit_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: none */
    uint64_t used_bytes;  /* what the process has locked */
};

/** What a process's control group uses of the memory that it may have. */
struct tresor__pressure_facts {
    uint64_t usage_bytes; /* 0: not known */
    uint64_t limit_bytes; /* UINT64_MAX: none, or not known */
};

enum {
    TRESOR__UNIT_BYTES_MAX = 320,   /* of a block of any element type, and some more */
    TRESOR__SUM_STATE_BYTES = 704, /* of a running XXH128, wherever it is aligned */
};

/** What a digest has seen, and where it stands between one part and the next, which only the actor looks at. */
struct tresor__digest_record {
    uint64_t high; /* of the XXH128, once the last part was seen */
    uint64_t low;
    uint64_t bad_element; /* the first that is not finite; UINT64_MAX: none */
    uint32_t dtype;       /* enum tresor_dtype, the machine's to say */
    uint32_t held_bytes;  /* of an element or a block that the last part has cut */
    uint64_t unit_count;  /* elements or blocks that were seen whole */
    uint8_t held[TRESOR__UNIT_BYTES_MAX];
    uint8_t sum_state[TRESOR__SUM_STATE_BYTES];
};

/** On which memory nodes anonymous pages are put. */
struct tresor__nodes {
    uint32_t numa; /* enum tresor_numa; DEFAULT: wherever the system puts them */
    uint64_t mask; /* bit i for node i */
};

#endif
