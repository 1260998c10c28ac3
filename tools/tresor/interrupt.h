/* SPDX-License-Identifier: MIT */
#ifndef TOOL_INTERRUPT_H
#define TOOL_INTERRUPT_H

/** From here on SIGINT, SIGTERM and SIGHUP are remembered, so that a command can tidy up first. */
void interrupt_catch(void);

/** The signal that came, or 0. */
int interrupt_signal(void);

/** End the process by the signal that came, as its parent expects; returns if none came. */
void interrupt_finish(void);

#endif
