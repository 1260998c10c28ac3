/* SPDX-License-Identifier: MIT */
#include "chrome.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tresor/tresor.h>

#include "chrome_tracks.h"
#include "trace_read.h"
#include "writing.h"

enum {
    PROCESS_CALLS = 1,
    PROCESS_EFFECTS = 2,
    PROCESS_MACHINES = 3, /* and on, one a machine */
    THREAD_CONTEXT = 1,
    THREAD_ELSEWHERE = 2,
};

struct chrome {
    FILE *file;
    bool has_events;
    bool has_failed; /* there was no memory */
    uint64_t now_us;
    uint64_t call_us; /* when the call under way began */
    bool is_elsewhere;
    json_t *effects; /* the kinds of those under way, by number */
    struct chrome_tracks tracks;
};

/** One event, which is taken; NULL: there was no memory. */
static void put(struct chrome *chrome, json_t *event)
{
    if (!event) {
        chrome->has_failed = true;
        return;
    }
    fputs(chrome->has_events ? ",\n" : "\n", chrome->file);
    if (json_dumpf(event, chrome->file, JSON_COMPACT) != 0)
        chrome->has_failed = true;
    chrome->has_events = true;
    json_decref(event);
}

static void put_name(struct chrome *chrome, const char *what, uint32_t process, uint32_t thread,
                     const char *name)
{
    put(chrome, json_pack("{s:s, s:s, s:i, s:i, s:i, s:{s:s}}", "ph", "M", "name", what, "pid",
                          (int)process, "tid", (int)thread, "ts", 0, "args", "name", name));
}

static void put_span(struct chrome *chrome, const char *name, const char *category,
                     uint32_t process, uint32_t thread, uint64_t since_us, json_t *details)
{
    put(chrome, json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:o}", "ph", "X", "name", name,
                          "cat", category, "pid", (int)process, "tid", (int)thread, "ts",
                          (json_int_t)since_us, "dur", (json_int_t)(chrome->now_us - since_us),
                          "args", details ? details : json_object()));
}

/* --- calls --- */

static void begin_call(struct chrome *chrome, const struct trace_line *line)
{
    chrome->call_us = chrome->now_us;
    chrome->is_elsewhere = json_is_true(json_object_get(line->json, "elsewhere"));
}

static void end_call(struct chrome *chrome, const struct trace_line *line)
{
    const char *name = json_string_value(json_object_get(line->json, "returned"));
    json_t *code = json_object_get(line->json, "code");
    put_span(chrome, name ? name : "?", "call", PROCESS_CALLS,
             chrome->is_elsewhere ? THREAD_ELSEWHERE : THREAD_CONTEXT, chrome->call_us,
             json_pack("{s:O?}", "code", code));
}

/* --- effects: they overlap, so their begin and end are events of their own --- */

static void put_effect(struct chrome *chrome, const char *phase, const char *kind,
                       const char *number, json_t *details)
{
    put(chrome, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:o}", "ph", phase, "name", kind,
                          "cat", "effect", "id", number, "pid", PROCESS_EFFECTS, "tid", 1, "ts",
                          (json_int_t)chrome->now_us, "args", details ? details : json_object()));
}

static void number_of(const struct trace_line *line, const char *name, char text[24])
{
    snprintf(text, 24, "%lld", (long long)json_integer_value(json_object_get(line->json, name)));
}

static void begin_effect(struct chrome *chrome, const struct trace_line *line)
{
    char number[24];
    const json_t *json = line->json;
    json_t *kind = json_object_get(json, "kind");
    number_of(line, "effect", number);
    if (!json_is_string(kind) || json_object_set(chrome->effects, number, kind) != 0) {
        chrome->has_failed = true;
        return;
    }
    put_effect(chrome, "b", json_string_value(kind), number,
               json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?}", "machine",
                         json_object_get(json, "machine"), "slot", json_object_get(json, "slot"),
                         "file", json_object_get(json, "file"), "offset",
                         json_object_get(json, "offset"), "length",
                         json_object_get(json, "length")));
}

static void end_effect(struct chrome *chrome, const struct trace_line *line)
{
    char number[24];
    number_of(line, "answer", number);
    const json_t *kind = json_object_get(chrome->effects, number);
    if (!kind)
        return;
    put_effect(chrome, "e", json_string_value(kind), number,
               json_pack("{s:O?, s:O?}", "os_errno", json_object_get(line->json, "os_errno"),
                         "value", json_object_get(line->json, "value")));
    json_object_del(chrome->effects, number);
}

/* --- machines --- */

static void end_state(struct chrome *chrome, const struct chrome_track *track, json_t *details)
{
    struct tresor_machine_info info;
    if (track->state && tresor_machine_info(track->machine, &info))
        put_span(chrome, track->state, info.name, PROCESS_MACHINES + track->machine, track->thread,
                 track->since_us, details);
    else
        json_decref(details);
}

static void put_track(struct chrome *chrome, const struct chrome_track *track)
{
    struct tresor_machine_info info;
    const uint32_t process = PROCESS_MACHINES + track->machine;
    char name[64];
    if (!tresor_machine_info(track->machine, &info))
        return;
    if (track->thread == 1)
        put_name(chrome, "process_name", process, 0, info.name);
    snprintf(name, sizeof name, "%s %s", info.name, track->name);
    put_name(chrome, "thread_name", process, track->thread, name);
}

static void step(struct chrome *chrome, const struct trace_line *line)
{
    bool is_new = false;
    struct chrome_track *track = chrome_tracks_find(&chrome->tracks, line->json, &is_new);
    if (!track) {
        chrome->has_failed = true;
        return;
    }
    if (is_new)
        put_track(chrome, track);
    const char *state =
        chrome_track_state(track, json_string_value(json_object_get(line->json, "to")));
    if (state == track->state)
        return;
    end_state(chrome, track,
              json_pack("{s:O?, s:O?}", "ended_by", json_object_get(line->json, "event"),
                        "os_errno", json_object_get(line->json, "os_errno")));
    track->state = state;
    track->since_us = chrome->now_us;
}

static void end_tracks(struct chrome *chrome)
{
    for (size_t i = 0; i < chrome->tracks.count; i++)
        end_state(chrome, chrome->tracks.tracks[i], NULL);
}

/* --- all --- */

static void put_line(struct chrome *chrome, const struct trace_line *line)
{
    chrome->now_us = line->has_time ? line->time_us : line->number;
    if (line->kind == TRACE_CALL)
        begin_call(chrome, line);
    else if (line->kind == TRACE_RETURNED)
        end_call(chrome, line);
    else if (line->kind == TRACE_EFFECT)
        begin_effect(chrome, line);
    else if (line->kind == TRACE_ANSWER)
        end_effect(chrome, line);
    else if (line->kind == TRACE_STEP)
        step(chrome, line);
}

static void put_all(struct chrome *chrome, const char *bytes, size_t size_bytes)
{
    struct trace_reader reader;
    struct trace_complaint complaint;
    struct trace_line line;
    bool has_times = false;
    fputs("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [", chrome->file);
    put_name(chrome, "process_name", PROCESS_CALLS, 0, "calls");
    put_name(chrome, "thread_name", PROCESS_CALLS, THREAD_CONTEXT, "the context's thread");
    put_name(chrome, "thread_name", PROCESS_CALLS, THREAD_ELSEWHERE, "other threads");
    put_name(chrome, "process_name", PROCESS_EFFECTS, 0, "effects");
    trace_reader_begin(&reader, bytes, size_bytes);
    while (trace_reader_next(&reader, &line, &complaint)) {
        has_times = line.has_time;
        put_line(chrome, &line);
        trace_line_free(&line);
    }
    end_tracks(chrome);
    fprintf(chrome->file, "\n], \"otherData\": {\"library\": \"%s\", \"clock\": \"%s\"}}\n",
            tresor_version(), has_times ? "microseconds" : "lines of the trace");
}

bool chrome_write(const char *path, const char *kept_path, const char *bytes, size_t size_bytes)
{
    struct chrome chrome = {.file = writing_begin(path, kept_path)};
    if (!chrome.file)
        return false;
    chrome.effects = json_object();
    chrome.has_failed = !chrome.effects;
    errno = 0;
    if (chrome.effects)
        put_all(&chrome, bytes, size_bytes);
    int error = ferror(chrome.file) ? errno : chrome.has_failed ? ENOMEM : 0;
    if (fclose(chrome.file) != 0 && !error)
        error = errno;
    json_decref(chrome.effects);
    chrome_tracks_free(&chrome.tracks);
    errno = error;
    return error == 0;
}
