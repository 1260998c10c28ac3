/* SPDX-License-Identifier: MIT */
#include "backend/watch.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <tresor/error.h>
#include <tresor/pressure.h>

#include "backend/actor.h"
#include "platform/cgroup.h"

enum {
    CONTROL = 0, /* its place among what is slept on: the bell that ends a sleep */
    PLACES_MAX = 6,
    INTERRUPTS_MAX = 16, /* in a row */
};

/* Somebody has waited for memory for 150 ms within 2 s, the shortest window that takes no rights. */
#define STALL_TRIGGER "some 150000 2000000"

struct tresor__watch_thread {
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    struct tresor__bell control;
    pthread_t thread;
    /* The thread's own, once it runs. */
    struct tresor__cgroup group; /* whose memory is measured; NONE: nobody's */
    struct tresor__sys_watch places[PLACES_MAX];
    uint8_t kinds[PLACES_MAX]; /* enum tresor_pressure_kind */
    uint32_t place_count;
    uint32_t edge;             /* the place that tells of usage going up and down through its edge; 0: none */
    pthread_mutex_t lock;      /* over what follows */
    bool stopping;
    bool is_armed; /* `effect` is out */
    struct tresor__effect effect;
    uint32_t risen; /* and not told */
    int32_t broken; /* errno: nothing can be watched any more */
    uint32_t completion_count;
    struct tresor__completion completions[TRESOR__WATCH_COMPLETIONS];
};

/* --- the thread --- */

/* Usage goes through the edge on its way down too. */
static uint64_t edge_of(uint64_t limit_bytes)
{
    return limit_bytes / 20 * 19;
}

/* Under the lock. */
static void complete(struct tresor__watch_thread *watch, const struct tresor__effect *effect,
                     int64_t result)
{
    assert(watch->completion_count < TRESOR__WATCH_COMPLETIONS);
    watch->completions[watch->completion_count++] = tresor__actor_answer(effect, result);
}

static bool must_stop(struct tresor__watch_thread *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool stopping = watch->stopping;
    pthread_mutex_unlock(&watch->lock);
    return stopping;
}

/* Answers the WATCH that is out, if there is something to tell. */
static void tell(struct tresor__watch_thread *watch, uint32_t risen,
                 const struct tresor__pressure_facts *facts, int32_t broken)
{
    pthread_mutex_lock(&watch->lock);
    watch->risen |= risen;
    if (broken)
        watch->broken = broken;
    bool tells = watch->is_armed && (watch->risen || watch->broken);
    if (tells) {
        *(struct tresor__pressure_facts *)watch->effect.record = *facts;
        complete(watch, &watch->effect, watch->broken ? -watch->broken : (int64_t)watch->risen);
        watch->is_armed = false;
        watch->risen = 0;
    }
    pthread_mutex_unlock(&watch->lock);
    if (tells)
        tresor__bell_ring(watch->bell);
}

/* What cannot be measured now is not known. */
static struct tresor__pressure_facts measure(const struct tresor__watch_thread *watch)
{
    struct tresor__pressure_facts facts;
    uint32_t folder_bytes;
    if (watch->group.version != TRESOR__CGROUP_NONE &&
        tresor__cgroup_measure(watch->sys, &watch->group, &facts, &folder_bytes) == 0)
        return facts;
    return (struct tresor__pressure_facts){.limit_bytes = UINT64_MAX};
}

static int64_t sleep_once(struct tresor__watch_thread *watch)
{
    int64_t result = -EINTR;
    for (uint32_t i = 0; i < INTERRUPTS_MAX && result == -EINTR; i++)
        result = watch->sys->watch_wait(watch->sys->cookie, watch->places, watch->place_count);
    return result;
}

/* Whom the system tells nothing any more is not asked again; the errno once nobody is left. */
static int32_t drop_gone(struct tresor__watch_thread *watch)
{
    uint32_t left = 0;
    for (uint32_t i = CONTROL + 1; i < watch->place_count; i++) {
        struct tresor__sys_watch *place = &watch->places[i];
        if (place->is_gone && place->descriptor >= 0) {
            watch->sys->close(watch->sys->cookie, place->descriptor);
            place->descriptor = -1;
        }
        left += place->descriptor >= 0;
    }
    return left > 0 ? 0 : ENODEV;
}

/* What cannot be measured is not known to have gone down. */
static uint32_t what_has_risen(const struct tresor__watch_thread *watch,
                               const struct tresor__pressure_facts *facts)
{
    uint32_t risen = 0;
    for (uint32_t i = CONTROL + 1; i < watch->place_count; i++) {
        bool is_down = i == watch->edge && facts->limit_bytes != UINT64_MAX &&
                       facts->usage_bytes < edge_of(facts->limit_bytes);
        if (watch->places[i].has_risen && !is_down)
            risen |= watch->kinds[i];
    }
    return risen;
}

static void *watch_over(void *argument)
{
    struct tresor__watch_thread *watch = argument;
    int32_t broken = 0;
    while (!must_stop(watch)) {
        int64_t result = sleep_once(watch);
        if (watch->places[CONTROL].has_risen || result < 0)
            tresor__bell_hear(&watch->control);
        if (result < 0)
            broken = (int32_t)-result;
        else if (broken == 0)
            broken = drop_gone(watch);
        const struct tresor__pressure_facts facts = measure(watch);
        tell(watch, result < 0 ? 0 : what_has_risen(watch, &facts), &facts, broken);
        if (broken) /* whoever asks from now on is answered at once */
            break;
    }
    return NULL;
}

/* --- the context's thread --- */

void tresor__watch_submit(struct tresor__watch_thread *watch, const struct tresor__effect *effect)
{
    pthread_mutex_lock(&watch->lock);
    if (effect->kind == TRESOR__EFFECT_UNWATCH) {
        if (watch->is_armed)
            complete(watch, &watch->effect, -ECANCELED);
        complete(watch, effect, watch->is_armed);
        watch->is_armed = false;
    } else if (watch->broken) {
        complete(watch, effect, -watch->broken);
    } else {
        watch->effect = *effect;
        watch->is_armed = true;
    }
    bool is_late = watch->is_armed && watch->risen;
    pthread_mutex_unlock(&watch->lock);
    if (is_late) /* the thread sleeps, and has what is to be told */
        tresor__bell_ring(&watch->control);
}

uint32_t tresor__watch_poll(struct tresor__watch_thread *watch,
                            struct tresor__completion *completions)
{
    pthread_mutex_lock(&watch->lock);
    uint32_t count = watch->completion_count;
    memcpy(completions, watch->completions, count * sizeof *completions);
    watch->completion_count = 0;
    pthread_mutex_unlock(&watch->lock);
    return count;
}

bool tresor__watch_pending(struct tresor__watch_thread *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool pending = watch->completion_count > 0;
    pthread_mutex_unlock(&watch->lock);
    return pending;
}

/* --- finding what can be watched --- */

/* The first refusal is the reason if all are. */
static bool add_place(struct tresor__watch_thread *watch, enum tresor__sys_watch_kind kind,
                      uint32_t pressure_kind, const char *path, const char *trigger,
                      int32_t *os_errno)
{
    assert(watch->place_count < PLACES_MAX);
    int64_t result = watch->sys->watch_open(watch->sys->cookie, kind, path, trigger);
    if (result < 0) {
        *os_errno = *os_errno ? *os_errno : (int32_t)-result;
        return false;
    }
    watch->places[watch->place_count] =
        (struct tresor__sys_watch){.kind = kind, .descriptor = (int)result};
    watch->kinds[watch->place_count++] = (uint8_t)pressure_kind;
    return true;
}

static bool add_file(struct tresor__watch_thread *watch, const struct tresor__cgroup *group,
                     uint32_t folder_bytes, const char *name, enum tresor__sys_watch_kind kind,
                     uint32_t pressure_kind, const char *trigger, int32_t *os_errno)
{
    char path[TRESOR__CGROUP_PATH_BYTES];
    return tresor__cgroup_path(group, folder_bytes, name, path) &&
           add_place(watch, kind, pressure_kind, path, trigger, os_errno);
}

/* The group that memory is counted of: of v1 where the controller is there, else of v2. */
static bool choose_group(struct tresor__watch_thread *watch, const struct tresor__cgroups *groups,
                         struct tresor__pressure_facts *facts, uint32_t *folder_bytes,
                         int32_t *os_errno)
{
    const struct tresor__cgroup *const choices[] = {&groups->memory, &groups->unified};
    for (uint32_t i = 0; i < 2; i++) {
        if (choices[i]->version == TRESOR__CGROUP_NONE)
            continue;
        int64_t result = tresor__cgroup_measure(watch->sys, choices[i], facts, folder_bytes);
        if (result == 0) {
            watch->group = *choices[i];
            return true;
        }
        *os_errno = *os_errno ? *os_errno : (int32_t)-result;
    }
    return false;
}

/* What tells that a limit is near: of v1 an edge of the usage, of v2 that the limit was reached. */
static void add_limit(struct tresor__watch_thread *watch,
                      const struct tresor__pressure_facts *facts, uint32_t folder_bytes,
                      int32_t *os_errno)
{
    const struct tresor__cgroup *group = &watch->group;
    char edge[32];
    if (group->version == TRESOR__CGROUP_V2) {
        add_file(watch, group, folder_bytes, "memory.events", TRESOR__SYS_WATCH_EVENTS,
                 TRESOR_PRESSURE_LIMIT, NULL, os_errno);
        return;
    }
    add_file(watch, group, group->folder_bytes, "memory.pressure_level", TRESOR__SYS_WATCH_NOTIFY,
             TRESOR_PRESSURE_STALL, "medium", os_errno);
    if (facts->limit_bytes == UINT64_MAX)
        return;
    snprintf(edge, sizeof edge, "%llu", (unsigned long long)edge_of(facts->limit_bytes));
    if (add_file(watch, group, folder_bytes, "memory.usage_in_bytes", TRESOR__SYS_WATCH_NOTIFY,
                 TRESOR_PRESSURE_LIMIT, edge, os_errno))
        watch->edge = watch->place_count - 1;
}

static void add_places(struct tresor__watch_thread *watch, char *text, int32_t *os_errno)
{
    struct tresor__cgroups groups;
    struct tresor__pressure_facts facts;
    uint32_t folder_bytes;
    add_place(watch, TRESOR__SYS_WATCH_STALL, TRESOR_PRESSURE_STALL, "/proc/pressure/memory",
              STALL_TRIGGER, os_errno);
    tresor__cgroups_find(watch->sys, text, &groups);
    if (groups.unified.version != TRESOR__CGROUP_NONE)
        add_file(watch, &groups.unified, groups.unified.folder_bytes, "memory.pressure",
                 TRESOR__SYS_WATCH_STALL, TRESOR_PRESSURE_STALL, STALL_TRIGGER, os_errno);
    if (choose_group(watch, &groups, &facts, &folder_bytes, os_errno))
        add_limit(watch, &facts, folder_bytes, os_errno);
}

static int32_t find_places(struct tresor__watch_thread *watch, int32_t *os_errno)
{
    char *text = tresor__allocate(&watch->allocator, TRESOR__CGROUP_TEXT_BYTES);
    if (!text)
        return TRESOR_ERROR_NO_MEMORY;
    watch->place_count = CONTROL + 1;
    add_places(watch, text, os_errno);
    tresor__free(&watch->allocator, text, TRESOR__CGROUP_TEXT_BYTES);
    return TRESOR_OK;
}

/* --- making and ending --- */

static void free_all(struct tresor__watch_thread *watch)
{
    struct tresor_allocator allocator = watch->allocator;
    for (uint32_t i = CONTROL + 1; i < watch->place_count; i++)
        if (watch->places[i].descriptor >= 0)
            watch->sys->close(watch->sys->cookie, watch->places[i].descriptor);
    tresor__free(&allocator, watch, sizeof *watch);
}

/* It takes no signals, so that the host's handlers run where they always did. */
static int32_t start_thread(struct tresor__watch_thread *watch)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    if (pthread_mutex_init(&watch->lock, NULL) != 0)
        return TRESOR_ERROR_NO_MEMORY;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&watch->thread, NULL, watch_over, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        pthread_mutex_destroy(&watch->lock);
    return failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK;
}

static int32_t start(struct tresor__watch_thread *watch)
{
    int32_t code = tresor__bell_open(&watch->control, watch->sys);
    if (code != TRESOR_OK)
        return code;
    watch->places[CONTROL] = (struct tresor__sys_watch){
        .kind = TRESOR__SYS_WATCH_BELL,
        .descriptor = tresor__bell_descriptor(&watch->control)};
    code = start_thread(watch);
    if (code != TRESOR_OK)
        tresor__bell_close(&watch->control);
    return code;
}

int32_t tresor__watch_create(const struct tresor__sys *sys,
                             const struct tresor_allocator *allocator, struct tresor__bell *bell,
                             struct tresor__watch_thread **made, int32_t *os_errno)
{
    struct tresor__watch_thread *watch = tresor__allocate(allocator, sizeof *watch);
    *made = NULL;
    *os_errno = 0;
    if (!watch)
        return TRESOR_ERROR_NO_MEMORY;
    watch->sys = sys;
    watch->allocator = *allocator;
    watch->bell = bell;
    int32_t code = find_places(watch, os_errno);
    bool has_places = watch->place_count > CONTROL + 1;
    if (code == TRESOR_OK && has_places)
        code = start(watch);
    if (code == TRESOR_OK && has_places)
        *made = watch;
    else
        free_all(watch);
    return code;
}

void tresor__watch_destroy(struct tresor__watch_thread *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_mutex_unlock(&watch->lock);
    tresor__bell_ring(&watch->control);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->lock);
    tresor__bell_close(&watch->control);
    free_all(watch);
}
