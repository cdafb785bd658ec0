/* A server on another host, reached by `ssh HOST ocdmux stdio`. */
#ifndef OCDMUX_CLIENT_SSH_H
#define OCDMUX_CLIENT_SSH_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/ocdmux.h"

/*
 * Starts it, or the program that $OCDMUX_SSH names in its place, with its standard input and output joined to
 * the non-blocking socket `*ret_fd`. Fails with invalid_params for a HOST that is empty or that ssh would
 * take for an option, else with connection_failed. That it cannot reach the host shows later, as an end of
 * input.
 */
bool ssh_start(const char *host, int *ret_fd, pid_t *ret_child, struct ocdmux_error *error)
    __attribute__((warn_unused_result));
/* Waits for its end, which comes once its input has ended; after two seconds it is made to. */
void ssh_stop(pid_t child);

#endif
