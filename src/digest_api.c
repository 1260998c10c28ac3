/* SPDX-License-Identifier: MIT */
/* Digests that are promised and those that are asked for. */
#include <tresor/digest.h>

#include "backend/digest.h"
#include "context.h"
#include "core/handle.h"
#include "requests.h"

int32_t tresor_can_digest(void)
{
    return tresor__digest_can_sum();
}

static bool is_of_one(uint64_t item)
{
    uint32_t kind = tresor__handle_kind(item);
    return kind == TRESOR__KIND_ITEM_TENSOR || kind == TRESOR__KIND_ITEM_SLICE;
}

static int32_t check_digests(struct tresor_context *context, const struct tresor__slot *slot,
                             const struct tresor_item_digest *digests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tresor__slot *of = NULL;
        int32_t code = tresor__item_find(context, digests[i].item, &of);
        if (code != TRESOR_OK)
            return code;
        if (of != slot || !is_of_one(digests[i].item.value))
            return TRESOR_ERROR_INVALID;
    }
    return TRESOR_OK;
}

/* What was compared with another one has not been compared with this. */
static void set_digest(struct tresor__piece *piece, const struct tresor_digest *digest)
{
    piece->has_digest = true;
    piece->digest_high = digest->high;
    piece->digest_low = digest->low;
    piece->tensor.looked &= (uint8_t)~(uint32_t)TRESOR__LOOK_COMPARE;
    piece->tensor.looking &= (uint8_t)~(uint32_t)TRESOR__LOOK_COMPARE;
}

int32_t tresor_source_set_digests(struct tresor_context *context, struct tresor_source source,
                                  const struct tresor_item_digest *digests, size_t count)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__source_find(context, source, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!tresor__digest_can_sum())
        return TRESOR_ERROR_UNSUPPORTED;
    if (!digests && count > 0)
        return TRESOR_ERROR_INVALID;
    code = check_digests(context, slot, digests, count);
    for (size_t i = 0; code == TRESOR_OK && i < count; i++)
        set_digest(&slot->pieces[tresor__handle_index(digests[i].item.value)], &digests[i].digest);
    return code;
}
