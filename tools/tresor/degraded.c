/* SPDX-License-Identifier: MIT */
#include "degraded.h"

#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "text.h"

/** The path of the file that is meant; NULL for the context. Of the source, which must stay open.
 */
static const char *path_of(const struct opened *opened, const struct tresor_error *error)
{
    struct tresor_file_info file = {.size_bytes = sizeof file};
    const struct tresor_source source = {error->source};
    if (error->file == TRESOR_NONE ||
        tresor_source_get_file(opened->context, source, error->file, &file) != TRESOR_OK)
        return NULL;
    return file.path;
}

static const char *reason_of(const struct tresor_error *error)
{
    return error->os_errno ? strerror(error->os_errno) : tresor_error_text(error->code);
}

/** "degraded: direct of 'm.gguf': Invalid argument" */
static void print_line(FILE *stream, const char *path, const char *what, const char *why)
{
    fprintf(stream, "degraded: %s", what);
    if (path) {
        fputs(" of '", stream);
        text_print(stream, path, strlen(path), SIZE_MAX);
        fputs("'", stream);
    }
    fprintf(stream, ": %s\n", why);
}

void degraded_add(struct degraded *degraded, const struct tresor_event *event)
{
    const char *path = path_of(degraded->opened, &event->error);
    const char *what = tresor_degradation_name(event->flags);
    const char *why = reason_of(&event->error);
    if (!degraded->list) {
        fputs("tresor: warning: ", stderr);
        print_line(stderr, path, what, why);
        return;
    }
    json_array_append_new(degraded->list,
                          json_pack("{s:o, s:s, s:s}", "file",
                                    path ? text_json(path, strlen(path)) : json_null(), "what",
                                    what, "why", why));
}

void degraded_drain(struct degraded *degraded)
{
    struct tresor_event event;
    while (calls_next_event(degraded->opened, &event) == 1) {
        if (event.type == TRESOR_EVENT_DEGRADED)
            degraded_add(degraded, &event);
    }
}

void degraded_print_list(const json_t *list)
{
    size_t index;
    const json_t *entry;
    json_array_foreach(list, index, entry)
        print_line(stdout, json_string_value(json_object_get(entry, "file")),
                   json_string_value(json_object_get(entry, "what")),
                   json_string_value(json_object_get(entry, "why")));
}
