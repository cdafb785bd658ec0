/*
 * A small HTTP/1 server for pages that machines look at: GET and HEAD, one request a connection, everything
 * bounded. libevent's evhttp is not used: it takes any number of connections, spins when descriptors run out,
 * and lets a request take as long as a byte comes now and then.
 *
 *   READING --- whole head, or a fault ---> ANSWERING --- taken by the peer ---> closed
 *      +--- HTTP_LIMIT_MS, end of input ------------+--- HTTP_LIMIT_MS ------------^
 */
#ifndef OCDMUX_SERVER_HTTP_H
#define OCDMUX_SERVER_HTTP_H

#include "base/strbuf.h"
#include "net/address.h"
#include "net/loop.h"

/* Connections at a time; more wait in the kernel's queue. */
#define HTTP_MAX_CONNECTIONS 16u
/* For the request, and then for the answer. */
#define HTTP_LIMIT_MS 5000u
#define HTTP_MAX_LINE 4096u

struct http;

struct http_reply {
    unsigned status;          /* 404 with an empty body unless the page says otherwise */
    const char *content_type; /* static */
    struct strbuf body;
};

/* Fills the answer to `path`. */
typedef void http_page(void *context, const char *path, struct http_reply *reply);

/* Fails as net_listener_new(). */
bool http_new(struct http **ret_http, struct loop *loop, const struct net_address *address, http_page *page,
              void *context, struct err *err) __attribute__((warn_unused_result));
/* Closes everything at once. NULL is allowed. */
void http_free(struct http *http);
/* "127.0.0.1:9100": where it listens. */
const char *http_address(const struct http *http);

#endif
