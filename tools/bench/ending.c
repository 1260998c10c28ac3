/* SPDX-License-Identifier: MIT */
#include "ending.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "measure.h"

static void (*undos[ENDINGS_MAX])(void);
static volatile sig_atomic_t undo_count;
static pid_t owner;

static void undo_all(void)
{
    if (getpid() != owner)
        return;
    for (int i = undo_count; i-- > 0;)
        undos[i]();
}

static void undo_and_end(int number)
{
    undo_all();
    raise(number); /* its handler was reset when it was called */
}

static void undo_whatever_comes(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};
    struct sigaction action = {.sa_handler = undo_and_end, .sa_flags = (int)SA_RESETHAND};
    owner = getpid();
    atexit(undo_all);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

void ending_add(void (*undo)(void))
{
    for (int i = 0; i < undo_count; i++)
        if (undos[i] == undo)
            return;
    if (undo_count == ENDINGS_MAX)
        give_up("too much to undo");
    if (undo_count == 0)
        undo_whatever_comes();
    undos[undo_count] = undo;
    undo_count++;
}
