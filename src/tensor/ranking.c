/* SPDX-License-Identifier: MIT */
#include "tensor/ranking.h"

/* Of two alike the one that comes first in the source goes first, so that the order is the same in every run. */
static bool is_before(const struct tresor__ranking *ranking, tresor__policy *policy, uint32_t one,
                      uint32_t other)
{
    const struct tresor__use *first = &ranking->pieces[one].use;
    const struct tresor__use *second = &ranking->pieces[other].use;
    if (policy(first, second))
        return true;
    return !policy(second, first) && one < other;
}

static void put(struct tresor__ranking *ranking, uint32_t place, uint32_t piece)
{
    ranking->heap[place] = piece;
    ranking->pieces[piece].rank = place;
}

static void rise(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece)
{
    uint32_t place = ranking->pieces[piece].rank;
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (!is_before(ranking, policy, piece, ranking->heap[parent]))
            break;
        put(ranking, place, ranking->heap[parent]);
        place = parent;
    }
    put(ranking, place, piece);
}

static void sink(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece)
{
    uint32_t place = ranking->pieces[piece].rank;
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= ranking->count)
            break;
        if (child + 1 < ranking->count &&
            is_before(ranking, policy, ranking->heap[child + 1], ranking->heap[child]))
            child++;
        if (!is_before(ranking, policy, ranking->heap[child], piece))
            break;
        put(ranking, place, ranking->heap[child]);
        place = child;
    }
    put(ranking, place, piece);
}

void tresor__ranking_move(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece)
{
    rise(ranking, policy, piece);
    sink(ranking, policy, piece);
}

void tresor__ranking_add(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece)
{
    assert(ranking->pieces[piece].rank == TRESOR_NONE);
    put(ranking, ranking->count++, piece);
    rise(ranking, policy, piece);
}

void tresor__ranking_remove(struct tresor__ranking *ranking, tresor__policy *policy, uint32_t piece)
{
    uint32_t place = ranking->pieces[piece].rank;
    assert(place < ranking->count && ranking->heap[place] == piece);
    uint32_t last = ranking->heap[--ranking->count];
    ranking->pieces[piece].rank = TRESOR_NONE;
    if (last == piece)
        return;
    put(ranking, place, last);
    tresor__ranking_move(ranking, policy, last);
}

void tresor__ranking_rebuild(struct tresor__ranking *ranking, tresor__policy *policy)
{
    for (uint32_t place = ranking->count / 2; place-- > 0;)
        sink(ranking, policy, ranking->heap[place]);
}
