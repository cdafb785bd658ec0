/* Small things about sockets that streams and listeners share. */
#ifndef OCDMUX_NET_SOCKET_H
#define OCDMUX_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Room for "[IPv6 address%interface]:PORT". */
#define SOCKET_TEXT_SIZE 96

/* A non-blocking, close-on-exec stream socket, or -1 with errno. */
int socket_open(int family);

/* "127.0.0.1:40312", "[::1]:40312", "unix", or "unknown" for any other address. */
void socket_address_text(const struct sockaddr_storage *storage, socklen_t length,
                         char text[SOCKET_TEXT_SIZE]);
/* The same of the peer of `fd`; "unknown" if it is gone already. */
void socket_peer_text(int fd, char text[SOCKET_TEXT_SIZE]);

/* Sets TCP_NODELAY, and probes that find out within two minutes that the other machine is gone; does nothing
 * to a socket that is not TCP. */
void socket_tune(int fd);
/* The same for a client's socket, which is also given up when it takes nothing of what was sent for two
 * minutes. */
void socket_tune_accepted(int fd);

/* Throws away what the peer has sent already, up to a mebibyte: a socket that is closed with bytes unread
 * sends a reset, which can overtake what the peer has yet to read. */
void socket_discard_input(int fd);

/*
 * Whether a TCP socket is connected to itself. Connecting to a port of the local host that nobody listens on
 * can do that, where the kernel happens to choose the same port for the near end.
 */
bool socket_is_own_peer(int fd);

#endif
