/* SPDX-License-Identifier: MIT */
/* Which system calls of a run fail, and how: any of them, in any row, with any error that the row
 * may have. */
#ifndef TEST_SUPPORT_HOST_FAULTS_H
#define TEST_SUPPORT_HOST_FAULTS_H

#include "support/faulty_sys.h"

struct faults {
    uint64_t seed;
    uint32_t rate; /* one call in so many fails; 0: none, and reads are whole */
};

/** The judge of a struct faulty_sys; its cookie is a struct faults. */
int32_t faults_judge(void *cookie, struct faulty_call *call);

#endif
