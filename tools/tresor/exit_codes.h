/* SPDX-License-Identifier: MIT */
#ifndef TOOL_EXIT_CODES_H
#define TOOL_EXIT_CODES_H

/** What the tool's process returns; scripts rely on the values. */
enum tool_exit {
    TOOL_DONE = 0,
    TOOL_SOME_FAILED = 1, /* some tensors could not be had, or a replay differs */
    TOOL_USAGE = 2,       /* the command line is wrong */
    TOOL_BAD_FILE = 3,    /* a file could not be read or written, or is not what it should be */
};

#endif
