/* Small things about sockets that streams and listeners share. */
#include "net/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

/* A peer that answers nothing is given up after 60 s + 4 * 15 s. */
#define KEEP_IDLE_S 60
#define KEEP_INTERVAL_S 15
#define KEEP_COUNT 4
/* So is a client that does not take what was sent: while there is some of it, the kernel does not probe. */
#define UNTAKEN_LIMIT_MS 120000

#define DISCARD_SIZE ((size_t)16 * 1024)
#define DISCARD_ROUNDS 64
#define HOST_SIZE 80
#define PORT_SIZE 8

int socket_open(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void socket_address_text(const struct sockaddr_storage *storage, socklen_t length,
                         char text[SOCKET_TEXT_SIZE])
{
    if (length >= sizeof(sa_family_t) && storage->ss_family == AF_UNIX) {
        snprintf(text, SOCKET_TEXT_SIZE, "unix");
        return;
    }
    char host[HOST_SIZE];
    char port[PORT_SIZE];
    if (getnameinfo((const struct sockaddr *)storage, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(text, SOCKET_TEXT_SIZE, "unknown");
        return;
    }
    const char *format = storage->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    snprintf(text, SOCKET_TEXT_SIZE, format, host, port);
}

void socket_peer_text(int fd, char text[SOCKET_TEXT_SIZE])
{
    struct sockaddr_storage storage;
    memset(&storage, 0, sizeof storage);
    socklen_t length = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &length) != 0) {
        length = 0;
    }
    socket_address_text(&storage, length, text);
}

static bool is_tcp(int fd)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    return getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
           (storage.ss_family == AF_INET || storage.ss_family == AF_INET6);
}

static void set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value);
}

void socket_tune(int fd)
{
    if (is_tcp(fd)) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S);
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
    }
}

void socket_tune_accepted(int fd)
{
    socket_tune(fd);
    if (is_tcp(fd)) {
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNTAKEN_LIMIT_MS);
    }
}

void socket_discard_input(int fd)
{
    char scratch[DISCARD_SIZE];
    for (int i = 0; i < DISCARD_ROUNDS; i++) {
        if (recv(fd, scratch, sizeof scratch, MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

bool socket_is_own_peer(int fd)
{
    struct sockaddr_storage near_end;
    struct sockaddr_storage far_end;
    memset(&near_end, 0, sizeof near_end);
    memset(&far_end, 0, sizeof far_end);
    socklen_t near_length = sizeof near_end;
    socklen_t far_length = sizeof far_end;
    if (!is_tcp(fd) || getsockname(fd, (struct sockaddr *)&near_end, &near_length) != 0 ||
        getpeername(fd, (struct sockaddr *)&far_end, &far_length) != 0) {
        return false;
    }
    return near_length == far_length && memcmp(&near_end, &far_end, near_length) == 0;
}
