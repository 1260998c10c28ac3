/* SPDX-License-Identifier: MIT */
/* A context with one open model: what every command that reads models begins and ends with. */
#ifndef TOOL_OPENED_H
#define TOOL_OPENED_H

#include <stdbool.h>

#include <tresor/tresor.h>

struct recorder;

struct opened {
    const char *path;
    struct recorder *recorder; /* NULL: no trace is written */
    struct tresor_context *context; /* NULL if none could be made */
    struct tresor_source source;
    bool is_open;
    struct tresor_source_info info;
    struct tresor_error error; /* why it is not open */
};

/** Make a context and open the model, recorded unless `recorder` is NULL. False, with `error`, if it
 * could not be; close it all the same. */
bool opened_begin(struct opened *opened, const char *path,
                  const struct tresor_context_options *options, struct recorder *recorder);

/** Close the model and free the context. */
void opened_end(struct opened *opened);

/** An error without details, of a call that was refused. */
struct tresor_error error_of_code(int32_t code);

/** The line on an error, to be freed; NULL if there is no memory. */
char *opened_error_line(const struct opened *opened, const struct tresor_error *error);

/** Print the line on an error to stderr. */
void opened_print_error(const struct opened *opened, const struct tresor_error *error);

#endif
