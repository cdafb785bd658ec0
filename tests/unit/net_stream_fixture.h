/* A stream under test, the other end as a plain socket, and a record of what the stream's callbacks said. */
#ifndef OCDMUX_TESTS_NET_STREAM_FIXTURE_H
#define OCDMUX_TESTS_NET_STREAM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "net/stream.h"
#include "net_wait.h"

enum fixture_reaction {
    FIXTURE_GOES_ON,
    FIXTURE_PAUSES,  /* at each line or piece */
    FIXTURE_CLOSES,  /* at the first callback */
    FIXTURE_FLUSHES, /* closes with a flush at the first callback */
    FIXTURE_ECHOES,  /* writes each line back */
};

struct fixture {
    struct loop *loop;
    struct net_stream *stream; /* NULL once closed */
    int peer;                  /* the other end, non-blocking; -1: none */
    enum fixture_reaction reaction;
    bool in_call; /* a call of the interface is on the stack: no callback may come */
    struct strbuf
        told; /* "[line]", "!" too long, "<bytes>", "C" connected, "D" drained, "E" eof, "F" failed */
    char reason[128];
    struct strbuf got; /* what the peer read */
    bool peer_saw_end; /* end of file, or a reset */
    size_t wanted;     /* for fixture_peer_got() and the like */
};

static struct fixture fixture;

static inline void fixture_react(void)
{
    assert_false(fixture.in_call);
    assert_non_null(fixture.stream);
    struct net_stream *stream = fixture.stream;
    switch (fixture.reaction) {
    case FIXTURE_GOES_ON:
    case FIXTURE_ECHOES:
        break;
    case FIXTURE_PAUSES:
        net_stream_pause(stream);
        break;
    case FIXTURE_CLOSES:
        fixture.stream = NULL;
        net_stream_close(stream);
        break;
    case FIXTURE_FLUSHES:
        fixture.stream = NULL;
        net_stream_close_flushed(stream, 5000);
        break;
    }
}

static inline void fixture_line(void *context, const char *line, size_t length)
{
    assert_ptr_equal(context, &fixture);
    assert_int_equal(line[length], '\0');
    strbuf_append_byte(&fixture.told, '[');
    strbuf_append(&fixture.told, line, length);
    strbuf_append_byte(&fixture.told, ']');
    if (fixture.reaction == FIXTURE_ECHOES) {
        net_stream_write(fixture.stream, line, length);
    }
    fixture_react();
    assert_int_equal(line[length], '\0'); /* still there, whatever the reaction was */
}

static inline void fixture_note(void *context, const char *word)
{
    assert_ptr_equal(context, &fixture);
    strbuf_append_text(&fixture.told, word);
    fixture_react();
}

static inline void fixture_line_too_long(void *context)
{
    fixture_note(context, "!");
}

static inline void fixture_bytes(void *context, const uint8_t *bytes, size_t length)
{
    assert_true(length > 0);
    strbuf_append_byte(&fixture.told, '<');
    strbuf_append(&fixture.told, bytes, length);
    fixture_note(context, ">");
}

static inline void fixture_connected(void *context)
{
    fixture_note(context, "C");
}

static inline void fixture_drained(void *context)
{
    fixture_note(context, "D");
}

static inline void fixture_eof(void *context)
{
    fixture_note(context, "E");
}

static inline void fixture_failed(void *context, const char *reason)
{
    snprintf(fixture.reason, sizeof fixture.reason, "%s", reason);
    fixture_note(context, "F");
}

static const struct net_stream_handler fixture_lines = {
    .line = fixture_line,
    .line_too_long = fixture_line_too_long,
    .connected = fixture_connected,
    .drained = fixture_drained,
    .eof = fixture_eof,
    .failed = fixture_failed,
};

static const struct net_stream_handler fixture_raw = {
    .bytes = fixture_bytes,
    .connected = fixture_connected,
    .drained = fixture_drained,
    .eof = fixture_eof,
    .failed = fixture_failed,
};

static inline int fixture_set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    fixture.loop = loop_new();
    fixture.peer = -1;
    return 0;
}

static inline void fixture_close_peer(void)
{
    if (fixture.peer >= 0) {
        close(fixture.peer);
    }
    fixture.peer = -1;
}

static inline int fixture_tear_down(void **state)
{
    (void)state;
    net_stream_close(fixture.stream);
    fixture_close_peer();
    loop_free(fixture.loop);
    strbuf_fini(&fixture.told);
    strbuf_fini(&fixture.got);
    return 0;
}

static inline void fixture_set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static inline void fixture_accept(int fd, const struct net_stream_handler *handler, size_t max_line)
{
    fixture_set_nonblocking(fd);
    fixture_set_nonblocking(fixture.peer);
    fixture.in_call = true;
    fixture.stream = net_stream_accept(fixture.loop, fd, handler, &fixture, max_line);
    fixture.in_call = false;
}

/* The stream on one end of a pair of Unix sockets of `type`. */
static inline void fixture_open_pair(int type, const struct net_stream_handler *handler, size_t max_line)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    fixture.peer = ends[1];
    fixture_accept(ends[0], handler, max_line);
}

/* A socket that listens on 127.0.0.1, and its address. */
static inline int fixture_listen(struct sockaddr_in *ret_address)
{
    socklen_t length = sizeof *ret_address;
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sin_family = AF_INET;
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)ret_address, sizeof *ret_address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &length), 0);
    return fd;
}

/* The stream accepts a TCP connection that the peer made. */
static inline void fixture_open_tcp(const struct net_stream_handler *handler, size_t max_line)
{
    struct sockaddr_in address;
    int listening = fixture_listen(&address);
    fixture.peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fixture.peer >= 0);
    assert_int_equal(connect(fixture.peer, (const struct sockaddr *)&address, sizeof address), 0);
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    close(listening);
    fixture_accept(fd, handler, max_line);
}

static inline void fixture_write(const void *bytes, size_t length)
{
    fixture.in_call = true;
    net_stream_write(fixture.stream, bytes, length);
    fixture.in_call = false;
}

static inline void fixture_write_text(const char *text)
{
    fixture_write(text, strlen(text));
}

static inline void fixture_peer_send(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fixture.peer, bytes, length, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes += sent;
        length -= (size_t)sent;
    }
}

static inline void fixture_peer_send_text(const char *text)
{
    fixture_peer_send(text, strlen(text));
}

/* Takes at most `limit` bytes of what is there. */
static inline void fixture_peer_read(size_t limit)
{
    char piece[16384];
    while (limit > 0 && !fixture.peer_saw_end) {
        ssize_t length = recv(fixture.peer, piece, limit < sizeof piece ? limit : sizeof piece, 0);
        if (length < 0 && errno == EAGAIN) {
            return;
        }
        if (length <= 0) {
            fixture.peer_saw_end = true;
            return;
        }
        strbuf_append(&fixture.got, piece, (size_t)length);
        limit -= (size_t)length;
    }
}

static inline bool fixture_told_contains(void *context)
{
    return strstr(strbuf_text(&fixture.told), context) != NULL;
}

/* Waits for `text` in what the callbacks said. */
static inline void fixture_wait_told(const char *text)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    if (!net_wait_until(fixture.loop, fixture_told_contains, copy)) {
        fail_msg("waited in vain for \"%s\" in \"%s\"", text, strbuf_text(&fixture.told));
    }
}

static inline bool fixture_has_received(void *context)
{
    (void)context;
    return net_stream_received(fixture.stream) >= fixture.wanted;
}

static inline void fixture_wait_received(size_t count)
{
    fixture.wanted = count;
    assert_true(net_wait_until(fixture.loop, fixture_has_received, NULL));
}

static inline bool fixture_peer_has_got(void *context)
{
    (void)context;
    fixture_peer_read(SIZE_MAX);
    return fixture.got.length >= fixture.wanted || fixture.peer_saw_end;
}

static inline void fixture_wait_peer_got(size_t count)
{
    fixture.wanted = count;
    assert_true(net_wait_until(fixture.loop, fixture_peer_has_got, NULL));
    assert_true(fixture.got.length >= count);
}

static inline bool fixture_peer_has_ended(void *context)
{
    (void)context;
    fixture_peer_read(SIZE_MAX);
    return fixture.peer_saw_end;
}

static inline void fixture_wait_peer_end(void)
{
    assert_true(net_wait_until(fixture.loop, fixture_peer_has_ended, NULL));
}

static inline void fixture_assert_told(const char *expected)
{
    assert_string_equal(strbuf_text(&fixture.told), expected);
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

#endif
