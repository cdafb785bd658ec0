/* A listening socket. Running out of descriptors pauses accepting for 100 ms and is logged once until it
 * ends. */
#ifndef OCDMUX_NET_LISTENER_H
#define OCDMUX_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"
#include "net/loop.h"

struct net_listener;

/*
 * `accepted` gets a connected, non-blocking, close-on-exec socket and owns it. A Unix socket's path is made
 * with mode 0660 less the umask; a stale socket file that nobody answers on is replaced, any other file is an
 * error. Where the address has a socket that was passed, that one is taken over. Fails with internal_error,
 * naming the address and the system's reason.
 */
bool net_listener_new(struct net_listener **ret_listener, struct loop *loop,
                      const struct net_address *address, void (*accepted)(void *context, int fd),
                      void *context, struct err *err) __attribute__((warn_unused_result));
/* Closes, and removes a Unix socket's file if it is still the one that was made. */
void net_listener_free(struct net_listener *listener);
/* "tcp:127.0.0.1:6670" or "tls:..." with the port that the kernel chose where 0 was asked for, or
 * "unix:PATH".
 */
const char *net_listener_text(const struct net_listener *listener);
/* Lets every user of this machine connect to a Unix socket, whatever the umask: for owners that ask the
 * kernel who each of them is. Does nothing to others. */
void net_listener_admit_all(struct net_listener *listener);
/* Stops and goes on accepting: for a limit on the number of clients. */
void net_listener_pause(struct net_listener *listener);
void net_listener_resume(struct net_listener *listener);

#endif
