/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include "commands.h"
#include "exit_codes.h"
#include "model_options.h"
#include "options.h"

enum {
    KEY_JSON,
};

static const struct option_row rows[] = {
    MODEL_OPTIONS_PLACE,
    {KEY_JSON, "json", NULL, "print one JSON object"},
};

static const struct command_usage usage = {
    .command = "inspect",
    .operands = "FILE",
    .about = "Print what a model's header says: its files, metadata and tensors.\n"
             "\n"
             "In JSON, offsets are from the start of a tensor's file, and sizes are in bytes. "
             "Arrays of\n"
             "more than 16 elements are {\"type\", \"count\"}. Integers above 2^63-1 are strings "
             "of digits,\n"
             "floats that are not finite are \"NaN\", \"Infinity\" or \"-Infinity\", and bytes "
             "that are not\n"
             "UTF-8 become U+FFFD. In text they become \\xNN.",
    .options = rows,
    .option_count = sizeof rows / sizeof rows[0],
};

static int inspect(const struct model_place *place, bool is_json)
{
    struct opened opened;
    struct tresor_error error;
    if (opened_begin(&opened, place, NULL, NULL))
        error = error_of_code(is_json ? inspect_print_json(&opened) : inspect_print_text(&opened));
    else
        error = opened.error;
    if (error.code != TRESOR_OK)
        opened_print_error(&opened, &error);
    opened_end(&opened);
    return error.code == TRESOR_OK ? TOOL_DONE : TOOL_BAD_FILE;
}

int command_inspect(int argc, char **argv)
{
    struct option_reader reader;
    struct model_options options = {0};
    bool is_json = false;
    options_begin(&reader, &usage, argc, argv);
    int key;
    while ((key = options_next(&reader)) >= 0) {
        is_json = is_json || key == KEY_JSON;
        if (key != KEY_JSON && !model_options_take_place(&reader, key, &options))
            return TOOL_USAGE;
    }
    if (key == OPTIONS_STOP)
        return reader.exit_code;
    return model_options_take_path(&reader, &options) ? inspect(&options.place, is_json)
                                                      : TOOL_USAGE;
}
