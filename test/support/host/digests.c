/* SPDX-License-Identifier: MIT */
/* Digests that are promised, right and wrong ones, and what is told of them. */
#include "host.h"

#ifdef TRESOR__XXHASH
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

static struct tresor_digest digest_of(const struct host_tensor *piece)
{
#ifdef TRESOR__XXHASH
    XXH128_hash_t sum = XXH3_128bits(piece->bytes, (size_t)piece->size_bytes);
    return (struct tresor_digest){sum.high64, sum.low64};
#else
    return (struct tresor_digest){piece->size_bytes, 0};
#endif
}

static void promise_piece(struct host *host, uint32_t index, uint32_t tensor)
{
    struct host_source *source = &host->sources[index];
    struct host_tensor *piece = &source->pieces[tensor];
    struct tresor_item_digest digest = {.digest = digest_of(piece)};
    piece->is_wrong = host_once_in(host, 6);
    digest.digest.low ^= piece->is_wrong;
    int32_t code = tresor_item_of_tensor(host->context, source->handle, tensor, &digest.item);
    if (code == TRESOR_OK)
        code = tresor_source_set_digests(host->context, source->handle, &digest, 1);
    if (code != TRESOR_OK && tresor_can_digest())
        host_violate(host, "the digest of tensor %u cannot be promised: %s", tensor,
                     tresor_error_name(code));
    piece->has_digest = code == TRESOR_OK;
}

void host_promise(struct host *host)
{
    uint32_t index = host_choose_source(host, HOST_OPEN);
    if (index == HOST_SOURCES)
        return;
    struct host_source *source = &host->sources[index];
    for (uint32_t i = 0; i < source->tensor_count; i++)
        if (source->first_slices[i] == 0 && !source->pieces[i].has_digest)
            promise_piece(host, index, i);
}

bool host_has_digests(struct host *host, uint32_t source, const struct tresor_item *items,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t pieces = 0;
        tresor_item_measure(host->context, items[i], &pieces, NULL);
        for (uint32_t k = 0; k < pieces; k++)
            if (!host->sources[source].pieces[host_piece(host, source, items[i], k)].has_digest)
                return false;
    }
    return true;
}

static void see_sum(struct host *host, const struct host_tensor *piece,
                    const struct tresor_event *event)
{
    struct tresor_digest right = digest_of(piece);
    if (event->digest_high != right.high || event->digest_low != right.low)
        host_violate(host, "a digest of %ju bytes is another one", (uintmax_t)piece->size_bytes);
}

/* The source may have been closed before the event was taken, or something be split. */
void host_see_digest(struct host *host, const struct host_request *request,
                     const struct tresor_event *event)
{
    const struct host_source *source = &host->sources[request->source];
    bool is_gone = tresor_item_get_piece(host->context, event->item, 0, NULL, NULL) != TRESOR_OK;
    if (source->state != HOST_OPEN || is_gone)
        return;
    const struct host_tensor *piece =
        &source->pieces[host_piece(host, request->source, event->item, 0)];
    if (request->is_checked && event->done && piece->is_wrong)
        host_violate(host, "what is not as it was promised was taken by %s",
                     tresor_verb_name(event->verb));
    if (event->error.code == TRESOR_ERROR_CORRUPT && !piece->is_wrong)
        host_violate(host, "what is as it was promised is CORRUPT to %s",
                     tresor_verb_name(event->verb));
    if (event->verb == TRESOR_VERB_DIGEST && event->done)
        see_sum(host, piece, event);
}
