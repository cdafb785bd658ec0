/* Ctrl-C (SIGINT) and SIGTERM as bytes in a pipe, for ocdmux_set_interrupt_fd(). */
#ifndef OCDMUX_TOOL_INTERRUPT_H
#define OCDMUX_TOOL_INTERRUPT_H

/*
 * From now on the signals end nothing; a signal that the process was started to ignore stays ignored. The
 * pipe's read end, which lives as long as the process; -1 with errno where there is no pipe to be had.
 */
int interrupt_catch(void);

#endif
