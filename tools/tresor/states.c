/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "exit_codes.h"
#include "options.h"

enum {
    KEY_FORMAT,
};

static const struct option_row rows[] = {
    {KEY_FORMAT, "format", "FORMAT", "table (default), mermaid, dot, markdown or names"},
};

static const struct command_usage usage = {
    .command = "states",
    .operands = "[MACHINE]",
    .about =
        "Print the state machines that move the bytes: all of them, or one. What is printed is\n"
        "made from the tables that the library runs.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

static const struct {
    const char *name;
    states_renderer *print;
} formats[] = {
    {"table", states_print_table}, {"mermaid", states_print_mermaid},
    {"dot", states_print_dot},     {"markdown", states_print_markdown},
    {"names", states_print_names},
};

static states_renderer *take_format(const struct option_reader *reader)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, reader->value) == 0)
            return formats[i].print;
    }
    options_wrong(reader, "--format: '%s' is not table, mermaid, dot, markdown or names",
                  reader->value);
    return NULL;
}

void states_print_names(uint32_t first, uint32_t count)
{
    struct tresor_machine_info info;
    for (uint32_t i = first; i < first + count && tresor_machine_info(i, &info); i++)
        puts(info.name);
}

static int refuse_machine(const struct option_reader *reader, const char *name)
{
    struct tresor_machine_info info;
    char names[1024] = "";
    size_t length = 0;
    for (uint32_t i = 0; tresor_machine_info(i, &info) && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "",
                                   info.name);
    return options_wrong(reader, "there is no machine '%s', but %s", name, names);
}

static int print(const struct option_reader *reader, states_renderer *render)
{
    struct tresor_machine_info info;
    if (reader->operand_count > 1)
        return options_wrong(reader, "more than one MACHINE was given");
    if (reader->operand_count == 0) {
        render(0, tresor_machine_count());
        return TOOL_DONE;
    }
    for (uint32_t i = 0; tresor_machine_info(i, &info); i++) {
        if (strcmp(info.name, reader->operands[0]) == 0) {
            render(i, 1);
            return TOOL_DONE;
        }
    }
    return refuse_machine(reader, reader->operands[0]);
}

int command_states(int argc, char **argv)
{
    struct option_reader reader;
    states_renderer *render = states_print_table;
    options_begin(&reader, &usage, argc, argv);
    int key;
    while ((key = options_next(&reader)) >= 0) {
        render = take_format(&reader);
        if (!render)
            return TOOL_USAGE;
    }
    return key == OPTIONS_STOP ? reader.exit_code : print(&reader, render);
}
