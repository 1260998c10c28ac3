/* SPDX-License-Identifier: MIT */
#include "tensor/plan_uses.h"

#include "tensor/pins.h"
#include "tensor/piece.h"

static uint64_t stamp_of(const struct tresor__piece *piece)
{
    return piece->plan_uses.seen >> TRESOR__STAMP_SHIFT;
}

/* A LOAD of what is resident uses it too, and has a stamp but no acquire. */
static bool was_loaded(const struct tresor__piece *piece)
{
    return piece->use.stamp > stamp_of(piece) && piece->use.stamp > piece->plan_uses.stamp;
}

/* Every acquire has moved the clock; so the bits say how many there were if it has not moved farther than they count. */
static int32_t acquires_since(const struct tresor__piece *piece)
{
    uint64_t stamp = stamp_of(piece);
    if (stamp <= piece->plan_uses.stamp)
        return 0;
    int16_t acquires = (int16_t)((uint16_t)piece->plan_uses.seen - piece->plan_uses.acquires);
    return acquires > 0 || stamp - piece->plan_uses.stamp <= INT16_MAX ? acquires : 1;
}

bool tresor__plan_uses_look(struct tresor__slot *slot, struct tresor__piece *piece)
{
    struct tresor__plan_uses *uses = &piece->plan_uses;
    /* Watched before the record is read: what comes later will be told. And looked at once more after it: whose stamp was
     * read may have come in between, and be there still. */
    bool had_users = tresor__pins_watch(slot, piece->index);
    uses->seen = tresor__pins_record(slot, piece->index);
    uses->has_users = tresor__pins_watch(slot, piece->index) || had_users;
    uses->is_held_over = uses->is_held_over && uses->has_users;
    return !uses->has_users && (was_loaded(piece) || acquires_since(piece) > 0);
}

void tresor__plan_uses_count(struct tresor__piece *piece, bool is_one)
{
    struct tresor__plan_uses *uses = &piece->plan_uses;
    int32_t acquires = acquires_since(piece);
    bool is_stamped = acquires > 0 || !uses->has_users || uses->is_held_over;
    uses->is_held_over = uses->has_users;
    if (!is_stamped || (is_one && acquires > 1)) {
        /* The stamp is of a later use, or comes yet. */
        uses->acquires++;
        return;
    }
    uses->acquires = (uint16_t)uses->seen;
    uses->stamp = piece->use.stamp > stamp_of(piece) ? piece->use.stamp : stamp_of(piece);
}

void tresor__plan_uses_restart(struct tresor__slot *slot, struct tresor__piece *piece)
{
    piece->plan_uses = (struct tresor__plan_uses){0};
    tresor__plan_uses_look(slot, piece);
    tresor__plan_uses_count(piece, false);
}
