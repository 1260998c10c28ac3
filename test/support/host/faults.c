/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>

#include "support/random.h"

enum {
    SHORT_READS = 8
};

/*
 * Mostly what the manual says, but a system may say anything. Only that it cannot populate it may
 * not say now and then: the library believes it, and the fake system would have to be an old one
 * from the start.
 */
static int32_t choose_errno(uint64_t *seed, enum faulty_row row)
{
    static const int32_t any[] = {EINTR,  EAGAIN, EIO,    ENOMEM, EINVAL,
                                  EACCES, EFAULT, ENOSYS, EBUSY,  ESTALE};
    uint32_t count = sizeof any / sizeof any[0];
    const int32_t *errors = any;
    if (!random_once_in(seed, 4))
        errors = faulty_row_errors(row, &count);
    int32_t chosen = errors[random_below(seed, count)];
    return row == FAULTY_ADVISE_MEMORY && chosen == EINVAL ? EAGAIN : chosen;
}

int32_t faults_judge(void *cookie, struct faulty_call *call)
{
    struct faults *faults = cookie;
    /* Who waits would not wake. */
    if (faults->rate == 0 || call->row == FAULTY_BELL_RING)
        return 0;
    if (random_once_in(&faults->seed, faults->rate))
        return choose_errno(&faults->seed, call->row);
    bool is_read = call->row == FAULTY_READ || call->row == FAULTY_RING_RESULT;
    if (is_read && call->length > 1 && random_once_in(&faults->seed, SHORT_READS))
        call->length = 1 + random_below(&faults->seed, (uint32_t)call->length);
    if (is_read && random_once_in(&faults->seed, 2 * faults->rate))
        call->length = 0; /* the file ends here */
    return 0;
}
