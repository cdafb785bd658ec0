/*
 * Who a client is: found out when its connection opens (user or certificate), and once more when it shows a
 * token.
 */
#ifndef OCDMUX_SERVER_LOGIN_H
#define OCDMUX_SERVER_LOGIN_H

#include "server/request.h"

/* Who may do nothing before he has said who he is has so long to do it. */
#define LOGIN_LIMIT_MS 10000u
/* A connection that has given so many wrong tokens is closed behind the last answer. */
#define LOGIN_MAX_WRONG 5u

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
