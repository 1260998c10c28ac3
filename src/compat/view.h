/* SPDX-License-Identifier: MIT */
/* A mapping of a whole file, or of fresh memory, with the file's descriptor: what the faces that hand out maps share. */
#ifndef TRESOR_COMPAT_VIEW_H
#define TRESOR_COMPAT_VIEW_H

#include <tresor/error.h>

#include "platform/sys.h"

struct tresor__view {
    const struct tresor__sys *sys;
    int descriptor;        /* -1: none */
    void *address;         /* NULL: nothing is mapped, as of an empty file */
    size_t map_bytes;      /* mapped from there on */
    uint64_t length_bytes; /* of the file when it was opened, or what was asked for */
    uint32_t flags;        /* enum tresor__sys_view_flag */
};

/** Open a regular file, for writing where the flags say shared and writable. Nothing is held where it fails. */
int32_t tresor__view_open(struct tresor__view *view, const struct tresor__sys *sys,
                          const char *path, uint32_t flags, struct tresor_error *error);

/** Map all of what was opened; nothing of an empty file. */
int32_t tresor__view_map(struct tresor__view *view, struct tresor_error *error);

/** Map `length_bytes` of fresh memory, out of the pool of huge pages if that is in the flags. */
int32_t tresor__view_make(struct tresor__view *view, const struct tresor__sys *sys,
                          uint64_t length_bytes, uint32_t flags, struct tresor_error *error);

/** Unmap and close. Where the unmap is refused all stays as it was, to be tried again. */
int32_t tresor__view_close(struct tresor__view *view, struct tresor_error *error);

/** The same without the mapping. */
void tresor__view_close_file(struct tresor__view *view);

/** Bring all pages in. TRUNCATED where the file has become shorter. */
int32_t tresor__view_populate(struct tresor__view *view, struct tresor_error *error);

/** Tell the kernel of the pages that [offset, offset + length) touches. */
int32_t tresor__view_advise(struct tresor__view *view, uint64_t offset, uint64_t length,
                            enum tresor__sys_memory_advice advice, struct tresor_error *error);

#endif
