/*
 * Where to listen or to connect: "tcp:HOST:PORT" ("tcp:[::1]:6670" for IPv6), "tls:HOST:PORT", or
 * "unix:PATH". Host names are looked up when the text is parsed, that is at start: nothing blocks on a name
 * server later.
 */
#ifndef OCDMUX_NET_ADDRESS_H
#define OCDMUX_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

struct net_address {
    struct sockaddr_storage storage;
    socklen_t length;
    bool tls;       /* "tls:", a TCP address whose connections speak TLS */
    int passed_fd;  /* a socket of that address that listens already; 0: there is none */
    char text[256]; /* as given */
};

/* Fails with invalid_params (a wrong form, an unknown host, a port outside 0 to 65535, a path over 107
 * bytes). */
bool net_address_parse(struct net_address *ret_address, const char *text, struct err *err)
    __attribute__((warn_unused_result));
/* "HOST:PORT" without a scheme, as `--openocd` takes it; "tcp:HOST:PORT" and "unix:PATH" are taken too. */
bool net_address_parse_host_port(struct net_address *ret_address, const char *text, struct err *err)
    __attribute__((warn_unused_result));
/* Where the socket `fd` is bound, with `passed_fd` set. False where that is neither TCP nor a Unix socket's
 * path. */
bool net_address_of_socket(struct net_address *ret_address, int fd) __attribute__((warn_unused_result));
/* Whether both mean the same place, with TLS or without. */
bool net_address_is_same(const struct net_address *one, const struct net_address *other);
/* 0 to 65535; 1 for a Unix socket, which has none. */
unsigned net_address_port(const struct net_address *address);
/* The same host with another port, from 1 to 65535. False for a Unix socket, which has no host. */
bool net_address_with_port(const struct net_address *address, unsigned port, struct net_address *ret_address)
    __attribute__((warn_unused_result));
/* Another port of the same host, 1 to 65535, in the text too; nothing happens to a Unix socket. */
void net_address_set_port(struct net_address *address, unsigned port);
/* 127.0.0.0/8, ::1 or a Unix socket. */
bool net_address_is_local(const struct net_address *address);

#endif
