/* SPDX-License-Identifier: MIT */
/*
 * Control groups: where this process's are, and what memory the system lets them have. Both hierarchies are known: the
 * older one of the memory controller (v1) and the unified one (v2). All is read as text, strictly.
 */
#ifndef TRESOR_PLATFORM_CGROUP_H
#define TRESOR_PLATFORM_CGROUP_H

#include "core/facts.h"
#include "platform/sys.h"

enum {
    TRESOR__CGROUP_PATH_BYTES = 1024, /* longer ones are not found */
    TRESOR__CGROUP_TEXT_BYTES = 64 * 1024,
};

enum tresor__cgroup_version {
    TRESOR__CGROUP_NONE = 0,
    TRESOR__CGROUP_V1 = 1,
    TRESOR__CGROUP_V2 = 2,
};

/** One group, by its folder. */
struct tresor__cgroup {
    uint32_t version;    /* enum tresor__cgroup_version */
    uint32_t root_bytes; /* so much of the folder is that of its hierarchy, above which nothing limits */
    uint32_t folder_bytes;
    char folder[TRESOR__CGROUP_PATH_BYTES];
};

/** The groups that a process is in. */
struct tresor__cgroups {
    struct tresor__cgroup memory;  /* of v1 */
    struct tresor__cgroup unified; /* of v2 */
};

/** From the text of /proc/self/cgroup, the groups' paths in their hierarchies, as folders; others are NONE. */
void tresor__cgroups_read(struct tresor__cgroups *groups, const char *text, size_t length);

/** From the text of /proc/self/mountinfo, before those folders the places where the hierarchies are mounted. What is not
 * mounted, or only in part that the group is not in, becomes NONE. A last line without its end is left out. */
void tresor__cgroups_locate(struct tresor__cgroups *groups, const char *text, size_t length);

/** Both, of this process, through `text`, TRESOR__CGROUP_TEXT_BYTES of the caller's. */
void tresor__cgroups_find(const struct tresor__sys *sys, char *text, struct tresor__cgroups *groups);

/** A number as these files have it: digits and a newline, or "max", which is UINT64_MAX, as is what no machine has. EINVAL,
 * negative, for anything else. */
int64_t tresor__cgroup_parse(const char *text, size_t length, uint64_t *value);

/**
 * The lowest limit of the group and those above it, and the usage of the one that has it; where none has a limit the group's
 * own usage. `*folder_bytes` is how much of the folder names that one. -errno where the group does not tell, EINVAL where
 * what it tells is not a number.
 */
int64_t tresor__cgroup_measure(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                               struct tresor__pressure_facts *facts, uint32_t *folder_bytes);

/**
 * What the group may still take before the first of its own limit and those above it is reached: the limit less the usage,
 * without the part of the page cache that is idle (inactive_file). UINT64_MAX where nobody has a limit. Through `text` and
 * with errors as above.
 */
int64_t tresor__cgroup_room(const struct tresor__sys *sys, const struct tresor__cgroup *group,
                            char *text, uint64_t *room_bytes);

/** The path of a file in the first `folder_bytes` of the group's folder, into TRESOR__CGROUP_PATH_BYTES; false where it is
 * too long. */
bool tresor__cgroup_path(const struct tresor__cgroup *group, uint32_t folder_bytes,
                         const char *name, char *path);

#endif
