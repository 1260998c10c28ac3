/* SPDX-License-Identifier: MIT */
/* The rows that watch memory; see sys.h. */
#ifndef TRESOR_PLATFORM_SYS_WATCH_H
#define TRESOR_PLATFORM_SYS_WATCH_H

#include "platform/sys.h"

int64_t tresor__sys_watch_open(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                               const char *trigger);
int64_t tresor__sys_watch_wait(void *cookie, struct tresor__sys_watch *watches, uint32_t count);

#endif
