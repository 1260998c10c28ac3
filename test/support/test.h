/* SPDX-License-Identifier: MIT */
/* What every cmocka program needs; cmocka.h wants the four before it, in this order. */
#ifndef TEST_SUPPORT_TEST_H
#define TEST_SUPPORT_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include <tresor/error.h>

/** Like assert_int_equal on two error codes, but a failure shows their names. */
#define assert_error(got, wanted)                                                                  \
    assert_string_equal(tresor_error_name(got), tresor_error_name(wanted))

/** What main returns after this: the whole program is skipped, with a reason that tools/check shows. */
static inline int skip_program(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    return 0;
}

#endif
