/* SPDX-License-Identifier: MIT */
/* The rows of views, which only the faces of other loaders map; see sys.h. */
#ifndef TRESOR_PLATFORM_SYS_VIEW_H
#define TRESOR_PLATFORM_SYS_VIEW_H

#include "platform/sys.h"

int64_t tresor__sys_map_view(void *cookie, const struct tresor__sys_view *view, void **mapped);
int64_t tresor__sys_sync_memory(void *cookie, void *address, size_t length, bool is_waited);
int64_t tresor__sys_resident_bytes(void *cookie, int descriptor, void *address, size_t length,
                                   uint64_t *bytes);

#endif
