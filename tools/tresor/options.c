/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exit_codes.h"
#include "numbers.h"

/* getopt's own answers are characters; rows start above them. */
#define ROW_FIRST 256
#define HELP_COLUMN 24

void options_begin(struct option_reader *reader, const struct command_usage *usage, int argc,
                   char **argv)
{
    assert(usage->option_count <= OPTIONS_MAX);
    *reader = (struct option_reader){.usage = usage, .argc = argc, .argv = argv};
    for (size_t i = 0; i < usage->option_count; i++) {
        reader->rows[i] = (struct option){
            .name = usage->options[i].name,
            .has_arg = usage->options[i].argument ? required_argument : no_argument,
            .val = ROW_FIRST + (int)i,
        };
    }
    reader->rows[usage->option_count] = (struct option){.name = "help", .val = 'h'};
    optind = 1;
    opterr = 0;
}

static void print_row(const char *name, const char *argument, const char *help)
{
    int width = printf("  --%s%s%s", name, argument ? " " : "", argument ? argument : "");
    if (width >= HELP_COLUMN) {
        putchar('\n');
        width = 0;
    }
    for (;;) {
        const size_t line = strcspn(help, "\n");
        printf("%*s%.*s\n", HELP_COLUMN - width, "", (int)line, help);
        if (!help[line])
            return;
        help += line + 1;
        width = 0;
    }
}

static void print_help(const struct command_usage *usage)
{
    printf("Usage: tresor %s [OPTIONS] %s\n\n%s\n\nOptions:\n", usage->command, usage->operands,
           usage->about);
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct option_row *row = &usage->options[i];
        print_row(row->name, row->argument, row->help);
    }
    print_row("help", NULL, "print this and exit");
}

int options_wrong(const struct option_reader *reader, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "tresor %s: ", reader->usage->command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "; try 'tresor %s --help'\n", reader->usage->command);
    return TOOL_USAGE;
}

/** Say what getopt refused: optopt has a short option or a row, an unknown long one is in argv. */
static int refuse_option(const struct option_reader *reader)
{
    if (optopt >= ROW_FIRST || (optopt == 'h' && strncmp(reader->argv[optind - 1], "--", 2) == 0))
        return options_wrong(reader, "option '%s' takes no argument", reader->argv[optind - 1]);
    if (optopt)
        return options_wrong(reader, "unknown option '-%c'", optopt);
    return options_wrong(reader, "unknown or ambiguous option '%s'", reader->argv[optind - 1]);
}

static int stop(struct option_reader *reader, int exit_code)
{
    reader->exit_code = exit_code;
    return OPTIONS_STOP;
}

int options_next(struct option_reader *reader)
{
    const int found = getopt_long(reader->argc, reader->argv, ":h", reader->rows, NULL);
    switch (found) {
    case -1:
        reader->operands = reader->argv + optind;
        reader->operand_count = reader->argc - optind;
        return OPTIONS_END;
    case 'h':
        print_help(reader->usage);
        return stop(reader, TOOL_DONE);
    case ':':
        return stop(reader, options_wrong(reader, "option '%s' needs an argument",
                                          reader->argv[optind - 1]));
    case '?':
        return stop(reader, refuse_option(reader));
    default:
        reader->name = reader->usage->options[found - ROW_FIRST].name;
        reader->value = optarg;
        return reader->usage->options[found - ROW_FIRST].key;
    }
}

bool options_size(const struct option_reader *reader, uint64_t least, uint64_t most,
                  uint64_t *size_bytes)
{
    uint64_t parsed;
    if (!parse_size(reader->value, &parsed)) {
        options_wrong(reader, "--%s: '%s' is not a size like 65536, 64K, 256M or 1.5G",
                      reader->name, reader->value);
        return false;
    }
    if (parsed < least || parsed > most) {
        options_wrong(reader, "--%s: %s is not from %" PRIu64 " to %" PRIu64 " bytes", reader->name,
                      reader->value, least, most);
        return false;
    }
    *size_bytes = parsed;
    return true;
}

bool options_u64(const struct option_reader *reader, uint64_t least, uint64_t most, uint64_t *value)
{
    uint64_t parsed;
    if (!parse_u64(reader->value, &parsed) || parsed < least || parsed > most) {
        options_wrong(reader, "--%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64,
                      reader->name, reader->value, least, most);
        return false;
    }
    *value = parsed;
    return true;
}

bool options_u32(const struct option_reader *reader, uint32_t least, uint32_t most, uint32_t *value)
{
    uint64_t parsed;
    if (!options_u64(reader, least, most, &parsed))
        return false;
    *value = (uint32_t)parsed;
    return true;
}
