/* SPDX-License-Identifier: MIT */
#include "support/told_seed.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *told_words = "";
static volatile uint64_t running; /* the seed, or 0 */

/* Also within a signal, so without stdio. */
static void tell_seed(void)
{
    char digits[21];
    size_t at = sizeof digits;
    digits[--at] = '\n';
    for (uint64_t rest = running; rest > 0; rest /= 10)
        digits[--at] = (char)('0' + rest % 10);
    ssize_t written = write(STDOUT_FILENO, "# ", 2);
    written = write(STDOUT_FILENO, told_words, strlen(told_words));
    written = write(STDOUT_FILENO, digits + at, sizeof digits - at);
    (void)written;
}

static void on_signal(int number)
{
    if (running)
        tell_seed();
    signal(number, SIG_DFL);
    raise(number);
}

/* So that what the sanitizer finds is an abort, and the seed is told. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

void told_seed_watch(const char *words)
{
    told_words = words;
    signal(SIGABRT, on_signal);
    signal(SIGTERM, on_signal);
}

void told_seed_begin(uint64_t seed)
{
    running = seed;
}

void told_seed_end(void)
{
    running = 0;
}

int told_seed_teardown(void **state)
{
    (void)state;
    if (running)
        tell_seed();
    running = 0;
    return 0;
}
