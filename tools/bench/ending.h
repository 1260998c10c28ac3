/* SPDX-License-Identifier: MIT */
/* What must be undone whichever way the program ends. */
#ifndef TRESOR_BENCH_ENDING_H
#define TRESOR_BENCH_ENDING_H

enum {
    ENDINGS_MAX = 4
};

/** Call this at exit, and at the signals that usually end a program, where it must make do with what is safe in a handler;
 * in this process only, not in its children. Once is enough: it is called whenever there is nothing to undo, too. */
void ending_add(void (*undo)(void));

#endif
