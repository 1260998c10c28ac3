/* SPDX-License-Identifier: MIT */
/*
 * A set of small numbers with a summary word for every 64 words, so that the next member after a
 * place is found in a few steps: the plan walks its work in file order with it. The caller owns the
 * words.
 */
#ifndef TRESOR_CORE_BITSET_H
#define TRESOR_CORE_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresor/error.h>

struct tresor__bitset {
    uint64_t *words;
    uint64_t *summary; /* bit w: words[w] is not zero */
    uint32_t size;     /* numbers are below it */
    uint32_t count;    /* members */
};

static inline size_t tresor__bitset_words(uint32_t size)
{
    size_t words = ((size_t)size + 63) / 64;
    return words + (words + 63) / 64;
}

/** `words` holds tresor__bitset_words(size) zeroed words. */
static inline void tresor__bitset_init(struct tresor__bitset *set, uint64_t *words, uint32_t size)
{
    *set = (struct tresor__bitset){
        .words = words, .summary = words + ((size_t)size + 63) / 64, .size = size};
}

static inline bool tresor__bitset_has(const struct tresor__bitset *set, uint32_t number)
{
    return set->words[number / 64] >> (number % 64) & 1;
}

static inline void tresor__bitset_add(struct tresor__bitset *set, uint32_t number)
{
    uint32_t word = number / 64;
    if (tresor__bitset_has(set, number))
        return;
    set->words[word] |= UINT64_C(1) << (number % 64);
    set->summary[word / 64] |= UINT64_C(1) << (word % 64);
    set->count++;
}

static inline void tresor__bitset_remove(struct tresor__bitset *set, uint32_t number)
{
    uint32_t word = number / 64;
    if (!tresor__bitset_has(set, number))
        return;
    set->words[word] &= ~(UINT64_C(1) << (number % 64));
    if (set->words[word] == 0)
        set->summary[word / 64] &= ~(UINT64_C(1) << (word % 64));
    set->count--;
}

/** The first member at or after `from`, or TRESOR_NONE. */
static inline uint32_t tresor__bitset_next(const struct tresor__bitset *set, uint32_t from)
{
    if (set->count == 0 || from >= set->size)
        return TRESOR_NONE;
    uint32_t word = from / 64;
    uint64_t rest = set->words[word] >> (from % 64);
    if (rest)
        return from + (uint32_t)__builtin_ctzll(rest);
    uint32_t word_count = (set->size + 63) / 64;
    uint32_t summary_count = (word_count + 63) / 64;
    if (++word >= word_count)
        return TRESOR_NONE;
    uint32_t block = word / 64;
    uint64_t words = set->summary[block] >> (word % 64) << (word % 64);
    while (words == 0) {
        if (++block >= summary_count)
            return TRESOR_NONE;
        words = set->summary[block];
    }
    word = block * 64 + (uint32_t)__builtin_ctzll(words);
    return word * 64 + (uint32_t)__builtin_ctzll(set->words[word]);
}

#endif
