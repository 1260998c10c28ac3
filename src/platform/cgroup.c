/* SPDX-License-Identifier: MIT */
#include "platform/cgroup.h"

#include <errno.h>
#include <string.h>

enum { NUMBER_BYTES = 64 };

#define NO_MACHINE_HAS (UINT64_C(1) << 62)

/* Bytes of a text, without an end of their own. */
struct piece {
    const char *start;
    size_t length;
};

static bool is_equal(struct piece piece, const char *text)
{
    return piece.length == strlen(text) && memcmp(piece.start, text, piece.length) == 0;
}

/* What is before the next `mark`, which is taken too; all that is left where there is none. */
static struct piece take_until(struct piece *rest, char mark)
{
    const char *found = rest->length > 0 ? memchr(rest->start, mark, rest->length) : NULL;
    struct piece taken = {rest->start, found ? (size_t)(found - rest->start) : rest->length};
    size_t used = taken.length + (found ? 1 : 0);
    rest->start += used;
    rest->length -= used;
    return taken;
}

/* False at the end of the text, or in a line that has none. */
static bool take_line(struct piece *rest, struct piece *line)
{
    if (rest->length == 0 || !memchr(rest->start, '\n', rest->length))
        return false;
    *line = take_until(rest, '\n');
    return true;
}

static bool lists(struct piece list, const char *wanted)
{
    while (list.length > 0)
        if (is_equal(take_until(&list, ','), wanted))
            return true;
    return false;
}

/* --- where they are --- */

/* Nothing above the root of a hierarchy can be seen, and a path with dots would leave it. */
static bool is_plain_path(struct piece path)
{
    if (path.length == 0 || path.start[0] != '/' || path.length >= TRESOR__CGROUP_PATH_BYTES)
        return false;
    while (path.length > 0)
        if (is_equal(take_until(&path, '/'), ".."))
            return false;
    return true;
}

static void set_folder(struct tresor__cgroup *group, uint32_t version, struct piece path)
{
    if (group->version != TRESOR__CGROUP_NONE || !is_plain_path(path))
        return;
    if (path.length == 1) /* the root is the mount's own folder */
        path.length = 0;
    memcpy(group->folder, path.start, path.length);
    group->folder_bytes = (uint32_t)path.length;
    group->version = version;
}

/* "4:memory:/path" of cgroups(7); "0::/path" is that of the unified hierarchy. */
void tresor__cgroups_read(struct tresor__cgroups *groups, const char *text, size_t length)
{
    struct piece rest = {text, length};
    struct piece line;
    memset(groups, 0, sizeof *groups);
    while (take_line(&rest, &line)) {
        struct piece number = take_until(&line, ':');
        struct piece controllers = take_until(&line, ':');
        if (is_equal(number, "0") && controllers.length == 0)
            set_folder(&groups->unified, TRESOR__CGROUP_V2, line);
        else if (lists(controllers, "memory"))
            set_folder(&groups->memory, TRESOR__CGROUP_V1, line);
    }
}

static bool is_octal(char digit)
{
    return digit >= '0' && digit <= '7';
}

/* Spaces and the like are written as "\040". -1 where it does not fit. */
static int32_t unescape(struct piece text, char *path)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        const char *at = text.start + i;
        char byte = *at;
        if (byte == '\\' && text.length - i > 3 && is_octal(at[1]) && is_octal(at[2]) &&
            is_octal(at[3])) {
            byte = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 3;
        }
        if (length == TRESOR__CGROUP_PATH_BYTES - 1)
            return -1;
        path[length++] = byte;
    }
    return (int32_t)length;
}

/* The folder's part below what is mounted, behind where it is mounted. */
static void place_folder(struct tresor__cgroup *group, struct piece root, struct piece point)
{
    char path[TRESOR__CGROUP_PATH_BYTES];
    if (group->root_bytes > 0) /* is mounted twice */
        return;
    int32_t length = unescape(root, path);
    if (length == 1 && path[0] == '/')
        length = 0;
    if (length < 0 || (uint32_t)length > group->folder_bytes ||
        memcmp(path, group->folder, (size_t)length) != 0)
        return;
    uint32_t below = group->folder_bytes - (uint32_t)length;
    const char *start = group->folder + length;
    if (below > 0 && *start != '/')
        return;
    length = unescape(point, path);
    if (length <= 0 || (uint32_t)length + below >= TRESOR__CGROUP_PATH_BYTES)
        return;
    memcpy(path + length, start, below);
    group->root_bytes = (uint32_t)length;
    group->folder_bytes = (uint32_t)length + below;
    memcpy(group->folder, path, group->folder_bytes);
}

/* "36 25 0:32 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw" of proc(5): a dash ends what there may be of tags. */
static void place_by_line(struct tresor__cgroups *groups, struct piece line)
{
    enum { ROOT = 3, POINT = 4, FIELDS = 6 };
    struct piece fields[FIELDS];
    for (uint32_t i = 0; i < FIELDS; i++)
        fields[i] = take_until(&line, ' ');
    while (line.length > 0 && !is_equal(take_until(&line, ' '), "-"))
        continue;
    struct piece type = take_until(&line, ' ');
    take_until(&line, ' ');
    if (is_equal(type, "cgroup2"))
        place_folder(&groups->unified, fields[ROOT], fields[POINT]);
    else if (is_equal(type, "cgroup") && lists(line, "memory"))
        place_folder(&groups->memory, fields[ROOT], fields[POINT]);
}

void tresor__cgroups_locate(struct tresor__cgroups *groups, const char *text, size_t length)
{
    struct piece rest = {text, length};
    struct piece line;
    while (take_line(&rest, &line))
        place_by_line(groups, line);
    if (groups->memory.root_bytes == 0)
        groups->memory.version = TRESOR__CGROUP_NONE;
    if (groups->unified.root_bytes == 0)
        groups->unified.version = TRESOR__CGROUP_NONE;
}

void tresor__cgroups_find(const struct tresor__sys *sys, char *text, struct tresor__cgroups *groups)
{
    int64_t length =
        sys->read_text(sys->cookie, "/proc/self/cgroup", text, TRESOR__CGROUP_TEXT_BYTES);
    tresor__cgroups_read(groups, text, length > 0 ? (size_t)length : 0);
    length = sys->read_text(sys->cookie, "/proc/self/mountinfo", text, TRESOR__CGROUP_TEXT_BYTES);
    tresor__cgroups_locate(groups, text, length > 0 ? (size_t)length : 0);
}

/* --- what they may have --- */

int64_t tresor__cgroup_parse(const char *text, size_t length, uint64_t *value)
{
    struct piece digits = {text, length};
    uint64_t sum = 0;
    if (length > 0 && text[length - 1] == '\n')
        digits.length--;
    if (is_equal(digits, "max")) {
        *value = UINT64_MAX;
        return 0;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return -EINVAL;
        sum = sum * 10 + digit;
    }
    *value = sum >= NO_MACHINE_HAS ? UINT64_MAX : sum;
    return digits.length > 0 ? 0 : -EINVAL;
}

bool tresor__cgroup_path(const struct tresor__cgroup *group, uint32_t folder_bytes,
                         const char *name, char *path)
{
    size_t name_bytes = strlen(name) + 1;
    if (folder_bytes + 1 + name_bytes > TRESOR__CGROUP_PATH_BYTES)
        return false;
    memcpy(path, group->folder, folder_bytes);
    path[folder_bytes] = '/';
    memcpy(path + folder_bytes + 1, name, name_bytes);
    return true;
}

static int64_t read_number(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                           uint32_t folder_bytes, const char *name, uint64_t *value)
{
    char path[TRESOR__CGROUP_PATH_BYTES];
    char text[NUMBER_BYTES];
    if (!tresor__cgroup_path(group, folder_bytes, name, path))
        return -ENAMETOOLONG;
    int64_t length = sys->read_text(sys->cookie, path, text, sizeof text);
    if (length < 0)
        return length;
    return length < NUMBER_BYTES ? tresor__cgroup_parse(text, (size_t)length, value) : -EINVAL;
}

/* What one group says for itself. A limit that is not there is none, as in the root of a hierarchy. */
static int64_t measure_one(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                           uint32_t folder_bytes, struct tresor__pressure_facts *facts)
{
    bool is_v2 = group->version == TRESOR__CGROUP_V2;
    const char *const limits[] = {is_v2 ? "memory.max" : "memory.limit_in_bytes", "memory.high"};
    int64_t result = read_number(sys, group, folder_bytes,
                                 is_v2 ? "memory.current" : "memory.usage_in_bytes",
                                 &facts->usage_bytes);
    facts->limit_bytes = UINT64_MAX;
    for (uint32_t i = 0; result == 0 && i < (is_v2 ? 2 : 1); i++) {
        uint64_t limit = UINT64_MAX;
        result = read_number(sys, group, folder_bytes, limits[i], &limit);
        if (result == -ENOENT)
            result = 0;
        if (limit < facts->limit_bytes)
            facts->limit_bytes = limit;
    }
    return result;
}

static bool is_tighter(const struct tresor__pressure_facts *one,
                       const struct tresor__pressure_facts *other)
{
    return one->limit_bytes < other->limit_bytes ||
           (one->limit_bytes == other->limit_bytes && one->limit_bytes != UINT64_MAX &&
            one->usage_bytes > other->usage_bytes);
}

/* The folder above, by its length. */
static uint32_t above_of(const struct tresor__cgroup *group, uint32_t length)
{
    do
        length--;
    while (length > group->root_bytes && group->folder[length] != '/');
    return length;
}

/* Those above may not be there to be seen; what they say must be a number. */
int64_t tresor__cgroup_measure(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                               struct tresor__pressure_facts *facts, uint32_t *folder_bytes)
{
    uint32_t length = group->folder_bytes;
    int64_t result = measure_one(sys, group, length, facts);
    *folder_bytes = length;
    while (result == 0 && length > group->root_bytes) {
        struct tresor__pressure_facts above;
        length = above_of(group, length);
        int64_t told = measure_one(sys, group, length, &above);
        if (told == -EINVAL)
            result = told;
        if (told == 0 && is_tighter(&above, facts)) {
            *facts = above;
            *folder_bytes = length;
        }
    }
    return result;
}

/* "inactive_file 4096" of a group's memory.stat, of those below it too; 0 where it is not told. */
static uint64_t idle_cache(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                           uint32_t folder_bytes, char *text)
{
    const char *name =
        group->version == TRESOR__CGROUP_V2 ? "inactive_file" : "total_inactive_file";
    char path[TRESOR__CGROUP_PATH_BYTES];
    struct piece line;
    if (!tresor__cgroup_path(group, folder_bytes, "memory.stat", path))
        return 0;
    int64_t length = sys->read_text(sys->cookie, path, text, TRESOR__CGROUP_TEXT_BYTES);
    struct piece rest = {text, length > 0 ? (size_t)length : 0};
    while (take_line(&rest, &line)) {
        uint64_t value;
        if (is_equal(take_until(&line, ' '), name))
            return tresor__cgroup_parse(line.start, line.length, &value) == 0 ? value : 0;
    }
    return 0;
}

/* What is cached and idle makes room before anything else does. */
static uint64_t room_of(const struct tresor__pressure_facts *facts, uint64_t idle_bytes)
{
    uint64_t used = facts->usage_bytes > idle_bytes ? facts->usage_bytes - idle_bytes : 0;
    return facts->limit_bytes > used ? facts->limit_bytes - used : 0;
}

int64_t tresor__cgroup_room(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                            char *text, uint64_t *room_bytes)
{
    uint32_t length = group->folder_bytes;
    uint64_t least = UINT64_MAX;
    for (;;) {
        struct tresor__pressure_facts facts;
        int64_t told = measure_one(sys, group, length, &facts);
        if (told == -EINVAL || (told < 0 && length == group->folder_bytes))
            return told;
        if (told == 0 && facts.limit_bytes != UINT64_MAX) {
            uint64_t room = room_of(&facts, idle_cache(sys, group, length, text));
            least = room < least ? room : least;
        }
        if (length <= group->root_bytes)
            break;
        length = above_of(group, length);
    }
    *room_bytes = least;
    return 0;
}
