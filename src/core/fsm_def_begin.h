/* SPDX-License-Identifier: MIT */
/*
 * The first line of every .def: what an includer does not want becomes nothing. No guard: included once a pass.
 *
 * STATE(NAME, RESTING|WAITING, "what is owned and awaited")
 * EVENT(NAME, REQUEST|COMPLETION|SIGNAL)
 * CELL(STATE, EVENT, WHEN(guard, action, TARGET)... ELSE(action, TARGET))
 * ALL_WAITING(EVENT, ...): the rules of every WAITING state that has no cell of its own for the event
 */
#ifndef STATE
#define STATE(name, kind, text)
#endif
#ifndef EVENT
#define EVENT(name, kind)
#endif
#ifndef CELL
#define CELL(state, event, rules)
#endif
#ifndef ALL_WAITING
#define ALL_WAITING(event, rules)
#endif
