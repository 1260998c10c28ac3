/* SPDX-License-Identifier: MIT */
#include "backend/nodes.h"

#include <errno.h>

enum {
    NODE_BITS = 64,
    NODE_MAX = 65535, /* more than any kernel is built for */
    TEXT_BYTES = 4096,
};

struct reader {
    const char *at;
    const char *end;
};

/* A number without sign or leading zeros. */
static bool read_number(struct reader *reader, uint32_t *number)
{
    const char *start = reader->at;
    uint32_t value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        value = value * 10 + (uint32_t)(*reader->at++ - '0');
        if (value > NODE_MAX)
            return false;
    }
    *number = value;
    return reader->at > start && (*start != '0' || reader->at == start + 1);
}

static bool take(struct reader *reader, char wanted)
{
    bool found = reader->at < reader->end && *reader->at == wanted;
    reader->at += found;
    return found;
}

/* One node or a range of them, each behind the last one before. */
static bool read_range(struct reader *reader, int64_t *last, uint64_t *mask)
{
    uint32_t from;
    uint32_t to;
    if (!read_number(reader, &from) || (int64_t)from <= *last)
        return false;
    to = from;
    if (take(reader, '-') && (!read_number(reader, &to) || to <= from))
        return false;
    for (uint32_t i = from; i <= to && i < NODE_BITS; i++)
        *mask |= UINT64_C(1) << i;
    *last = to;
    return true;
}

int64_t tresor__nodes_parse(const char *text, size_t length, uint64_t *mask)
{
    struct reader reader = {text, text + length};
    int64_t last = -1;
    *mask = 0;
    do {
        if (!read_range(&reader, &last, mask))
            return -EINVAL;
    } while (take(&reader, ','));
    take(&reader, '\n');
    return reader.at == reader.end ? 0 : -EINVAL;
}

int64_t tresor__nodes_online(const struct tresor__sys *sys, uint64_t *mask)
{
    char text[TEXT_BYTES];
    int64_t length =
        sys->read_text(sys->cookie, "/sys/devices/system/node/online", text, sizeof text);
    return length < 0 ? length : tresor__nodes_parse(text, (size_t)length, mask);
}
