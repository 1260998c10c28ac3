/* SPDX-License-Identifier: MIT */
/*
 * The interval ledger of one file. The page-rounded bounds of the tensors cut the file into
 * elementary intervals; each knows what is mapped there, how many tensors use it and how many lock
 * it. A page that neighbours share is one interval: filled once, freed with its last user.
 *
 * The strategy machines take work from it in file order (the plan: neighbours joined into extents),
 * and put back what became of it; the ledger then says which tensors are complete. It makes no
 * system call.
 */
#ifndef TRESOR_IO_LEDGER_H
#define TRESOR_IO_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <tresor/error.h>

#include "core/bitset.h"

/** What is mapped at an interval. The two fillings are also the names of the strategies' work
 * lists. */
enum tresor__backing {
    TRESOR__BACKING_FILE = 0,
    TRESOR__BACKING_ANONYMOUS = 1,
    TRESOR__BACKING_COUNT = 2,
    TRESOR__BACKING_NONE = 3,
};

/** How soon a filling is wanted: enum tresor_urgency without its default. */
enum tresor__urgency {
    TRESOR__URGENCY_LOOKAHEAD = 0,
    TRESOR__URGENCY_NORMAL = 1,
    TRESOR__URGENCY_URGENT = 2,
    TRESOR__URGENCY_COUNT = 3,
};

enum tresor__fill {
    TRESOR__FILL_EMPTY = 0,     /* nothing mapped, nobody asked */
    TRESOR__FILL_WANTED = 1,    /* a user asked, no machine has taken it */
    TRESOR__FILL_RUNNING = 2,   /* a machine maps and fills it */
    TRESOR__FILL_FULL = 3,      /* all bytes are there */
    TRESOR__FILL_SPENT = 4,     /* mapped, but its last user has gone */
    TRESOR__FILL_RELEASING = 5, /* a machine unmaps it */
};

enum tresor__lock_fill {
    TRESOR__LOCK_NONE = 0,
    TRESOR__LOCK_WANTED = 1,
    TRESOR__LOCK_RUNNING = 2,
    TRESOR__LOCK_HELD = 3,
    TRESOR__LOCK_SPENT = 4,
    TRESOR__LOCK_RELEASING = 5,
};

enum tresor__swap_fill {
    TRESOR__SWAP_NONE = 0,
    TRESOR__SWAP_WANTED = 1,  /* some part shall have the other backing */
    TRESOR__SWAP_RUNNING = 2, /* a machine moves a chunk of it */
};

struct tresor__interval {
    uint64_t start_bytes; /* page-rounded offset in the file; it ends where the next one starts */
    uint64_t missing_bytes;
    uint64_t swapped_bytes; /* from its start, that have the other backing than `backing` */
    uint64_t unlocked_bytes; /* of its locked pages, those that were replaced, and their locks went with them */
    uint32_t small_bytes;   /* from its start, that are small private pages of one map; 0 where that is not known */
    uint32_t users;
    uint32_t locks;
    uint32_t yielding; /* of the users, those that are asked to go */
    uint32_t first_cover; /* its tensors are ledger.covers from here to the next interval's */
    uint32_t releaser;    /* the tensor that waits for its release, or TRESOR_NONE */
    uint32_t unlocker;    /* the tensor that waits for its unlock, or TRESOR_NONE */
    uint32_t mark;        /* the last that was put here; see tresor__ledger_mark */
    uint8_t fill;
    uint8_t backing;
    uint8_t wanted;  /* enum tresor__backing that the next fill shall use */
    uint8_t urgency; /* the highest of its users, those who have gone meanwhile among them */
    uint8_t lock;
    uint8_t swap;        /* enum tresor__swap_fill */
    uint8_t swap_target; /* enum tresor__backing that it moves to */
    bool failed;      /* some part of what runs failed, or of what is full was replaced by zeros */
    bool lock_leaked; /* an unlock failed here: it is locked though nobody wants it */
    bool spare;       /* nobody's, but its private pages are kept for the next load */
    bool leaked;      /* an unmap failed here: pages remain that nobody asked for */
    bool charged;     /* its pages are counted as memory in use */
    bool lent;        /* not here, but at the place that they move to or have come from */
};

/** Whether its pages are there or may be, as far as anybody knows. */
static inline bool tresor__interval_has_pages(const struct tresor__interval *interval)
{
    return interval->fill >= TRESOR__FILL_RUNNING || interval->spare || interval->leaked;
}

enum tresor__span_role {
    TRESOR__SPAN_ABSENT = 0,
    TRESOR__SPAN_LOADING = 1,
    TRESOR__SPAN_RESIDENT = 2,
    TRESOR__SPAN_FAILED = 3, /* told so; still counted as a user until it is unclaimed */
    TRESOR__SPAN_LEAVING = 4,
};

/** What a tensor has yet to be told. */
enum tresor__span_news {
    TRESOR__NEWS_FILLED = 1,
    TRESOR__NEWS_FILL_FAILED = 2,
    TRESOR__NEWS_RELEASED = 4,
    TRESOR__NEWS_RELEASE_FAILED = 8,
    TRESOR__NEWS_LOCKED = 16,
    TRESOR__NEWS_LOCK_FAILED = 32,
    TRESOR__NEWS_UNLOCKED = 64,
    TRESOR__NEWS_UNLOCK_FAILED = 128,
    TRESOR__NEWS_PROGRESS = 256, /* bytes arrived; only where somebody watches */
    TRESOR__NEWS_SWAPPED = 512,  /* or stopped, where that was asked for */
    TRESOR__NEWS_SWAP_FAILED = 1024,
};

/** Why a span failed; the wanted and got of struct tresor_error. */
struct tresor__failure {
    int32_t code;
    int32_t os_errno;
    uint64_t offset;
    uint64_t wanted;
    uint64_t got;
};

/** One tensor, as its ledger sees it. */
struct tresor__span {
    uint32_t first_interval;
    uint32_t interval_count; /* 0: no bytes */
    uint32_t waiting;        /* intervals that its load or its leaving awaits */
    uint32_t lock_waiting;
    uint32_t next_news;
    uint8_t role;
    uint8_t lock_role; /* TRESOR__SPAN_ABSENT, LOADING (locking), RESIDENT (locked), FAILED, LEAVING
                          (unlocking) */
    uint8_t swap_role; /* TRESOR__SPAN_ABSENT, LOADING (its pages move) or LEAVING (they shall stop) */
    uint8_t swap_target;
    uint16_t news;     /* enum tresor__span_news, not yet told */
    bool in_news;
    uint32_t watchers; /* who want to know how its load gets on */
    uint64_t swap_wanted_bytes; /* in whole pages, that were to be moved */
    uint64_t swap_moved_bytes;
    struct tresor__failure failure; /* of its load, its leaving or its swap */
    struct tresor__failure lock_failure;
};

/** Neighbouring intervals [first, last). */
struct tresor__extent {
    uint32_t first;
    uint32_t last;
};

/** A part of neighbouring intervals that is moved to the other backing at once, in whole pages. */
struct tresor__swap_chunk {
    struct tresor__extent extent;
    uint64_t offset;
    uint64_t length;
    uint8_t target; /* enum tresor__backing */
};

/** Memory that all ledgers of a context share, in bytes of pages. */
struct tresor__room {
    uint64_t limit_bytes;     /* that may be charged at the most; UINT64_MAX: no limit */
    uint64_t budget_bytes;    /* that may be charged where no more is committed already; 0: the limit */
    uint64_t committed_bytes; /* of intervals that have users, whether their pages are there yet or not */
    uint64_t leaving_bytes;   /* of the committed, those whose users all are asked to go */
    uint64_t charged_bytes;   /* of intervals whose pages are there or may be: being filled, full, not yet
                                 released, kept as spare, or left by an unmap that was refused */
    uint64_t spare_bytes;     /* of the charged, those that are kept */
    uint64_t leaked_bytes;    /* of the charged, those that an unmap has left */
    uint64_t staged_bytes;    /* charged besides: of stages that were used once */
    uint64_t scratch_bytes;   /* and of pages in the scratch of swaps, beside what is in the windows until they come */
    uint64_t held_bytes;      /* charged besides: of files that are decoded, for as long as they are open */
    uint64_t stuck_bytes;     /* of those, what could not be cleared, and no chunk has replaced */
    uint64_t uncollected_bytes; /* of evicted file pages that the page cache kept, over all evictions; not charged */
    uint32_t seam_count;      /* where a map of the kernel's may end */
    uint32_t seams_max;       /* from then on no pages are moved, for that makes more of them */
};

/** What is charged and goes for nobody. */
static inline uint64_t tresor__room_fixed(const struct tresor__room *room)
{
    return room->staged_bytes + room->leaked_bytes + room->stuck_bytes + room->held_bytes;
}

/** What more may be charged. While more is committed than the limit has, what is being loaded may go on. */
static inline uint64_t tresor__room_left(const struct tresor__room *room)
{
    uint64_t committed = room->committed_bytes + tresor__room_fixed(room);
    uint64_t limit = room->limit_bytes;
    if (room->budget_bytes > 0 && limit > room->budget_bytes) {
        uint64_t allowed = committed > room->budget_bytes ? committed : room->budget_bytes;
        limit = allowed < limit ? allowed : limit;
    }
    return limit > room->charged_bytes ? limit - room->charged_bytes : 0;
}

struct tresor__ledger {
    bool is_held; /* all its bytes are in memory and counted elsewhere: who claims it has it, and nothing is released */
    struct tresor__interval *intervals; /* count + 1: the last holds only the end */
    uint32_t interval_count;
    struct tresor__span *spans; /* of all tensors of the source */
    const uint32_t *order;      /* this file's tensors by offset */
    uint32_t order_count;
    const uint32_t *covers; /* the tensors of each interval, by offset */
    uint64_t file_bytes;

    struct tresor__bitset fill[TRESOR__BACKING_COUNT][TRESOR__URGENCY_COUNT];
    struct tresor__bitset release[TRESOR__BACKING_COUNT];
    struct tresor__bitset lock;
    struct tresor__bitset unlock;
    struct tresor__bitset swap[TRESOR__BACKING_COUNT]; /* by target */
    struct tresor__bitset seams; /* seams.h; empty where the window is too large */
    uint32_t cursor[TRESOR__BACKING_COUNT][TRESOR__URGENCY_COUNT]; /* where each sweep stands */
    uint8_t in_hand[TRESOR__BACKING_COUNT]; /* urgency of what was taken last to be filled */
    bool hastened[TRESOR__BACKING_COUNT];   /* a part of what runs, since then */

    uint32_t watchers;  /* of all spans */
    uint32_t news_head; /* spans with news, in order */
    uint32_t news_tail;

    uint64_t resident_bytes[TRESOR__BACKING_COUNT]; /* mapped and full */
    uint64_t locked_bytes;
    uint64_t leaked_bytes;
    uint64_t spare_bytes;
    uint64_t leaving_bytes;
    uint64_t committed_bytes;
    uint64_t charged_bytes;
    uint64_t exchange_bytes; /* of the charged: what a place that gives its pages has more than the one that gets them */
    uint32_t lent_count;     /* intervals whose pages count elsewhere */
    struct tresor__room *room; /* of all ledgers of the context */
};

static inline uint64_t tresor__ledger_start(const struct tresor__ledger *ledger, uint32_t interval)
{
    return ledger->intervals[interval].start_bytes;
}

/** Whether something waits to be filled with `backing`. */
static inline bool tresor__ledger_wants(const struct tresor__ledger *ledger,
                                        enum tresor__backing backing)
{
    const struct tresor__bitset *fill = ledger->fill[backing];
    return fill[TRESOR__URGENCY_LOOKAHEAD].count | fill[TRESOR__URGENCY_NORMAL].count |
           fill[TRESOR__URGENCY_URGENT].count;
}

/** Whether any machine could take something. */
static inline bool tresor__ledger_has_work(const struct tresor__ledger *ledger)
{
    return tresor__ledger_wants(ledger, TRESOR__BACKING_FILE) ||
           tresor__ledger_wants(ledger, TRESOR__BACKING_ANONYMOUS) ||
           (ledger->release[0].count | ledger->release[1].count | ledger->lock.count |
            ledger->unlock.count | ledger->swap[0].count | ledger->swap[1].count);
}

/** How urgent it is that what was taken to be filled gets on: as urgent as it is itself, or what
 * waits behind it. */
enum tresor__urgency tresor__ledger_urgency(const struct tresor__ledger *ledger,
                                            enum tresor__backing backing);

/** End of an extent, clipped to the file: the bytes that can be read. */
uint64_t tresor__ledger_end(const struct tresor__ledger *ledger, uint32_t last);

/** A tensor becomes a user of its intervals, to be filled with `backing` where they are empty. */
void tresor__ledger_claim(struct tresor__ledger *ledger, uint32_t span,
                          enum tresor__backing backing, enum tresor__urgency urgency);

/** A tensor that is being loaded is wanted sooner than it was. */
void tresor__ledger_hasten(struct tresor__ledger *ledger, uint32_t span,
                           enum tresor__urgency urgency);

/** A tensor is no user any more; what it was the last user of becomes spent, and is awaited if
 * `wait`. */
void tresor__ledger_unclaim(struct tresor__ledger *ledger, uint32_t span, bool wait);

/** Whether the next wanted extent, or at least its first interval, finds room; none does while pages count elsewhere. Pure. */
bool tresor__ledger_has_room(const struct tresor__ledger *ledger, enum tresor__backing backing);

/** Whether all of the next wanted extent finds room, or so many bytes of it. Pure. */
bool tresor__ledger_has_wide_room(const struct tresor__ledger *ledger, enum tresor__backing backing,
                                  uint64_t bytes);

/** Take the next wanted extent, of the most urgent there are: each urgency in file order, round and
 * round, and no more of it than there is room for. False where there is none, or no room. */
bool tresor__ledger_take_fill(struct tresor__ledger *ledger, enum tresor__backing backing,
                              struct tresor__extent *extent);

/** Something is in more of a hurry than what was taken last: it waits, or is a part of it. */
bool tresor__ledger_is_overtaken(const struct tresor__ledger *ledger,
                                 enum tresor__backing backing);

/** The end of what was taken last, of which nothing has begun, is put back: it is released, and
 * wanted again. */
void tresor__ledger_put_back(struct tresor__ledger *ledger, struct tresor__extent rest);

/** Taken intervals whose users have gone need not be filled: from `offset` on, this one is given
 * up. */
bool tresor__ledger_abandon(struct tresor__ledger *ledger, uint32_t interval, uint64_t offset);

/** [offset, offset + length) is filled, or failed where `failure` is given. `hint` is at or before
 * its interval. */
void tresor__ledger_settle(struct tresor__ledger *ledger, uint32_t hint, uint64_t offset,
                           uint64_t length, const struct tresor__failure *failure);

/** The interval with that byte of the file, or the next one. */
uint32_t tresor__ledger_find(const struct tresor__ledger *ledger, uint64_t offset);

/** Of an interval, whole pages of [offset, offset + length) were replaced by zeros. Who is loaded from it fails; who was
 * stays a user, and the interval is filled anew when all have gone. */
void tresor__ledger_poison(struct tresor__ledger *ledger, uint32_t interval, uint64_t offset, uint64_t length,
                           const struct tresor__failure *failure);

/** A taken extent could not be mapped: nothing is there. */
void tresor__ledger_unmapped(struct tresor__ledger *ledger, struct tresor__extent extent,
                             const struct tresor__failure *failure);

bool tresor__ledger_take_release(struct tresor__ledger *ledger, enum tresor__backing backing,
                                 struct tresor__extent *extent);

/* --- for exchange.c --- */

/** The first interval that is wanted next, or TRESOR_NONE; its urgency is the set's that it is in. Pure. */
uint32_t tresor__ledger_first_wanted(const struct tresor__ledger *ledger,
                                     enum tresor__backing backing);
/** What filling an interval adds to what is charged. Pure. */
uint64_t tresor__ledger_charge(const struct tresor__ledger *ledger, uint32_t interval);
/** Take an extent to be filled that begins with the first wanted interval, whatever room there is. */
void tresor__ledger_take_wanted(struct tresor__ledger *ledger, enum tresor__backing backing,
                                struct tresor__extent extent);
/** Take a spent extent to be released, whose pages count elsewhere until it is. */
void tresor__ledger_lend(struct tresor__ledger *ledger, struct tresor__extent extent);
/** The pages of an extent count elsewhere, or where they are. */
void tresor__ledger_count_lent(struct tresor__ledger *ledger, struct tresor__extent extent, bool lent);

/** Released; with `kept` their pages stay, as spare ones. */
void tresor__ledger_released(struct tresor__ledger *ledger, struct tresor__extent extent,
                             bool kept, const struct tresor__failure *failure);

/** Spare pages shall go: they are released as what has lost its last user is. */
void tresor__ledger_drop_spares(struct tresor__ledger *ledger);

/** Its window is about to be given back with all that is in it: only its charge stays in the room, as many bytes. */
uint64_t tresor__ledger_leave_room(struct tresor__ledger *ledger);

/** What must be committed for a tensor to be claimed now: its intervals that have no users. Pure. */
uint64_t tresor__ledger_need(const struct tresor__ledger *ledger, uint32_t span);

/** Put a mark on a tensor's intervals; the bytes of those that did not have it. */
uint64_t tresor__ledger_mark(struct tresor__ledger *ledger, uint32_t span, uint32_t mark);

/** A tensor that is a user is asked to go, or not any more: what nobody else uses, of those who stay, is leaving. After it
 * was unclaimed it is still to be said that it is not asked any more. */
void tresor__ledger_yield(struct tresor__ledger *ledger, uint32_t span, bool yields);

/** Locks of a resident tensor, counted as users are. */
void tresor__ledger_lock(struct tresor__ledger *ledger, uint32_t span);
void tresor__ledger_unlock(struct tresor__ledger *ledger, uint32_t span, bool wait);

/** Take the next extent to lock: neighbours up to `limit_bytes`, but at least one interval. */
bool tresor__ledger_take_lock(struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__extent *extent);
void tresor__ledger_locked(struct tresor__ledger *ledger, struct tresor__extent extent,
                           const struct tresor__failure *failure);
/** A lock of a taken extent was refused and undone, and with it what a failed unlock had left
 * locked there. */
void tresor__ledger_lock_undone(struct tresor__ledger *ledger, struct tresor__extent extent);
/** A taken extent was refused as a whole; it is wanted again, to be tried in smaller parts. */
void tresor__ledger_lock_again(struct tresor__ledger *ledger, struct tresor__extent extent);
bool tresor__ledger_take_unlock(struct tresor__ledger *ledger, struct tresor__extent *extent);
/** With `failure` the pages stay locked until they are unmapped, and stay on the books. */
void tresor__ledger_unlocked(struct tresor__ledger *ledger, struct tresor__extent extent,
                             const struct tresor__failure *failure);

/* --- ledger_swap.c: resident pages move to the other backing --- */

/** A resident tensor's pages shall have that backing, but for those that are locked, or on their way to the other for a
 * neighbour. It is told when they have. */
void tresor__ledger_swap(struct tresor__ledger *ledger, uint32_t span,
                         enum tresor__backing target);
/** It shall stop: what has not begun stays as it is, and it is told when what has begun is over. */
void tresor__ledger_stop_swap(struct tresor__ledger *ledger, uint32_t span);
/** The next chunk: up to `limit_bytes`, ending at a multiple of it or where one of its intervals does; or, where a
 * part that was moved is taken back, beginning at a multiple. False where there is none. Pure. */
bool tresor__ledger_next_swap(const struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__swap_chunk *chunk);
/** Take it. */
bool tresor__ledger_take_swap(struct tresor__ledger *ledger, uint64_t limit_bytes,
                              struct tresor__swap_chunk *chunk);
/** The chunk was moved, or with `failure` was not. */
void tresor__ledger_swapped(struct tresor__ledger *ledger, const struct tresor__swap_chunk *chunk,
                            const struct tresor__failure *failure);
/** How far a tensor's swap has come, as a failure of that code. */
struct tresor__failure tresor__ledger_swap_failure(const struct tresor__ledger *ledger,
                                                   uint32_t span, int32_t code);
/** An interval that is to be locked is not moved any further. */
void tresor__ledger_keep_from_swap(struct tresor__ledger *ledger, uint32_t interval);
/** A tensor has news; of the ledger's own files. */
void tresor__ledger_tell(struct tresor__ledger *ledger, uint32_t span,
                         enum tresor__span_news news);

static inline bool tresor__ledger_wants_swap(const struct tresor__ledger *ledger)
{
    return ledger->swap[0].count | ledger->swap[1].count;
}

/** One more or one less wants to know how a tensor's load gets on. */
void tresor__ledger_watch(struct tresor__ledger *ledger, uint32_t span);
void tresor__ledger_unwatch(struct tresor__ledger *ledger, uint32_t span);

/** The bytes that have arrived in a tensor's intervals, which reach past its own to whole pages. It
 * never falls while it is being loaded. */
uint64_t tresor__ledger_arrived(const struct tresor__ledger *ledger, uint32_t span);

/** The next tensor with news, or TRESOR_NONE; its news are the caller's to clear. */
uint32_t tresor__ledger_pop_news(struct tresor__ledger *ledger);

/** Asserts that every count agrees with the spans. O(intervals + spans). */
void tresor__ledger_check(const struct tresor__ledger *ledger);

#endif
