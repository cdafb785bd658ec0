/*
 * The adapter's socket. One adapter at a time; the next one waits in the listen backlog. All replies of one
 * read go out in one write, since OpenOCD waits for a round trip on every scan.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "log.h"

#define BUFFER_SIZE 65536U

/* Some ten microseconds: less than a scan's way from OpenOCD and back. */
#define SLICE_INSTRUCTIONS 2000U

/* The fewer looks of a waiting debugger are answered, the sooner has the core done what is waited for. A core
 * that stops ends its slice. */
#define LONG_SLICE_INSTRUCTIONS 50000U

struct server {
    struct board *board;
    int listener;
    int client; /* -1: none */
    sigset_t unblocked;
    uint8_t input[BUFFER_SIZE];
    uint8_t output[BUFFER_SIZE];
    size_t output_length;
    size_t output_sent;
};

static volatile sig_atomic_t server_stopping;

static void server_on_signal(int number)
{
    (void)number;
    server_stopping = 1;
}

/* SIGTERM and SIGINT are let in only inside ppoll(), so that none is missed just before it. */
static void server_catch_signals(struct server *server)
{
    struct sigaction action = {.sa_handler = server_on_signal};
    sigset_t blocked;
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &server->unblocked);
    sigdelset(&server->unblocked, SIGTERM);
    sigdelset(&server->unblocked, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int server_listen_tcp(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) {
        log_error("socket: %s", strerror(errno));
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0) {
        log_error("port %u: %s", port, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* A socket file that nobody answers is left over from a run that was killed; it may go. */
static void server_remove_stale_socket(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED) {
        unlink(address->sun_path);
    }
    close(fd);
}

static int server_listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        log_error("%s: longer than a socket path may be", path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    server_remove_stale_socket(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        log_error("socket: %s", strerror(errno));
        return -1;
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0) {
        log_error("%s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* Written beside and renamed, so that a reader finds the whole number or nothing. */
static bool server_write_port_file(int listener, const char *path)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    char temporary[4096];
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        log_error("getsockname: %s", strerror(errno));
        return false;
    }
    int needed = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (needed < 0 || (size_t)needed >= sizeof(temporary)) {
        log_error("%s: name too long", path);
        return false;
    }
    FILE *file = fopen(temporary, "w");
    if (file == NULL) {
        log_error("%s: %s", temporary, strerror(errno));
        return false;
    }
    bool written = fprintf(file, "%u\n", ntohs(address.sin_port)) > 0;
    written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        log_error("%s: %s", path, strerror(errno));
        unlink(temporary);
        return false;
    }
    return true;
}

static void server_accept(struct server *server)
{
    int on = 1;
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on a Unix socket, and need not work */
    server->client = fd;
    server->output_length = 0;
    server->output_sent = 0;
    log_debug("server: adapter connected");
}

static void server_drop(struct server *server)
{
    close(server->client);
    server->client = -1;
    log_debug("server: adapter gone");
}

static struct timespec server_get_timespec(uint64_t microseconds)
{
    return (struct timespec){.tv_sec = (time_t)(microseconds / 1000000U),
                             .tv_nsec = (long)(microseconds % 1000000U) * 1000L};
}

/* The delays of the accesses just made; a signal ends them. */
static void server_sleep_owed(const struct server *server)
{
    uint64_t owed = server->board->delay_owed_us;
    if (owed == 0) {
        return;
    }
    server->board->delay_owed_us = 0;
    struct timespec delay = server_get_timespec(owed);
    (void)ppoll(NULL, 0, &delay, &server->unblocked);
}

/* False when the adapter is gone. */
static bool server_flush(struct server *server)
{
    while (server->output_sent < server->output_length) {
        ssize_t sent = send(server->client, server->output + server->output_sent,
                            server->output_length - server->output_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        server->output_sent += (size_t)sent;
    }
    server->output_length = 0;
    server->output_sent = 0;
    return true;
}

static bool server_read(struct server *server)
{
    ssize_t count = recv(server->client, server->input, sizeof(server->input), 0);
    if (count < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    if (count == 0) {
        return false;
    }
    enum jtag_result result =
        jtag_run(server->board, server->input, (size_t)count, server->output, &server->output_length);
    server_sleep_owed(server);
    return server_flush(server) && result == JTAG_CONTINUE;
}

static uint64_t server_get_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* Wait for the socket, at most for as long as the core has nothing to do; the core's timer sees the time. */
static int server_wait(struct server *server, struct pollfd *event, uint64_t wait_us)
{
    struct timespec limit = server_get_timespec(wait_us);
    if (wait_us == 0 || wait_us == CORE_WAIT_FOREVER) {
        return ppoll(event, 1, wait_us == 0 ? &limit : NULL, &server->unblocked);
    }
    uint64_t before = server_get_microseconds();
    int ready = ppoll(event, 1, &limit, &server->unblocked);
    core_pass_time(server->board, server_get_microseconds() - before);
    return ready;
}

static void server_serve(struct server *server)
{
    while (server_stopping == 0) {
        bool awaited = server->client >= 0 && dap_is_waiting(&server->board->dap);
        uint64_t wait_us = core_run(server->board, awaited ? LONG_SLICE_INSTRUCTIONS : SLICE_INSTRUCTIONS);
        bool connected = server->client >= 0;
        bool blocked = connected && server->output_length != 0;
        struct pollfd event = {.fd = connected ? server->client : server->listener,
                               .events = blocked ? POLLOUT : POLLIN};
        if (server_wait(server, &event, wait_us) <= 0) {
            continue;
        }
        if (!connected) {
            server_accept(server);
        } else if (blocked ? !server_flush(server) : !server_read(server)) {
            server_drop(server);
        }
    }
}

bool server_run(struct board *board, const struct server_options *options)
{
    static struct server server;
    server.board = board;
    server.client = -1;
    server_catch_signals(&server);
    server.listener = options->unix_path != NULL ? server_listen_unix(options->unix_path)
                                                 : server_listen_tcp(options->port);
    if (server.listener < 0) {
        return false;
    }
    bool ready = options->port_file == NULL || options->unix_path != NULL ||
                 server_write_port_file(server.listener, options->port_file);
    if (ready) {
        server_serve(&server);
    }
    if (server.client >= 0) {
        server_drop(&server);
    }
    close(server.listener);
    if (options->unix_path != NULL) {
        unlink(options->unix_path);
    }
    if (ready && options->port_file != NULL && options->unix_path == NULL) {
        unlink(options->port_file);
    }
    return ready;
}
