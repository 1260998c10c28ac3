/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_OBSERVE_H
#define TRESOR_OBSERVE_H

#include <stddef.h>
#include <stdint.h>

#include <tresor/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One transition, as constant data: it names slots, never addresses or descriptors. */
struct tresor_transition {
    uint64_t sequence;   /**< from 1, without gaps */
    const char *machine; /**< static texts, all of them */
    const char *from;
    const char *event;
    const char *to;     /**< equal to `from` where the state stayed */
    const char *guard;  /**< "" where the rule has none */
    const char *action; /**< "none" where it has none */
    uint32_t source;    /**< slot of the source, 0 for machines of the context */
    uint32_t slot;      /**< instance of the machine */
    int32_t os_errno;   /**< of the completion that caused it, or 0 */
};

/** Called on the context's thread, inside dispatch; it must not call the library. */
typedef void tresor_observer(void *cookie, const struct tresor_transition *transition);

/** The table of one machine. Static; any thread. */
struct tresor_machine_info {
    const char *name;
    const char *text; /**< what one instance stands for */
    uint32_t state_count;
    uint32_t event_count;
};

struct tresor_state_info {
    const char *name;
    const char *text; /**< what is owned and awaited */
    uint32_t waiting; /**< 1 if a completion or another machine's answer is awaited */
};

/** One rule of a cell; rules are tried in order and the first whose guard holds is taken. */
struct tresor_rule_info {
    const char *guard; /**< "" : always */
    const char *action;
    uint32_t target; /**< state */
};

/** The number of machines. */
TRESOR_API uint32_t tresor_machine_count(void);

/** Fill `info`; returns 1, or 0 if there is no such machine, state, event or rule. */
TRESOR_API int32_t tresor_machine_info(uint32_t machine, struct tresor_machine_info *info);
TRESOR_API int32_t tresor_machine_state(uint32_t machine, uint32_t state,
                                        struct tresor_state_info *info);
TRESOR_API int32_t tresor_machine_rule(uint32_t machine, uint32_t state, uint32_t event,
                                       uint32_t rule, struct tresor_rule_info *info);

/** The event's name, or NULL. */
TRESOR_API const char *tresor_machine_event(uint32_t machine, uint32_t event);

#ifdef __cplusplus
}
#endif

#endif
