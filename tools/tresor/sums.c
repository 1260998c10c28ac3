/* SPDX-License-Identifier: MIT */
#include "sums.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS = 16, /* of half a digest */
    NAME_AT = 2 * DIGITS + 2,
};

#define FILE_BYTES_MAX ((size_t)1 << 30)

/* --- writing --- */

void sums_print_header(FILE *stream)
{
    fputs(SUMS_HEADER "\n", stream);
}

/** What would end a line, or be obeyed by a terminal. */
static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte != 0x7f && byte != '\\';
}

void sums_print(FILE *stream, const struct tresor_digest *digest, const char *name,
                size_t name_bytes)
{
    fprintf(stream, "%016" PRIx64 "%016" PRIx64 "  ", digest->high, digest->low);
    for (size_t i = 0; i < name_bytes; i++) {
        const unsigned char byte = (unsigned char)name[i];
        if (is_plain(byte))
            putc(byte, stream);
        else
            fprintf(stream, "\\x%02x", byte);
    }
    putc('\n', stream);
}

/* --- reading --- */

static bool fail(struct sums_error *error, size_t line, const char *text)
{
    *error = (struct sums_error){.line = line, .text = text};
    return false;
}

static int digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool take_half(const char *text, uint64_t *half)
{
    *half = 0;
    for (int i = 0; i < DIGITS; i++) {
        const int digit = digit_of(text[i]);
        if (digit < 0)
            return false;
        *half = *half << 4 | (uint64_t)digit;
    }
    return true;
}

/** In place: an escape is longer than what it stands for. Only what is written escaped may be. */
static bool unescape(char *text, size_t length, size_t *name_bytes)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_plain((unsigned char)text[i])) {
            text[written++] = text[i];
            continue;
        }
        const bool is_escape = text[i] == '\\' && length - i >= 4 && text[i + 1] == 'x';
        const int high = is_escape ? digit_of(text[i + 2]) : -1;
        const int low = is_escape ? digit_of(text[i + 3]) : -1;
        if (high < 0 || low < 0 || is_plain((unsigned char)(high << 4 | low)))
            return false;
        text[written++] = (char)(high << 4 | low);
        i += 3;
    }
    *name_bytes = written;
    return true;
}

static bool parse_line(char *text, size_t length, struct sum *sum, struct sums_error *error)
{
    if (length < NAME_AT || !take_half(text, &sum->digest.high) ||
        !take_half(text + DIGITS, &sum->digest.low))
        return fail(error, sum->line, "it does not begin with 32 hexadecimal digits in lower case");
    if (text[2 * DIGITS] != ' ' || text[2 * DIGITS + 1] != ' ')
        return fail(error, sum->line, "there are no two spaces behind the digest");
    sum->name = text + NAME_AT;
    if (!unescape(sum->name, length - NAME_AT, &sum->name_bytes))
        return fail(error, sum->line, "the name is not escaped as it should be");
    return true;
}

static int compare_names(const char *one, size_t one_bytes, const char *other, size_t other_bytes)
{
    const size_t common = one_bytes < other_bytes ? one_bytes : other_bytes;
    const int order = common > 0 ? memcmp(one, other, common) : 0;
    return order != 0 ? order : (one_bytes > other_bytes) - (one_bytes < other_bytes);
}

static int compare(const void *one, const void *other)
{
    const struct sum *left = one;
    const struct sum *right = other;
    const int order = compare_names(left->name, left->name_bytes, right->name, right->name_bytes);
    return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

/** The first line that names what one before it does. */
static bool check_names(const struct sums *sums, struct sums_error *error)
{
    size_t line = 0;
    for (size_t i = 1; i < sums->count; i++) {
        const struct sum *before = &sums->list[i - 1];
        const struct sum *sum = &sums->list[i];
        if (compare_names(before->name, before->name_bytes, sum->name, sum->name_bytes) == 0 &&
            (line == 0 || sum->line < line))
            line = sum->line;
    }
    return line == 0 || fail(error, line, "the tensor was named before");
}

static size_t count_lines(const char *bytes, size_t size_bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < size_bytes; i++)
        count += bytes[i] == '\n';
    return count;
}

static bool parse_lines(char *text, char *end, struct sums *sums, struct sums_error *error)
{
    for (size_t line = 2; text < end; line++) {
        char *stop = memchr(text, '\n', (size_t)(end - text));
        struct sum *sum = &sums->list[sums->count];
        if (!stop)
            return fail(error, line, "the line has no end: the file is cut off");
        *sum = (struct sum){.line = line};
        if (!parse_line(text, (size_t)(stop - text), sum, error))
            return false;
        sums->count++;
        text = stop + 1;
    }
    return true;
}

bool sums_parse(char *bytes, size_t size_bytes, struct sums *sums, struct sums_error *error)
{
    const size_t header_bytes = strlen(SUMS_HEADER "\n");
    *sums = (struct sums){.bytes = bytes};
    if (size_bytes < header_bytes || memcmp(bytes, SUMS_HEADER "\n", header_bytes) != 0)
        return fail(error, 1, "it is not '" SUMS_HEADER "'");
    sums->list = calloc(count_lines(bytes, size_bytes) + 1, sizeof *sums->list);
    if (!sums->list)
        return fail(error, 0, "out of memory");
    if (!parse_lines(bytes + header_bytes, bytes + size_bytes, sums, error))
        return false;
    qsort(sums->list, sums->count, sizeof *sums->list, compare);
    return check_names(sums, error);
}

/** All of a stream, malloc's; NULL after `error`. */
static char *read_all(FILE *stream, size_t *size_bytes, struct sums_error *error)
{
    size_t capacity = 0;
    char *bytes = NULL;
    *size_bytes = 0;
    do {
        capacity = capacity > 0 ? 2 * capacity : 65536;
        char *larger = capacity <= FILE_BYTES_MAX ? realloc(bytes, capacity) : NULL;
        if (!larger) {
            free(bytes);
            fail(error, 0, capacity <= FILE_BYTES_MAX ? "out of memory" : "the file is too large");
            return NULL;
        }
        bytes = larger;
        *size_bytes += fread(bytes + *size_bytes, 1, capacity - *size_bytes, stream);
    } while (*size_bytes == capacity);
    if (!ferror(stream))
        return bytes;
    fail(error, 0, strerror(errno));
    free(bytes);
    return NULL;
}

bool sums_read(const char *path, struct sums *sums, struct sums_error *error)
{
    size_t size_bytes = 0;
    *sums = (struct sums){0};
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return fail(error, 0, strerror(errno));
    char *bytes = read_all(stream, &size_bytes, error);
    fclose(stream);
    return bytes && sums_parse(bytes, size_bytes, sums, error);
}

/* --- looking up --- */

const struct sum *sums_take(struct sums *sums, const char *name, size_t name_bytes)
{
    size_t low = 0;
    size_t high = sums->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        struct sum *sum = &sums->list[middle];
        const int order = compare_names(sum->name, sum->name_bytes, name, name_bytes);
        if (order == 0) {
            sum->is_used = true;
            return sum;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t sums_first_unused(const struct sums *sums)
{
    size_t line = 0;
    for (size_t i = 0; i < sums->count; i++)
        if (!sums->list[i].is_used && (line == 0 || sums->list[i].line < line))
            line = sums->list[i].line;
    return line;
}

void sums_free(struct sums *sums)
{
    free(sums->list);
    free(sums->bytes);
    *sums = (struct sums){0};
}
