/* SPDX-License-Identifier: MIT */
#include "numbers.h"

#include <stddef.h>

/* More digits than a size needs, and so few that the fraction times 2^40 fits in 64 bits. */
#define FRACTION_DIGITS_MAX 6

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** Digits from `*text` on, at least one; `*text` is moved past them. */
static bool take_digits(const char **text, uint64_t *value)
{
    if (!is_digit(**text))
        return false;
    uint64_t sum = 0;
    for (; is_digit(**text); ++*text) {
        const uint64_t digit = (uint64_t)(**text - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool parse_u64(const char *text, uint64_t *value)
{
    return take_digits(&text, value) && *text == '\0';
}

static int hexadecimal_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool parse_mask(const char *text, uint64_t *mask)
{
    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
        return parse_u64(text, mask);
    uint64_t sum = 0;
    text += 2;
    do {
        const int digit = hexadecimal_digit(*text);
        if (digit < 0 || sum >> 60 != 0)
            return false;
        sum = sum << 4 | (uint64_t)digit;
    } while (*++text);
    *mask = sum;
    return true;
}

/** The shift of a unit letter; 0 if it is none. */
static unsigned unit_shift(char letter)
{
    switch (letter) {
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    case 'T':
    case 't':
        return 40;
    default:
        return 0;
    }
}

bool parse_size(const char *text, uint64_t *size_bytes)
{
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    if (!take_digits(&text, &whole))
        return false;
    if (*text == '.') {
        const char *digits = ++text;
        if (!take_digits(&text, &fraction) || text - digits > FRACTION_DIGITS_MAX)
            return false;
        for (ptrdiff_t i = 0; i < text - digits; i++)
            scale *= 10;
    }
    const unsigned shift = unit_shift(*text);
    if (shift)
        text++;
    if (*text != '\0' || (scale > 1 && !shift))
        return false;
    const uint64_t part = (fraction << shift) / scale;
    if (whole > (UINT64_MAX - part) >> shift)
        return false;
    *size_bytes = (whole << shift) + part;
    return true;
}
