/* SPDX-License-Identifier: MIT */
#include "platform/available.h"

#include <errno.h>
#include <string.h>

#include "platform/cgroup.h"

/* "MemAvailable:   12345 kB", a line of its own, of proc(5). */
static int64_t read_machine(const struct tresor__sys *sys, char *text, uint64_t *bytes)
{
    static const char key[] = "\nMemAvailable:";
    uint64_t kibibytes;
    int64_t length = sys->read_text(sys->cookie, "/proc/meminfo", text, TRESOR__CGROUP_TEXT_BYTES - 1);
    if (length < 0)
        return length;
    text[length] = '\0';
    const char *line = strstr(text, key);
    if (!line)
        return -ENOSYS;
    const char *digits = line + sizeof key - 1;
    digits += strspn(digits, " ");
    size_t count = strspn(digits, "0123456789");
    if (tresor__cgroup_parse(digits, count, &kibibytes) < 0 || kibibytes > UINT64_MAX / 1024 ||
        strncmp(digits + count, " kB\n", 4) != 0)
        return -EINVAL;
    *bytes = kibibytes * 1024;
    return 0;
}

static uint64_t room_in(const struct tresor__sys *sys, const struct tresor__cgroup *group, char *text)
{
    uint64_t room = UINT64_MAX;
    if (group->version == TRESOR__CGROUP_NONE || tresor__cgroup_room(sys, group, text, &room) < 0)
        return UINT64_MAX;
    return room;
}

int64_t tresor__available_bytes(const struct tresor__sys *sys, char *text, uint64_t *bytes)
{
    struct tresor__cgroups groups;
    uint64_t least = UINT64_MAX;
    int64_t result = read_machine(sys, text, &least);
    tresor__cgroups_find(sys, text, &groups);
    uint64_t older = room_in(sys, &groups.memory, text);
    uint64_t unified = room_in(sys, &groups.unified, text);
    least = older < least ? older : least;
    least = unified < least ? unified : least;
    if (least == UINT64_MAX)
        return result < 0 ? result : -ENOSYS;
    *bytes = least;
    return 0;
}
