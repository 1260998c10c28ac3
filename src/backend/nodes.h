/* SPDX-License-Identifier: MIT */
/* The memory nodes of the machine. */
#ifndef TRESOR_BACKEND_NODES_H
#define TRESOR_BACKEND_NODES_H

#include "platform/sys.h"

/** A list like "0-1,4" and a newline, as the kernel writes them, into bits; those from 64 on are left out. EINVAL, as a
 * negative number, where it is anything else. */
int64_t tresor__nodes_parse(const char *text, size_t length, uint64_t *mask);

/** Those that are online, and -errno where the system does not tell. */
int64_t tresor__nodes_online(const struct tresor__sys *sys, uint64_t *mask);

#endif
