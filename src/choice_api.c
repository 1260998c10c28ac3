/* SPDX-License-Identifier: MIT */
/* What was chosen for a tensor, for who asks. */
#include <tresor/choice.h>

#include "context.h"
#include "requests.h"

int32_t tresor_get_choice(struct tresor_context *context, struct tresor_item item,
                          struct tresor_choice *choice)
{
    struct tresor__slot *slot = NULL;
    int32_t code = tresor__item_find(context, item, &slot);
    if (code != TRESOR_OK)
        return code;
    if (!choice || tresor__items_count(slot, item.value) != 1)
        return TRESOR_ERROR_INVALID;
    uint32_t piece = tresor__items_piece(slot, item.value, 0);
    *choice = tresor__choice_of(&context->controller, &slot->pieces[piece]);
    return TRESOR_OK;
}
