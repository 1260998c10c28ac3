/* SPDX-License-Identifier: MIT */
/* Opening a source: from where, checked and kept. */
#include <stdio.h>

#include "context.h"
#include "core/handle.h"
#include "core/origin.h"
#include "requests.h"

enum {
    NAME_BYTES = 32, /* of what has no path */
};

static int32_t free_slot(const struct tresor__controller *controller, uint32_t *index)
{
    for (uint32_t i = 0; i < controller->limits.sources; i++) {
        if (controller->slots[i].source.state == SOURCE_FREE) {
            *index = i;
            return TRESOR_OK;
        }
    }
    return TRESOR_ERROR_AGAIN;
}

/* --- from where --- */

/* What another kind has use of is a mistake here, and is told. */
static bool is_path(const struct tresor_source_origin *origin)
{
    return origin->path && origin->flags == 0 && origin->descriptor == 0 && !origin->memory &&
           !origin->read_at && !origin->release;
}

static bool is_descriptor(const struct tresor_source_origin *origin)
{
    return origin->descriptor >= 0 && !(origin->flags & ~(uint32_t)TRESOR_ORIGIN_OWNED) &&
           !origin->memory && !origin->read_at && !origin->release;
}

static bool is_memory(const struct tresor_source_origin *origin)
{
    return origin->memory && origin->flags == 0 && origin->descriptor == 0 &&
           origin->offset_bytes == 0 && origin->length_bytes <= SIZE_MAX && !origin->read_at;
}

static bool is_callback(const struct tresor_source_origin *origin)
{
    return origin->read_at && origin->flags == 0 && origin->descriptor == 0 &&
           origin->offset_bytes == 0 && !origin->memory;
}

static bool is_valid(const struct tresor_source_origin *origin)
{
    static bool (*const checks[])(const struct tresor_source_origin *) = {
        [TRESOR_ORIGIN_PATH] = is_path,
        [TRESOR_ORIGIN_DESCRIPTOR] = is_descriptor,
        [TRESOR_ORIGIN_MEMORY] = is_memory,
        [TRESOR_ORIGIN_CALLBACK] = is_callback,
    };
    return origin->kind < sizeof checks / sizeof checks[0] && origin->reserved == 0 &&
           origin->length_bytes <= INT64_MAX &&
           origin->offset_bytes <= INT64_MAX - origin->length_bytes && checks[origin->kind](origin);
}

static struct tresor__origin origin_of(const struct tresor_source_origin *given)
{
    return (struct tresor__origin){
        .kind = (uint8_t)given->kind,
        .is_owned = given->flags & TRESOR_ORIGIN_OWNED,
        .descriptor = given->descriptor,
        .offset_bytes = given->offset_bytes,
        .length_bytes = given->length_bytes,
        .memory = given->memory,
        .read_at = given->read_at,
        .release = given->release,
        .cookie = given->cookie,
    };
}

static const char *name_of(const struct tresor_source_origin *origin, char name[NAME_BYTES])
{
    if (origin->path)
        return origin->path;
    if (origin->kind == TRESOR_ORIGIN_DESCRIPTOR)
        snprintf(name, NAME_BYTES, "descriptor %d", origin->descriptor);
    else
        snprintf(name, NAME_BYTES, "%s",
                 origin->kind == TRESOR_ORIGIN_MEMORY ? "memory" : "callback");
    return name;
}

/* --- the opening --- */

static int32_t start(struct tresor_context *context, const struct tresor_source_origin *given,
                     uint32_t content, uint32_t index, struct tresor__slot *slot)
{
    struct tresor__controller *controller = &context->controller;
    char name[NAME_BYTES];
    const struct tresor__origin origin = origin_of(given);
    struct tresor__link turn = slot->source.turn;
    slot->source = (struct tresor__source){.index = (uint16_t)index, .turn = turn};
    int32_t code = tresor__model_init(&slot->source.model, &controller->allocator, &controller->io,
                                      (uint16_t)index, controller->limits.hash_key, &origin,
                                      name_of(given, name));
    if (content == TRESOR_CONTENT_BLOB)
        slot->source.model.parser.format = TRESOR__FORMAT_BLOB;
    return code;
}

static void limit_decoding(struct tresor__model *model, const struct tresor_source_options *options)
{
    if (options->max_decoded_bytes > 0)
        model->max_decoded_bytes = options->max_decoded_bytes;
    if (options->max_ratio > 0)
        model->max_ratio = options->max_ratio == UINT32_MAX ? UINT64_MAX : options->max_ratio;
}

/* So much is reserved with what it is rounded up by. */
static bool are_options_valid(const struct tresor_source_options *options)
{
    return options->content <= TRESOR_CONTENT_BLOB && options->max_decoded_bytes <= INT64_MAX / 2;
}

static int32_t open(struct tresor_context *context, const struct tresor_source_origin *origin,
                    const struct tresor_source_options *options, struct tresor_source *source,
                    struct tresor_request *request)
{
    struct tresor__controller *controller = &context->controller;
    uint32_t index = 0;
    int32_t code = free_slot(controller, &index);
    if (code != TRESOR_OK || controller->free_request == TRESOR_NONE)
        return TRESOR_ERROR_AGAIN;
    struct tresor__slot *slot = &controller->slots[index];
    code = start(context, origin, options->content, index, slot);
    if (code != TRESOR_OK)
        return code;
    limit_decoding(&slot->source.model, options);
    if (slot->generation == 0)
        slot->generation = tresor__generation_next(0);
    struct tresor__request *made = tresor__requests_take(controller, TRESOR_VERB_OPEN, index);
    made->cookie = options->cookie;
    made->total = 1;
    slot->request = made->index;
    source->value = tresor__handle_make(TRESOR__KIND_SOURCE, index, slot->generation);
    *request = tresor__requests_submit(context, made);
    return TRESOR_OK;
}

int32_t tresor_source_open_with(struct tresor_context *context,
                                const struct tresor_source_origin *given,
                                const struct tresor_source_options *given_options,
                                struct tresor_source *source, struct tresor_request *request)
{
    struct tresor_source_origin origin;
    struct tresor_source_options options = {0};
    int32_t code = tresor__context_enter(context);
    if (code != TRESOR_OK)
        return code;
    if (!given || !source || !request)
        return TRESOR_ERROR_INVALID;
    code = tresor__options_copy(&origin, sizeof origin, given);
    if (code == TRESOR_OK && given_options)
        code = tresor__options_copy(&options, sizeof options, given_options);
    if (code == TRESOR_OK && (!is_valid(&origin) || !are_options_valid(&options)))
        code = TRESOR_ERROR_INVALID;
    return code == TRESOR_OK ? open(context, &origin, &options, source, request) : code;
}

int32_t tresor_source_open(struct tresor_context *context, const char *path, uint64_t cookie,
                           struct tresor_source *source, struct tresor_request *request)
{
    const struct tresor_source_origin origin = {
        .size_bytes = sizeof origin,
        .kind = TRESOR_ORIGIN_PATH,
        .path = path,
    };
    const struct tresor_source_options options = {.size_bytes = sizeof options, .cookie = cookie};
    return tresor_source_open_with(context, &origin, &options, source, request);
}
