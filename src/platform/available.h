/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_PLATFORM_AVAILABLE_H
#define TRESOR_PLATFORM_AVAILABLE_H

#include "platform/sys.h"

/**
 * Memory that this process can have before somebody must swap or die: what the kernel thinks that the machine has
 * (MemAvailable of proc(5)), and no more than the process's control groups, of either hierarchy, leave it. Through `text`,
 * TRESOR__CGROUP_TEXT_BYTES of the caller's. -errno where neither tells.
 */
int64_t tresor__available_bytes(const struct tresor__sys *sys, char *text, uint64_t *bytes);

#endif
