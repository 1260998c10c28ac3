/* SPDX-License-Identifier: MIT */
#include "walk_steps.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAYER_DIGITS_MAX 9
#define BEFORE_LAYERS UINT64_C(0)
#define FIRST_LAYER UINT64_C(1)
#define AFTER_LAYERS (UINT64_MAX - 1)
#define NO_LAYER UINT64_MAX /* yet: where it stands decides */

/** The number of a part of a name; false where it is none. */
static bool number_of(const char *part, size_t length, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        if (part[i] < '0' || part[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(part[i] - '0');
    }
    return length > 0 && length <= LAYER_DIGITS_MAX;
}

/** By the name alone. */
static uint64_t layer_of(const char *name)
{
    const char *part = name;
    for (;;) {
        const size_t length = strcspn(part, ".");
        uint64_t number;
        if (length <= LAYER_DIGITS_MAX && number_of(part, length, &number))
            return FIRST_LAYER + number;
        if (!part[length])
            break;
        part += length + 1;
    }
    if (strncmp(name, "output", strlen("output")) == 0 ||
        strncmp(name, "lm_head", strlen("lm_head")) == 0)
        return AFTER_LAYERS;
    return strstr(name, "embd") || strstr(name, "embed") ? BEFORE_LAYERS : NO_LAYER;
}

static int compare(uint64_t one, uint64_t other)
{
    return (one > other) - (one < other);
}

/** As the files have them. Those of equal offsets are empty, but one, or share bytes. */
static int compare_places(const void *one, const void *other)
{
    const struct walk_step *a = one;
    const struct walk_step *b = other;
    int order = compare(a->file, b->file);
    if (order == 0)
        order = compare(a->offset_bytes, b->offset_bytes);
    return order ? order : compare(a->tensor, b->tensor);
}

static int compare_layers(const void *one, const void *other)
{
    const struct walk_step *a = one;
    const struct walk_step *b = other;
    const int order = compare(a->layer, b->layer);
    return order ? order : compare_places(one, other);
}

/** After they were sorted by place: what is in no layer goes before or after all. */
static void place_the_rest(struct walk_steps *steps)
{
    uint64_t place = BEFORE_LAYERS;
    for (uint32_t i = 0; i < steps->count; i++) {
        struct walk_step *step = &steps->list[i];
        if (step->layer == NO_LAYER)
            step->layer = place;
        else if (step->layer != BEFORE_LAYERS && step->layer != AFTER_LAYERS)
            place = AFTER_LAYERS;
    }
}

static int32_t describe_slice(const struct opened *opened, uint32_t slice, struct walk_step *step)
{
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    const int32_t code =
        tresor_source_get_slice(opened->context, opened->source, step->tensor, slice, &info);
    step->offset_bytes = info.offset_bytes;
    step->size_bytes = info.slice_bytes;
    return code == TRESOR_OK ? tresor_item_of_slice(opened->context, opened->source, step->tensor,
                                                    slice, &step->item)
                             : code;
}

static int32_t describe(const struct opened *opened, struct tresor_item item, uint32_t position,
                        struct walk_step *step)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    uint32_t slice = TRESOR_NONE;
    int32_t code = tresor_item_get_piece(opened->context, item, position, &step->tensor, &slice);
    if (code == TRESOR_OK)
        code = tresor_source_get_tensor(opened->context, opened->source, step->tensor, &info);
    if (code != TRESOR_OK)
        return code;
    step->layer = layer_of(info.name);
    step->file = info.file;
    step->offset_bytes = info.offset_bytes;
    step->size_bytes = info.tensor_bytes;
    return slice == TRESOR_NONE
               ? tresor_item_of_tensor(opened->context, opened->source, step->tensor, &step->item)
               : describe_slice(opened, slice, step);
}

int32_t walk_steps_make(const struct opened *opened, struct tresor_item item,
                        struct walk_steps *steps)
{
    *steps = (struct walk_steps){0};
    int32_t code = tresor_item_measure(opened->context, item, &steps->count, &steps->total_bytes);
    if (code != TRESOR_OK || steps->count == 0)
        return code;
    steps->list = calloc(steps->count, sizeof *steps->list);
    if (!steps->list)
        return TRESOR_ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < steps->count && code == TRESOR_OK; i++)
        code = describe(opened, item, i, &steps->list[i]);
    if (code != TRESOR_OK)
        return code;
    qsort(steps->list, steps->count, sizeof *steps->list, compare_places);
    place_the_rest(steps);
    qsort(steps->list, steps->count, sizeof *steps->list, compare_layers);
    return TRESOR_OK;
}

void walk_steps_free(struct walk_steps *steps)
{
    free(steps->list);
}

static uint64_t pages_of(const struct walk_step *step, uint64_t page_bytes)
{
    if (step->size_bytes == 0)
        return 0;
    const uint64_t last_byte = step->offset_bytes + step->size_bytes - 1;
    return last_byte / page_bytes - step->offset_bytes / page_bytes + 1;
}

const struct walk_step *walk_steps_largest(const struct walk_steps *steps)
{
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    const struct walk_step *largest = steps->list;
    for (uint32_t i = 1; i < steps->count; i++)
        if (pages_of(&steps->list[i], page_bytes) > pages_of(largest, page_bytes))
            largest = &steps->list[i];
    return largest;
}
