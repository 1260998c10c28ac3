/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_COMPAT_REALIZAR_INNER_H
#define TRESOR_COMPAT_REALIZAR_INNER_H

#include <tresor/compat/realizar.h>

#include "platform/sys.h"

/** tresor_realizar_open_mmap, or open_read, over other system calls. */
int32_t tresor__realizar_open(const struct tresor__sys *sys, const char *path, bool is_mapped,
                              const struct tresor_allocator *allocator,
                              struct tresor_realizar_data **data, struct tresor_error *error);

/** tresor_realizar_from_bytes over other system calls. */
int32_t tresor__realizar_copy(const struct tresor__sys *sys, const void *bytes, size_t length_bytes,
                              const struct tresor_allocator *allocator,
                              struct tresor_realizar_data **data, struct tresor_error *error);

#endif
