/* SPDX-License-Identifier: MIT */
#include "tensor/pressure.h"

#include <tresor/pressure.h>

#include "tensor/controller.h"

uint64_t tresor__pressure_target(uint64_t charged_bytes, uint64_t usage_bytes, uint64_t limit_bytes)
{
    if (limit_bytes == UINT64_MAX)
        return charged_bytes;
    uint64_t wanted = limit_bytes / 10 * 9 + limit_bytes % 10 * 9 / 10;
    if (usage_bytes > wanted) {
        uint64_t excess = usage_bytes - wanted;
        return charged_bytes > excess ? charged_bytes - excess : 0;
    }
    uint64_t room = wanted - usage_bytes;
    return charged_bytes < UINT64_MAX - room ? charged_bytes + room : UINT64_MAX;
}

/* Where there is no limit, nobody knows how much less would do. */
static void shrink(struct tresor__controller *controller)
{
    const struct tresor__pressure_facts *facts = &controller->pressure.facts;
    uint64_t budget_bytes = controller->budget.budget_bytes;
    uint64_t target = tresor__pressure_target(controller->io.room.charged_bytes, facts->usage_bytes,
                                              facts->limit_bytes);
    target = target > 0 ? target : 1; /* 0 would be no budget */
    if (facts->limit_bytes != UINT64_MAX && (budget_bytes == 0 || target < budget_bytes))
        tresor__budget_set(controller, target, TRESOR_NONE);
}

void tresor__pressure_rise(struct tresor__controller *controller, uint32_t kinds)
{
    struct tresor__pressure *pressure = &controller->pressure;
    bool is_queued = pressure->untold != 0;
    pressure->facts = pressure->record;
    pressure->untold |= kinds;
    if (!is_queued)
        tresor__events_add(controller, tresor__event_identifier(TRESOR__EVENT_OF_PRESSURE, 0));
    if (pressure->watched & TRESOR_PRESSURE_SHRINK)
        shrink(controller);
}
