/* The connection: blocking socket calls around the envelope's decoder. */
#include "session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIME_LIMIT_S 10

static void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void keep(struct strbuf *part, const char *bytes, size_t length)
{
    strbuf_clear(part);
    strbuf_append(part, bytes, length);
}

static void on_reply(void *context, const char *nonce, const struct ocd_reply *reply)
{
    struct session *session = context;
    if (strcmp(nonce, session->nonce) != 0) {
        session->foreign++;
        return;
    }
    session->answered = true;
    session->code = reply->code;
    keep(&session->result, reply->result, reply->result_length);
    keep(&session->log, reply->log, reply->log_length);
    keep(&session->options, reply->options, reply->options_length);
}

static void on_notification(void *context, const char *type, const char *value)
{
    struct session *session = context;
    strbuf_appendf(&session->notifications, "%s %s\n", type, value);
}

static void on_too_long(void *context)
{
    struct session *session = context;
    session->too_long++;
}

static void on_stray(void *context, const char *bytes, size_t length)
{
    struct session *session = context;
    strbuf_append(&session->strays, bytes, length);
    strbuf_append_byte(&session->strays, '\n');
}

static void on_broken(void *context, const char *reason)
{
    (void)context;
    fprintf(stderr, "the decoder broke off: %s\n", reason);
    exit(EXIT_FAILURE);
}

static const struct envelope_handler session_handler = {on_reply, on_notification, on_too_long, on_stray,
                                                        on_broken};

void session_open(struct session *session, unsigned short port)
{
    const struct timeval limit = {.tv_sec = TIME_LIMIT_S};
    const int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(session, 0, sizeof(*session));
    session->decoder = envelope_decoder_new(&session_handler, session);
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0 || setsockopt(session->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(session->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        connect(session->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        give_up("connect");
    }
}

void session_close(struct session *session)
{
    close(session->fd);
    envelope_decoder_free(session->decoder);
    strbuf_fini(&session->result);
    strbuf_fini(&session->log);
    strbuf_fini(&session->options);
    strbuf_fini(&session->notifications);
    strbuf_fini(&session->strays);
}

void session_send(struct session *session, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(session->fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            give_up("send");
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

void session_receive(struct session *session)
{
    /* Mostly large, and small ones between, so that frames are cut in many places. */
    static const size_t sizes[] = {65536, 7, 4096, 1, 16384, 2, 40, 65536};
    static uint8_t bytes[65536];
    size_t size = sizes[session->received++ % (sizeof(sizes) / sizeof(sizes[0]))];
    ssize_t got = recv(session->fd, bytes, size, 0);
    if (got <= 0) {
        give_up(got == 0 ? "OpenOCD closed the connection" : "recv");
    }
    envelope_decoder_feed(session->decoder, bytes, (size_t)got);
}

bool session_run(struct session *session, const char *script, size_t length)
{
    struct strbuf command = STRBUF_INIT;
    snprintf(session->nonce, sizeof(session->nonce), "nonce%u", ++session->serial);
    session->answered = false;
    bool fits = envelope_encode(&command, session->nonce, script, length);
    if (fits) {
        session_send(session, command.data, command.length);
    }
    strbuf_fini(&command);
    while (fits && !session->answered) {
        session_receive(session);
    }
    return fits;
}

bool session_do(struct session *session, const char *script)
{
    return session_run(session, script, strlen(script)) && session->code == 0;
}
