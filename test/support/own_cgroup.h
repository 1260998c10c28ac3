/* SPDX-License-Identifier: MIT */
/* A memory control group of the test's own, below the one that it was started in: what the system counts, and limits. */
#ifndef TEST_SUPPORT_OWN_CGROUP_H
#define TEST_SUPPORT_OWN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/cgroup.h"

struct own_cgroup {
    struct tresor__cgroup group;
    bool is_made;
};

/** Make it; false where none can be made here, and then there is nothing to remove. */
bool own_cgroup_make(struct own_cgroup *own);

/** Remove it; nobody is in it any more. False if it is still there. */
bool own_cgroup_remove(struct own_cgroup *own);

/** The calling process goes into it: what it takes from then on is counted there. */
bool own_cgroup_enter(const struct own_cgroup *own);

/** Write one of its files; the first name is that of v1, the other that of v2. */
bool own_cgroup_write(const struct own_cgroup *own, const char *old_name, const char *new_name,
                      const char *text);

/** Bytes that are used in it now, and at most since it was made. False where the system does not tell. */
bool own_cgroup_used(const struct own_cgroup *own, uint64_t *bytes);
bool own_cgroup_peak(const struct own_cgroup *own, uint64_t *bytes);

#endif
