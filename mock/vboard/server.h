#ifndef VBOARD_SERVER_H
#define VBOARD_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct board;

/* Where the adapter connects: a TCP port on loopback (0: the kernel chooses), or a Unix socket path. */
struct server_options {
    uint16_t port;
    const char *unix_path; /* NULL: TCP */
    const char *port_file; /* NULL: none; gets the port number once the socket listens */
};

/* Serve one adapter after another until SIGTERM or SIGINT. False, with a message printed, when the socket or
 * the port file cannot be made. */
bool server_run(struct board *board, const struct server_options *options)
    __attribute__((warn_unused_result));

#endif
