/* SPDX-License-Identifier: MIT */
#include "opened.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "clock.h"
#include "recorder.h"
#include "text.h"

struct tresor_error error_of_code(int32_t code)
{
    return (struct tresor_error){.code = code, .file = TRESOR_NONE, .tensor = TRESOR_NONE};
}

static int32_t open_source(struct opened *opened, const struct model_place *place)
{
    struct tresor_request request;
    int32_t code = calls_open(opened, place, &opened->source, &request);
    if (code != TRESOR_OK)
        return code;
    struct tresor_event event = {0};
    code = calls_finish(opened, request, &event);
    if (code != TRESOR_OK && event.error.code == code)
        opened->error = event.error;
    return code;
}

bool opened_begin(struct opened *opened, const struct model_place *place,
                  const struct tresor_context_options *options, struct recorder *recorder)
{
    *opened = (struct opened){
        .path = place->path, .recorder = recorder, .error = error_of_code(TRESOR_OK)};
    opened->info.size_bytes = sizeof opened->info;
    int32_t code = recorder ? recorder_create(recorder, options, &opened->context)
                            : tresor_context_create(options, &opened->context);
    const uint64_t processor_before_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t start_ns = clock_ns();
    if (code == TRESOR_OK)
        code = open_source(opened, place);
    opened->open_ns = clock_ns() - start_ns;
    opened->processor_ns = clock_of_ns(CLOCK_PROCESS_CPUTIME_ID) - processor_before_ns;
    if (code == TRESOR_OK)
        code = tresor_source_get_info(opened->context, opened->source, &opened->info);
    opened->is_open = code == TRESOR_OK;
    if (code != TRESOR_OK && opened->error.code != code)
        opened->error = error_of_code(code);
    return opened->is_open;
}

bool opened_is_mappable(const struct opened *opened)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    return tresor_source_get_file(opened->context, opened->source, 0, &info) == TRESOR_OK &&
           info.is_mappable;
}

bool opened_is_compressed(const struct opened *opened)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    for (uint32_t i = 0; i < opened->info.file_count; i++)
        if (tresor_source_get_file(opened->context, opened->source, i, &info) == TRESOR_OK &&
            info.compression != TRESOR_COMPRESSION_NONE)
            return true;
    return false;
}

void opened_end(struct opened *opened)
{
    struct tresor_request request;
    struct tresor_event event;
    if (!opened->context)
        return;
    if (opened->is_open && calls_close(opened, &request) == TRESOR_OK)
        calls_finish(opened, request, &event);
    while (calls_next_event(opened, &event) == 1)
        continue;
    const int32_t code = calls_destroy(opened);
    if (code != TRESOR_OK)
        fprintf(stderr, "tresor: cannot end: %s\n", tresor_error_text(code));
}

static char *line_of_context(struct tresor_context *context, const struct tresor_error *error)
{
    const size_t length = tresor_error_format(context, error, NULL, 0);
    char *line = malloc(length + 1);
    if (line)
        tresor_error_format(context, error, line, length + 1);
    return line;
}

char *opened_error_line(const struct opened *opened, const struct tresor_error *error)
{
    char *line = NULL;
    if (!opened->context) {
        if (asprintf(&line, "%s; %s", tresor_error_text(error->code),
                     tresor_error_advice(error->code)) < 0)
            return NULL;
        return line;
    }
    return line_of_context(opened->context, error);
}

void opened_print_error(const struct opened *opened, const struct tresor_error *error)
{
    char *line = opened_error_line(opened, error);
    const char *text = line ? line : tresor_error_text(error->code);
    fputs("tresor: ", stderr);
    /* Names out of a file are in it. */
    text_print(stderr, text, strlen(text), SIZE_MAX);
    putc('\n', stderr);
    free(line);
}
