/* SPDX-License-Identifier: MIT */
/*
 * Makes a machine's enums. The includer defines TRESOR__DEF (the .def's path) and TRESOR__S(name), TRESOR__E(name)
 * (how a state and an event are called). No guard: included once a machine.
 */
enum {
#define STATE(name, kind, text) TRESOR__S(name),
#include TRESOR__DEF
    TRESOR__S(STATE_COUNT),
    TRESOR__S(STAY) = 0xff
};

enum {
#define EVENT(name, kind) TRESOR__E(name),
#include TRESOR__DEF
    TRESOR__E(EVENT_COUNT)
};

#undef TRESOR__DEF
#undef TRESOR__S
#undef TRESOR__E
