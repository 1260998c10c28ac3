/* SPDX-License-Identifier: MIT */
#include "core/effect.h"

const char *tresor__effect_name(uint32_t kind)
{
    static const char *const names[] = {
#define EFFECT(name, text) #name,
#include "core/effects.def"
#undef EFFECT
    };
    return kind < TRESOR__EFFECT_COUNT ? names[kind] : "UNKNOWN";
}
