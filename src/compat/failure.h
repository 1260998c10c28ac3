/* SPDX-License-Identifier: MIT */
/* How the faces say what went wrong. */
#ifndef TRESOR_COMPAT_FAILURE_H
#define TRESOR_COMPAT_FAILURE_H

#include <errno.h>
#include <stdint.h>

#include <tresor/error.h>

/** Write it down, where `error` is not NULL; returns `code`. */
int32_t tresor__fail(struct tresor_error *error, int32_t code, int32_t os_errno, uint64_t wanted,
                     uint64_t got);

/** What a row has refused; `no_memory` is the code for ENOMEM and EAGAIN, which mean something else for each. */
int32_t tresor__fail_call(struct tresor_error *error, int64_t result, int32_t no_memory);

/** The same of opening a file. */
int32_t tresor__fail_open(struct tresor_error *error, int64_t result);

/* How often a call that was interrupted is made again. */
enum { TRESOR__INTERRUPTS_MAX = 16 };

#define TRESOR__RETRY(result, call)                                                                \
    for (uint32_t tries_ = 0;                                                                      \
         tries_ <= TRESOR__INTERRUPTS_MAX && (tries_ == 0 || (result) == -EINTR); tries_++)        \
    (result) = (call)

#endif
