/* SPDX-License-Identifier: MIT */
/* The actor of DIGEST: looks at the bytes of a tensor, a part after the other. */
#ifndef TRESOR_BACKEND_DIGEST_H
#define TRESOR_BACKEND_DIGEST_H

#include <stdbool.h>

#include "backend/actor.h"

/** Whether this build can make an XXH128. */
bool tresor__digest_can_sum(void);

/** Look at one part. How many bytes were seen, or -errno: ENOSYS where a sum is wanted and cannot be made. */
int64_t tresor__digest_run(const struct tresor__sys *sys, const struct tresor__effect *effect,
                           const struct tresor__bounce *bounce);

#endif
