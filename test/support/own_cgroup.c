/* SPDX-License-Identifier: MIT */
#include "support/own_cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool own_cgroup_make(struct own_cgroup *own)
{
    static char text[TRESOR__CGROUP_TEXT_BYTES];
    static struct tresor__cgroups groups;
    struct tresor__cgroup *group = &own->group;
    char folder[TRESOR__CGROUP_PATH_BYTES];
    own->is_made = false;
    tresor__cgroups_find(tresor__sys_posix(), text, &groups);
    *group = groups.memory.version != TRESOR__CGROUP_NONE ? groups.memory : groups.unified;
    if (group->version == TRESOR__CGROUP_NONE)
        return false;
    int length = snprintf(folder, sizeof folder, "%.*s/tresor_test_%d", (int)group->folder_bytes,
                          group->folder, (int)getpid());
    if (length >= (int)sizeof folder || mkdir(folder, 0700) != 0)
        return false;
    memcpy(group->folder, folder, (size_t)length + 1);
    group->folder_bytes = (uint32_t)length;
    own->is_made = true;
    return true;
}

bool own_cgroup_remove(struct own_cgroup *own)
{
    if (own->is_made)
        own->is_made = rmdir(own->group.folder) != 0;
    return !own->is_made;
}

static bool path_of(const struct own_cgroup *own, const char *old_name, const char *new_name,
                    char *path)
{
    const char *name = own->group.version == TRESOR__CGROUP_V1 ? old_name : new_name;
    return tresor__cgroup_path(&own->group, own->group.folder_bytes, name, path);
}

bool own_cgroup_write(const struct own_cgroup *own, const char *old_name, const char *new_name,
                      const char *text)
{
    char path[TRESOR__CGROUP_PATH_BYTES];
    int descriptor =
        path_of(own, old_name, new_name, path) ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return false;
    bool is_written = write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    close(descriptor);
    return is_written;
}

bool own_cgroup_enter(const struct own_cgroup *own)
{
    return own_cgroup_write(own, "cgroup.procs", "cgroup.procs", "0");
}

static bool number_in(const struct own_cgroup *own, const char *old_name, const char *new_name,
                      uint64_t *number)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    char path[TRESOR__CGROUP_PATH_BYTES];
    char text[32];
    int64_t length = path_of(own, old_name, new_name, path)
                         ? sys->read_text(sys->cookie, path, text, sizeof text)
                         : -1;
    return length >= 0 && tresor__cgroup_parse(text, (size_t)length, number) == 0;
}

bool own_cgroup_used(const struct own_cgroup *own, uint64_t *bytes)
{
    return number_in(own, "memory.usage_in_bytes", "memory.current", bytes);
}

bool own_cgroup_peak(const struct own_cgroup *own, uint64_t *bytes)
{
    return number_in(own, "memory.max_usage_in_bytes", "memory.peak", bytes);
}
