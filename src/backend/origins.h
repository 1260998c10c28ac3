/* SPDX-License-Identifier: MIT */
/* Opening, asking, reading and closing what a file of a source is: a path, a descriptor, memory, or a host's function. */
#ifndef TRESOR_BACKEND_ORIGINS_H
#define TRESOR_BACKEND_ORIGINS_H

#include "core/effect.h"
#include "core/origin.h"
#include "platform/sys.h"

/** The effect's origin; the whole of its path where it names none. */
const struct tresor__origin *tresor__effect_origin(const struct tresor__effect *effect);

/** There is a file behind what the effect is about. */
bool tresor__effect_has_file(const struct tresor__effect *effect);

/** Where in its descriptor the byte is that the effect's file has at `offset`. */
uint64_t tresor__effect_at(const struct tresor__effect *effect, uint64_t offset);

/** How many bytes the effect's file has of an open one that is `size_bytes` long. */
uint64_t tresor__effect_sees(const struct tresor__effect *effect, uint64_t size_bytes);

/** A descriptor, TRESOR__NO_DESCRIPTOR where none is needed, or -errno: only regular files are accepted. */
int64_t tresor__origin_open(const struct tresor__sys *sys, const struct tresor__effect *effect);

/** As fstat(2) has it, with the size that the effect's file has. */
int64_t tresor__origin_stat(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            struct tresor__sys_stat *stat);

/** As pread(2) has it, of the effect's file. */
int64_t tresor__origin_read(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            void *address, uint64_t offset, uint64_t length);

/** Once, whatever it answers. */
int64_t tresor__origin_close(const struct tresor__sys *sys, const struct tresor__effect *effect);

#endif
