/* SPDX-License-Identifier: MIT */
/*
 * Options of a subcommand. One table makes both the parser and the text of --help, so that they
 * cannot disagree; every subcommand has --help without listing it.
 */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_MAX 32

struct option_row {
    int key; /* what options_next returns; 0 or more */
    const char *name;
    const char *argument; /* as --help shows it; NULL for an option without one */
    const char *help;     /* may have line breaks */
};

struct command_usage {
    const char *command;
    const char *operands; /* as --help shows them, like "FILE..." */
    const char *about;
    const struct option_row *options;
    size_t option_count; /* at most OPTIONS_MAX */
};

enum {
    OPTIONS_END = -1,  /* no more options; the operands are known */
    OPTIONS_STOP = -2, /* help was printed or the usage is wrong: return exit_code */
};

struct option_reader {
    const struct command_usage *usage;
    int argc;
    char **argv;
    const char *name;  /* of the option that was returned last */
    const char *value; /* its argument, NULL without one */
    char **operands;   /* after OPTIONS_END */
    int operand_count;
    int exit_code; /* after OPTIONS_STOP */
    struct option rows[OPTIONS_MAX + 2];
};

/** Start reading; argv[0] is the subcommand's name. One reader at a time: getopt has global state.
 */
void options_begin(struct option_reader *reader, const struct command_usage *usage, int argc,
                   char **argv);

/** The key of the next option, OPTIONS_END or OPTIONS_STOP. */
int options_next(struct option_reader *reader);

/** Say on stderr what is wrong with the usage and how to get help. Returns TOOL_USAGE. */
int options_wrong(const struct option_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The argument of the last option as a value from `least` to `most`; false after options_wrong. */
bool options_size(const struct option_reader *reader, uint64_t least, uint64_t most,
                  uint64_t *size_bytes);
bool options_u64(const struct option_reader *reader, uint64_t least, uint64_t most,
                 uint64_t *value);
bool options_u32(const struct option_reader *reader, uint32_t least, uint32_t most,
                 uint32_t *value);

#endif
