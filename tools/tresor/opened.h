/* SPDX-License-Identifier: MIT */
/* A context with one open model: what every command that reads models begins and ends with. */
#ifndef TOOL_OPENED_H
#define TOOL_OPENED_H

#include <stdbool.h>

#include <tresor/tresor.h>

struct recorder;

/** Where a model is. All but the path zero: it is the file of that path. */
struct model_place {
    const char *path;        /* or what the descriptor is called */
    bool has_descriptor;
    uint32_t descriptor;     /* open in this process, instead of the path */
    uint64_t offset_bytes;   /* where it begins in the file */
    uint64_t length_bytes;   /* 0: up to the file's end */
    bool is_blob;            /* any bytes, one tensor */
    uint64_t max_decoded_bytes; /* of a compressed file; 0: the library's own limits */
    uint32_t max_ratio;
};

struct opened {
    const char *path;
    struct recorder *recorder; /* NULL: no trace is written */
    struct tresor_context *context; /* NULL if none could be made */
    struct tresor_source source;
    bool is_open;
    struct tresor_source_info info;
    struct tresor_error error; /* why it is not open */
    uint64_t open_ns;      /* how long it took to open */
    uint64_t processor_ns; /* of the whole process, meanwhile */
};

/** Make a context and open the model, recorded unless `recorder` is NULL. False, with `error`, if it
 * could not be; close it all the same. */
bool opened_begin(struct opened *opened, const struct model_place *place,
                  const struct tresor_context_options *options, struct recorder *recorder);

/** False where the model's bytes cannot be mapped where they are. It is open. */
bool opened_is_mappable(const struct opened *opened);

/** True where one of its files is compressed: all of it was read and decoded when it was opened. */
bool opened_is_compressed(const struct opened *opened);

/** Close the model and free the context. */
void opened_end(struct opened *opened);

/** An error without details, of a call that was refused. */
struct tresor_error error_of_code(int32_t code);

/** The line on an error, to be freed; NULL if there is no memory. */
char *opened_error_line(const struct opened *opened, const struct tresor_error *error);

/** Print the line on an error to stderr. */
void opened_print_error(const struct opened *opened, const struct tresor_error *error);

#endif
