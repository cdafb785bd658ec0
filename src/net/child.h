/*
 * A child process in the event loop: its output by lines, its end, and its orderly stop.
 *
 * It leads a process group of its own, and is killed by the kernel when this process dies, however that
 * happens (PR_SET_PDEATHSIG of prctl(2)). That holds for the child itself, unless its program is set-user-ID;
 * what it starts is in its group, which is killed when the child has ended. Standard input is empty; no
 * descriptor is inherited but standard output and error, which come here together.
 *
 * Callbacks run from the loop, never from inside a call of this interface. After child_free() none runs.
 */
#ifndef OCDMUX_NET_CHILD_H
#define OCDMUX_NET_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "net/loop.h"

#define CHILD_MOST_LINE 1024u
/* What a child ends with that could not run its program; the reason is its last line. */
#define CHILD_EXIT_NOT_RUN 127
/* How that line begins. */
#define CHILD_NOT_RUN_WORDS "cannot run "

struct child;

struct child_end {
    bool by_signal;
    int number; /* the signal, or the exit status */
};

struct child_handler {
    /* A line of its output, without its end; of one longer than CHILD_MOST_LINE the beginning. Any bytes. */
    void (*line)(void *context, const char *text, size_t length);
    /* Once, behind all its lines. The child may be freed. */
    void (*ended)(void *context, const struct child_end *end);
};

/*
 * Starts `argv` (NULL-ended; the program is looked up in PATH). Fails with internal_error where the system
 * has no process or descriptor left; a program that cannot be run ends with CHILD_EXIT_NOT_RUN.
 */
bool child_start(struct child **ret_child, struct loop *loop, char *const argv[],
                 const struct child_handler *handler, void *context, struct err *err)
    __attribute__((warn_unused_result));
/* SIGTERM to its group, and SIGKILL `limit_ms` later if it is still there. Again: the earlier limit counts.
 */
void child_stop(struct child *child, uint64_t limit_ms);
/* SIGKILLs the group of one that runs. Allowed inside its callbacks. NULL is allowed. */
void child_free(struct child *child);

pid_t child_pid(const struct child *child);
/* "exit status 1", "signal 9 (Killed)". */
#define CHILD_END_TEXT_SIZE 64
void child_end_text(const struct child_end *end, char text[CHILD_END_TEXT_SIZE]);

#endif
