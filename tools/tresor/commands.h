/* SPDX-License-Identifier: MIT */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

/* Each returns an enum tool_exit. */
#define COMMAND(name, summary) int command_##name(int argc, char **argv);
#include "commands.def"
#undef COMMAND

#endif
