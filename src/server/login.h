/*
 * Who a client is: found out when its connection opens (user or certificate), and once more when it shows a
 * token.
 */
#ifndef OCDMUX_SERVER_LOGIN_H
#define OCDMUX_SERVER_LOGIN_H

#include "server/request.h"

/* Bytes of a line of somebody without any role: he has no use for more, and there may be thousands like him.
 */
#define LOGIN_MAX_LINE 16384u
/* A connection that has given so many wrong tokens is closed behind the last answer. */
#define LOGIN_MAX_WRONG 5u

/* Who is at the other end of a connection, before it has said anything. */
struct login_peer {
    const struct config_grant *grant;
    char identity[CONFIG_IDENTITY_SIZE];
    char address[96];         /* what its wrong tokens count for */
    const char *how;          /* static: what it is known by */
    bool strange_certificate; /* it showed one, which is of no identity */
};

/* The stream is open, and through its handshake. */
void login_look(const struct config_identities *identities, const struct net_stream *stream,
                struct login_peer *ret_peer);

/* The connection is open: takes the identity that it brings, `anonymous` if none. */
void login_begin(struct client *client);

enum login_result {
    LOGIN_DONE,    /* the client's identity is the token's */
    LOGIN_REFUSED, /* `err` says why */
    LOGIN_DELAYED, /* a wrong token: the request will be answered, later */
};

/* `server.hello` with a token. */
enum login_result login_by_token(struct request *request, const char *token, size_t length, struct err *err);

#endif
