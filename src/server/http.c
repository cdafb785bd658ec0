/* Connections of machines that look at pages. */
#include "server/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/stream.h"
#include "server/http_head.h"

struct http {
    struct loop *loop;
    struct net_listener *listener;
    http_page *page;
    void *context;
    struct list connections;
    size_t count;
};

struct connection {
    struct list node;
    struct http *http;
    struct net_stream *stream;
    struct loop_timer *limit;
    bool answering;
    struct http_head head;
};

static void free_connection(void *object)
{
    free(object);
}

/* Its stream has been closed. */
static void forget(struct connection *connection)
{
    struct http *http = connection->http;
    loop_timer_free(connection->limit);
    list_remove(&connection->node);
    if (http->count-- == HTTP_MAX_CONNECTIONS) {
        net_listener_resume(http->listener);
    }
    loop_bury(http->loop, connection, free_connection);
}

static void drop(struct connection *connection)
{
    net_stream_close(connection->stream);
    forget(connection);
}

/* The socket has taken all of the answer. */
static void finish(struct connection *connection)
{
    net_stream_close_flushed(connection->stream, 0);
    forget(connection);
}

/* May free the connection. */
static void send_answer(struct connection *connection, struct http_reply *reply)
{
    struct strbuf out = STRBUF_INIT;
    const char *reason = http_status_text(reply->status);
    if (reply->body.length == 0) {
        reply->content_type = "text/plain; charset=utf-8";
        strbuf_appendf(&reply->body, "%s\n", reason);
    }
    strbuf_appendf(&out, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", reply->status,
                   reason, reply->content_type, reply->body.length);
    if (reply->status == 405) {
        strbuf_append_text(&out, "Allow: GET, HEAD\r\n");
    }
    strbuf_append_text(&out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                             "Connection: close\r\n\r\n");
    if (!connection->head.only_head) {
        strbuf_append(&out, reply->body.data, reply->body.length);
    }
    strbuf_fini(&reply->body);
    connection->answering = true;
    net_stream_pause(connection->stream);
    loop_timer_set(connection->limit, HTTP_LIMIT_MS);
    net_stream_write_take(connection->stream, &out);
    if (net_stream_pending(connection->stream) == 0) {
        finish(connection);
    }
}

static void send_status(struct connection *connection, unsigned status)
{
    struct http_reply reply = {.status = status, .body = STRBUF_INIT};
    send_answer(connection, &reply);
}

static void on_line(void *context, const char *line, size_t length)
{
    struct connection *connection = context;
    struct http *http = connection->http;
    if (connection->answering) {
        return; /* one request a connection */
    }
    switch (http_head_line(&connection->head, line, length)) {
    case HTTP_MORE:
        return;
    case HTTP_REFUSED:
        send_status(connection, connection->head.status);
        return;
    case HTTP_READY:
        break;
    }
    struct http_reply reply = {.status = 404, .content_type = "text/plain", .body = STRBUF_INIT};
    http->page(http->context, connection->head.path, &reply);
    send_answer(connection, &reply);
}

static void on_line_too_long(void *context)
{
    struct connection *connection = context;
    if (!connection->answering) {
        send_status(connection, 431);
    }
}

static void on_drained(void *context)
{
    struct connection *connection = context;
    if (connection->answering) {
        finish(connection);
    }
}

static void on_eof(void *context)
{
    struct connection *connection = context;
    if (!connection->answering) {
        drop(connection);
    }
}

static void on_failed(void *context, const char *reason)
{
    (void)reason;
    drop(context);
}

static void on_limit(void *context)
{
    struct connection *connection = context;
    if (connection->answering) {
        drop(connection);
    } else {
        send_status(connection, 408);
    }
}

static const struct net_stream_handler stream_handler = {
    .line = on_line,
    .line_too_long = on_line_too_long,
    .drained = on_drained,
    .eof = on_eof,
    .failed = on_failed,
};

static void on_accepted(void *context, int fd)
{
    struct http *http = context;
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->http = http;
    connection->limit = loop_timer_new(http->loop, on_limit, connection);
    connection->stream = net_stream_accept(http->loop, fd, &stream_handler, connection, HTTP_MAX_LINE);
    list_append(&http->connections, &connection->node);
    loop_timer_set(connection->limit, HTTP_LIMIT_MS);
    if (++http->count == HTTP_MAX_CONNECTIONS) {
        net_listener_pause(http->listener);
    }
}

bool http_new(struct http **ret_http, struct loop *loop, const struct net_address *address, http_page *page,
              void *context, struct err *err)
{
    struct http *http = xcalloc(1, sizeof *http);
    http->loop = loop;
    http->page = page;
    http->context = context;
    list_init(&http->connections);
    if (!net_listener_new(&http->listener, loop, address, on_accepted, http, err)) {
        free(http);
        return false;
    }
    *ret_http = http;
    return true;
}

void http_free(struct http *http)
{
    if (http == NULL) {
        return;
    }
    while (!list_is_empty(&http->connections)) {
        drop(list_entry(http->connections.next, struct connection, node));
    }
    net_listener_free(http->listener);
    free(http);
}

const char *http_address(const struct http *http)
{
    return net_listener_text(http->listener) + strlen("tcp:");
}
