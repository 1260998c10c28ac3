/* SPDX-License-Identifier: MIT */
/* One line on an error, for people. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "context.h"
#include "core/handle.h"

struct line {
    char *buffer;
    size_t size_bytes;
    size_t length; /* of the whole line, whether it fits or not */
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    size_t place = line->length < line->size_bytes ? line->length : line->size_bytes;
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line->buffer ? line->buffer + place : NULL, line->size_bytes - place,
                          format, arguments);
    va_end(arguments);
    if (count > 0)
        line->length += (size_t)count;
}

struct names {
    const char *path;
    const char *tensor;
};

/* Of an open source by its directory; of one that failed to open by what it left behind. */
static struct names names_of(const struct tresor_context *context, const struct tresor_error *error)
{
    struct names names = {0};
    uint32_t index = tresor__handle_source(error->source);
    if (tresor__handle_kind(error->source) != TRESOR__KIND_SOURCE ||
        index >= context->controller.limits.sources)
        return names;
    const struct tresor__slot *slot = &context->controller.slots[index];
    const struct tresor__model *model = &slot->source.model;
    uint32_t generation = tresor__handle_generation(error->source);
    /* In other states a worker may be changing what the names are in. */
    bool is_open = slot->source.state == SOURCE_READY || slot->source.state == SOURCE_DRAINING;
    if (slot->generation == generation && is_open) {
        if (error->file < model->file_total)
            names.path = model->files[error->file].path;
        if (error->tensor < model->directory.entry_count)
            names.tensor =
                model->directory.strings + model->directory.entries[error->tensor].name_offset;
    } else if (slot->generation == tresor__generation_next(generation) &&
               slot->source.state == SOURCE_FREE) {
        names.path = slot->last_path[0] ? slot->last_path : NULL;
        names.tensor = slot->last_tensor[0] ? slot->last_tensor : NULL;
    }
    return names;
}

static void add_numbers(struct line *line, const struct tresor_error *error)
{
    if (error->code == TRESOR_ERROR_LOCK_LIMIT) {
        add(line, ", asked for %llu bytes, %llu are locked", (unsigned long long)error->wanted,
            (unsigned long long)error->offset);
        if (error->got == UINT64_MAX)
            add(line, ", no limit is set");
        else
            add(line, ", the limit is %llu", (unsigned long long)error->got);
        return;
    }
    if (error->code == TRESOR_ERROR_CORRUPT) {
        add(line, ", wanted %016llx..., got %016llx...", (unsigned long long)error->wanted,
            (unsigned long long)error->got);
        return;
    }
    if (error->code == TRESOR_ERROR_NOT_FINITE) {
        add(line, ", at element %llu", (unsigned long long)error->offset);
        return;
    }
    if (error->offset || error->wanted)
        add(line, ", at byte %llu", (unsigned long long)error->offset);
    if (error->wanted)
        add(line, ", wanted %llu, got %llu", (unsigned long long)error->wanted,
            (unsigned long long)error->got);
}

size_t tresor_error_format(struct tresor_context *context, const struct tresor_error *error,
                           char *buffer, size_t size_bytes)
{
    struct line line = {buffer, buffer ? size_bytes : 0, 0};
    if (!error) {
        add(&line, "%s", "");
        return 0;
    }
    struct names names = context ? names_of(context, error) : (struct names){0};
    if (names.path)
        add(&line, "%s: ", names.path);
    if (names.tensor)
        add(&line, "%s: ", names.tensor);
    add(&line, "%s: %s", tresor_error_name(error->code), tresor_error_text(error->code));
    if (error->os_errno)
        add(&line, " (%s)", strerror(error->os_errno));
    add_numbers(&line, error);
    add(&line, "; %s", tresor_error_advice(error->code));
    return line.length;
}
