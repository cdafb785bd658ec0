/* Ctrl-C (SIGINT) and SIGTERM as bytes in a pipe, for ocdmux_set_interrupt_fd(). */
#ifndef OCDMUX_TOOL_INTERRUPT_H
#define OCDMUX_TOOL_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/*
 * From now on the signals end nothing; a signal that the process was started to ignore stays ignored. The
 * pipe's read end, which lives as long as the process; -1 with errno where there is no pipe to be had.
 */
int interrupt_catch(void);
/* The same for one signal more, behind interrupt_catch(). */
void interrupt_add(int signal_number);
/* Whether a process has sent the signal since the last time that this was asked; what comes from a terminal
 * goes to all of its foreground processes anyway, and does not count. */
bool interrupt_was_sent(int signal_number);

#endif
