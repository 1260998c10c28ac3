/* SPDX-License-Identifier: MIT */
#include "chrome_tracks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tresor/observe.h>

void chrome_tracks_free(struct chrome_tracks *tracks)
{
    for (size_t i = 0; i < tracks->count; i++)
        free(tracks->tracks[i]);
    free(tracks->tracks);
    json_decref(tracks->places);
    *tracks = (struct chrome_tracks){0};
}

static bool find_machine(const char *name, uint32_t *machine)
{
    struct tresor_machine_info info;
    for (*machine = 0; name && tresor_machine_info(*machine, &info); ++*machine)
        if (strcmp(info.name, name) == 0)
            return true;
    return false;
}

static bool make_room(struct chrome_tracks *tracks)
{
    if (!tracks->places)
        tracks->places = json_object();
    if (!tracks->places || tracks->count < tracks->capacity)
        return tracks->places;
    const size_t capacity = tracks->capacity > 0 ? 2 * tracks->capacity : 64;
    struct chrome_track **grown = realloc(tracks->tracks, capacity * sizeof(void *));
    if (!grown)
        return false;
    tracks->tracks = grown;
    tracks->capacity = capacity;
    return true;
}

static struct chrome_track *add(struct chrome_tracks *tracks, const char *key, uint32_t machine,
                                const char *name)
{
    struct chrome_track *track = make_room(tracks) ? calloc(1, sizeof *track) : NULL;
    if (!track ||
        json_object_set_new(tracks->places, key, json_integer((json_int_t)tracks->count)) != 0) {
        free(track);
        return NULL;
    }
    track->machine = machine;
    track->thread = ++tracks->threads[machine];
    snprintf(track->name, sizeof track->name, "%s", name);
    tracks->tracks[tracks->count++] = track;
    return track;
}

struct chrome_track *chrome_tracks_find(struct chrome_tracks *tracks, const json_t *step,
                                        bool *is_new)
{
    char key[64];
    char name[32];
    uint32_t machine;
    if (!find_machine(json_string_value(json_object_get(step, "machine")), &machine) ||
        machine >= sizeof tracks->threads / sizeof tracks->threads[0])
        return NULL;
    snprintf(name, sizeof name, "%u/%u",
             (unsigned)json_integer_value(json_object_get(step, "source")),
             (unsigned)json_integer_value(json_object_get(step, "slot")));
    snprintf(key, sizeof key, "%u/%s", (unsigned)machine, name);
    const json_t *place = json_object_get(tracks->places, key);
    *is_new = !place;
    return place ? tracks->tracks[json_integer_value(place)] : add(tracks, key, machine, name);
}

const char *chrome_track_state(const struct chrome_track *track, const char *name)
{
    struct tresor_state_info info;
    for (uint32_t i = 1; name && tresor_machine_state(track->machine, i, &info); i++)
        if (strcmp(info.name, name) == 0)
            return info.name;
    return NULL;
}
