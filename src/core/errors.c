/* SPDX-License-Identifier: MIT */
#include <tresor/error.h>

#include <assert.h>

#define ERROR(name, value, text, advice)                                                           \
    static_assert(TRESOR_ERROR_##name == (value), "errors.def and error.h disagree");
#include "core/errors.def"
#undef ERROR

struct error_row {
    const char *name;
    const char *text;
    const char *advice;
};

static const struct error_row rows[] = {
    {"OK", "no error", "nothing to do"},
#define ERROR(name, value, text, advice) [-(value)] = {#name, text, advice},
#include "core/errors.def"
#undef ERROR
};

static const struct error_row unknown_row = {"UNKNOWN", "unknown error", "check the error's value"};

static const struct error_row *error_row(int32_t code)
{
    const int32_t count = (int32_t)(sizeof rows / sizeof rows[0]);
    return code > 0 || code <= -count ? &unknown_row : &rows[-code];
}

const char *tresor_error_name(int32_t code)
{
    return error_row(code)->name;
}

const char *tresor_error_text(int32_t code)
{
    return error_row(code)->text;
}

const char *tresor_error_advice(int32_t code)
{
    return error_row(code)->advice;
}
