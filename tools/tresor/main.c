/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <tresor/version.h>

#include "commands.h"
#include "exit_codes.h"

#define TEXT_OF(value) #value
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND(name, summary) {#name, summary, command_##name},
#include "commands.def"
#undef COMMAND
};
static const size_t command_count = sizeof commands / sizeof commands[0];

static void print_help(FILE *stream)
{
    fputs("Usage: tresor COMMAND [OPTIONS] [ARGUMENTS]\n"
          "       tresor COMMAND --help\n"
          "       tresor --version\n"
          "\n"
          "Move tensor bytes between storage and memory.\n"
          "\n"
          "Commands:\n",
          stream);
    for (size_t i = 0; i < command_count; i++)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream, "  %-10s %s\n", "help", "explain the tool or one of its commands");
    fputs("\n"
          "Exit codes: 0 done, 1 some tensors failed, or a replay differs, 2 wrong usage,\n"
          "3 bad file.\n",
          stream);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    fprintf(stderr, "tresor: unknown %s '%s'; try 'tresor --help'\n",
            name[0] == '-' ? "option" : "command", name);
    return NULL;
}

static int refuse_argument(const char *after, const char *argument)
{
    fprintf(stderr, "tresor: unexpected argument '%s' after '%s'; try 'tresor --help'\n", argument,
            after);
    return TOOL_USAGE;
}

static int help(int argc, char **argv)
{
    if (argc > 2)
        return refuse_argument(argv[1], argv[2]);
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return TOOL_DONE;
    }
    const struct command *command = find_command(argv[1]);
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return command ? command->run(2, arguments) : TOOL_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        if (argc > 2)
            return refuse_argument(argv[1], argv[2]);
        print_help(stdout);
        return TOOL_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (argc > 2)
            return refuse_argument(argv[1], argv[2]);
        puts("tresor " VERSION_TEXT(TRESOR_VERSION_MAJOR, TRESOR_VERSION_MINOR,
                                    TRESOR_VERSION_PATCH));
        return TOOL_DONE;
    }
    const struct command *command = find_command(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : TOOL_USAGE;
}

int main(int argc, char **argv)
{
    /* A reader that has gone shall be an error of the write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    const int code = run(argc, argv);
    /* What could not be printed is not done, though every step before it went well. */
    const bool has_failed = ferror(stdout);
    if (fflush(stdout) == 0 && !has_failed)
        return code;
    fprintf(stderr, "tresor: cannot write to the standard output%s%s\n", has_failed ? "" : ": ",
            has_failed ? "" : strerror(errno));
    return code == TOOL_DONE ? TOOL_BAD_FILE : code;
}
