/* SPDX-License-Identifier: MIT */
/* What the parts of the face of llama.cpp's files share; each public function's table is the system's own. */
#ifndef TRESOR_COMPAT_LLAMA_INNER_H
#define TRESOR_COMPAT_LLAMA_INNER_H

#include <tresor/compat/llama.h>

#include "platform/sys.h"

enum {
    TRESOR__LLAMA_BOUNCE_BYTES = 1024 * 1024,
    TRESOR__LLAMA_INTERRUPTIONS_MAX = 16, /* in a row */
};

struct tresor_llama_file {
    const struct tresor__sys *sys;
    FILE *stream;   /* the host's, which has the position then */
    int descriptor; /* -1: the stream has none */
    int direct;     /* -1: none */
    bool is_owner;
    uint32_t flags; /* enum tresor__sys_open */
    uint32_t alignment_bytes;
    uint64_t size_bytes;
    uint64_t position;
    void *bounce_map;
    char *bounce; /* in it, at the alignment */
    struct tresor_error warning;
};

/* --- llama_error.c --- */

/** Writes the error, unless NULL, and answers its code. */
int32_t tresor__llama_fail(struct tresor_error *error, const struct tresor_error *what);

/** The code of a reason that no call explains better. */
int32_t tresor__llama_code(int64_t os_errno);

/** Whether an interrupted call is to be made again; counts. */
bool tresor__llama_again(int64_t result, uint32_t *interruptions);

/* --- llama_direct.c --- */

/** Try to have direct reads; where there are none the warning says why. */
void tresor__llama_open_direct(struct tresor_llama_file *file);

void tresor__llama_close_direct(struct tresor_llama_file *file);

/** Reads until `length` or the end of the file. 0 or -errno; `*got` bytes are there. */
int64_t tresor__llama_read_at(struct tresor_llama_file *file, void *address, size_t length,
                              uint64_t offset, size_t *got);

/* --- llama_stream.c: the same for a host's stream --- */

int64_t tresor__llama_stream_begin(struct tresor_llama_file *file);
int64_t tresor__llama_stream_tell(const struct tresor_llama_file *file, uint64_t *position);
int64_t tresor__llama_stream_seek(struct tresor_llama_file *file, uint64_t position);
int64_t tresor__llama_stream_read(struct tresor_llama_file *file, void *address, size_t length,
                                  size_t *got);
int64_t tresor__llama_stream_write(struct tresor_llama_file *file, const void *address,
                                   size_t length, size_t *got);

/* --- with another table --- */

int32_t tresor__llama_file_open(const struct tresor__sys *sys, const char *path, const char *mode,
                                bool direct, struct tresor_llama_file **file,
                                struct tresor_error *error);
int32_t tresor__llama_file_open_descriptor(const struct tresor__sys *sys, int descriptor,
                                           bool direct, struct tresor_llama_file **file,
                                           struct tresor_error *error);
int32_t tresor__llama_lock_open(const struct tresor__sys *sys, struct tresor_llama_lock **lock,
                                struct tresor_error *error);

#endif
