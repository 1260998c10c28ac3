/* SPDX-License-Identifier: MIT */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chrome.h"
#include "commands.h"
#include "exit_codes.h"
#include "options.h"
#include "text.h"

#define TEXT_COLUMNS_MAX 1000

enum {
    KEY_STEPS,
    KEY_CHROME,
};

static const struct option_row rows[] = {
    {KEY_STEPS, "steps", NULL, "print the line of every step that is the same"},
    {KEY_CHROME, "chrome", "OUT",
     "write what the trace tells as JSON for chrome://tracing or\n"
     "Perfetto: what each machine was in, and each effect; times\n"
     "are those of --trace-times, without them lines"},
};

static const struct command_usage usage = {
    .command = "replay",
    .operands = "FILE",
    .about = "Take the steps of a trace of 'tresor load --trace FILE' again, without the model:\n"
             "the same calls are made, and the same completions come. Every step and every\n"
             "effect must be the same, byte for byte. A trace of another version is an error,\n"
             "and so is one that is cut or damaged.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

struct replay_options {
    const char *path;
    const char *chrome_path;
    bool prints_steps;
};

static int fail(const char *verb, const char *path, const char *why)
{
    fprintf(stderr, "tresor: cannot %s '", verb);
    text_print(stderr, path, strlen(path), SIZE_MAX);
    fprintf(stderr, "': %s\n", why);
    return TOOL_BAD_FILE;
}

/** All of the file, to be freed; NULL with errno. */
static char *read_all(FILE *file, size_t *size_bytes)
{
    size_t capacity = 65536;
    char *bytes = malloc(capacity);
    *size_bytes = 0;
    while (bytes) {
        *size_bytes += fread(bytes + *size_bytes, 1, capacity - *size_bytes, file);
        if (*size_bytes < capacity)
            break;
        char *grown = realloc(bytes, 2 * capacity);
        if (!grown)
            free(bytes);
        bytes = grown;
        capacity *= 2;
    }
    if (bytes && ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}

static void print_text(const char *what, const char *text)
{
    if (!text)
        return;
    fprintf(stderr, "  %s: ", what);
    text_print(stderr, text, strlen(text), TEXT_COLUMNS_MAX);
    putc('\n', stderr);
}

static int take_steps(const struct replay_options *options, const char *bytes, size_t size_bytes)
{
    struct replay_result result;
    const bool is_same =
        replay_run(bytes, size_bytes, options->prints_steps ? stdout : NULL, &result);
    if (!is_same) {
        fprintf(stderr, "tresor: ");
        text_print(stderr, options->path, strlen(options->path), SIZE_MAX);
        fprintf(stderr, ": line %" PRIu64 ": %s\n", result.line, result.why);
        print_text("recorded", result.recorded);
        print_text("replayed", result.replayed);
    } else if (!options->prints_steps) {
        text_print(stdout, options->path, strlen(options->path), SIZE_MAX);
        printf(": the same %" PRIu64 " steps of %" PRIu64 " calls and %" PRIu64 " completions\n",
               result.steps, result.calls, result.answers);
    }
    replay_result_free(&result);
    return is_same ? TOOL_DONE : TOOL_SOME_FAILED;
}

/** Written though the steps may turn out to differ: it shows what was recorded. */
static int export(const struct replay_options *options, const char *bytes, size_t size_bytes)
{
    if (!options->chrome_path)
        return TOOL_DONE;
    errno = 0;
    return chrome_write(options->chrome_path, options->path, bytes, size_bytes)
               ? TOOL_DONE
               : fail("write", options->chrome_path, strerror(errno));
}

static int replay(const struct replay_options *options, const char *bytes, size_t size_bytes)
{
    struct trace_complaint complaint;
    if (!trace_check(bytes, size_bytes, &complaint)) {
        fprintf(stderr, "tresor: ");
        text_print(stderr, options->path, strlen(options->path), SIZE_MAX);
        fprintf(stderr, ": line %" PRIu64 ": %s\n", complaint.line, complaint.text);
        return TOOL_BAD_FILE;
    }
    const int code = export(options, bytes, size_bytes);
    return code == TOOL_DONE ? take_steps(options, bytes, size_bytes) : code;
}

static int replay_file(const struct replay_options *options)
{
    FILE *file = fopen(options->path, "rbe");
    size_t size_bytes = 0;
    if (!file)
        return fail("read", options->path, strerror(errno));
    char *bytes = read_all(file, &size_bytes);
    const int error = errno;
    fclose(file);
    const int code =
        bytes ? replay(options, bytes, size_bytes) : fail("read", options->path, strerror(error));
    free(bytes);
    return code;
}

int command_replay(int argc, char **argv)
{
    struct option_reader reader;
    struct replay_options options = {0};
    int key;
    options_begin(&reader, &usage, argc, argv);
    while ((key = options_next(&reader)) >= 0) {
        if (key == KEY_STEPS)
            options.prints_steps = true;
        else
            options.chrome_path = reader.value;
    }
    if (key == OPTIONS_STOP)
        return reader.exit_code;
    if (reader.operand_count != 1 || !*reader.operands[0])
        return options_wrong(&reader, reader.operand_count > 1 ? "more than one FILE was given"
                                                               : "FILE, the trace, is missing");
    options.path = reader.operands[0];
    return replay_file(&options);
}
