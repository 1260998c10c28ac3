/* SPDX-License-Identifier: MIT */
/* The machines of a trace as tracks: what each was in, from when on. */
#ifndef TOOL_CHROME_TRACKS_H
#define TOOL_CHROME_TRACKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** One instance of a machine. */
struct chrome_track {
    uint32_t machine; /* its number in the library */
    uint32_t thread;  /* from 1, its own among those of the machine */
    uint64_t since_us;
    const char
        *state;    /* of the library's; NULL: its first, in which it is as if it were not there */
    char name[32]; /* SOURCE/SLOT */
};

/** All zero is none. */
struct chrome_tracks {
    json_t *places; /* by machine, source and slot */
    struct chrome_track **tracks;
    size_t count;
    size_t capacity;
    uint32_t threads[64]; /* by machine */
};

void chrome_tracks_free(struct chrome_tracks *tracks);

/** The track of a step, which may be new: then its thread is not told yet, and `*is_new` true. NULL
 * where the library has no such machine, or there is no memory. */
struct chrome_track *chrome_tracks_find(struct chrome_tracks *tracks, const json_t *step,
                                        bool *is_new);

/** The state of that name, for a track; NULL if it is the first or none. */
const char *chrome_track_state(const struct chrome_track *track, const char *name);

#endif
