/* SPDX-License-Identifier: MIT */
/* The rows of the guard against SIGBUS; see sys.h. */
#ifndef TRESOR_PLATFORM_SYS_GUARD_H
#define TRESOR_PLATFORM_SYS_GUARD_H

#include "platform/sys.h"

int64_t tresor__sys_guard_open(void *cookie);
int64_t tresor__sys_guard_close(void *cookie);
int64_t tresor__sys_guard_add(void *cookie, struct tresor__guard_range *range);
int64_t tresor__sys_guard_remove(void *cookie, struct tresor__guard_range *range);

#endif
