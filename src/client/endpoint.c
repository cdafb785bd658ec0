/* Finding and reaching a server. */
#include "client/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "client/error.h"

/* How long to wait before a Unix socket whose queue is full is tried again. */
#define ENDPOINT_RETRY_MS 20

char *ocdmux_default_server(void)
{
    const char *named = getenv("OCDMUX_SERVER");
    if (named != NULL && named[0] != '\0') {
        return xstrdup(named);
    }
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] != '\0') {
        struct strbuf text = STRBUF_INIT;
        struct stat status;
        strbuf_appendf(&text, "unix:%s/ocdmux.sock", runtime);
        if (stat(strbuf_text(&text) + strlen("unix:"), &status) == 0 && S_ISSOCK(status.st_mode)) {
            return strbuf_steal(&text);
        }
        strbuf_fini(&text);
    }
    return xstrdup(OCDMUX_DEFAULT_TCP_SERVER);
}

static int endpoint_poll_timeout(uint64_t deadline_us)
{
    uint64_t now = clock_now_us();
    if (now >= deadline_us) {
        return 0;
    }
    uint64_t milliseconds = (deadline_us - now + 999) / 1000;
    return milliseconds > 60000 ? 60000 : (int)milliseconds;
}

/* Waits until a connect under way has ended; its errno, 0 for success. */
static int endpoint_wait_connected(int fd, uint64_t deadline_us)
{
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        int ready = poll(&wait, 1, endpoint_poll_timeout(deadline_us));
        if (ready > 0) {
            int reason = 0;
            socklen_t length = sizeof(reason);
            return getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &length) != 0 ? errno : reason;
        }
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (clock_now_us() >= deadline_us) {
            return ETIMEDOUT;
        }
    }
}

/* 0 with a connected socket in `ret_fd`, or the errno of what went wrong. */
static int endpoint_connect_address(const struct sockaddr *address, socklen_t length, uint64_t deadline_us,
                                    int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int reason = 0;
    for (;;) {
        reason = connect(fd, address, length) == 0 ? 0 : errno;
        /* A Unix socket with a full queue says EAGAIN, and nothing tells when there is room. */
        if (reason != EAGAIN || clock_now_us() >= deadline_us) {
            break;
        }
        (void)poll(NULL, 0, ENDPOINT_RETRY_MS);
    }
    if (reason == EINPROGRESS || reason == EINTR) {
        reason = endpoint_wait_connected(fd, deadline_us);
    }
    if (reason != 0) {
        close(fd);
        return reason;
    }
    *ret_fd = fd;
    return 0;
}

static bool endpoint_fail(struct ocdmux_error *error, const char *server, const char *reason)
{
    return error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "cannot connect to %s: %s", server, reason);
}

static bool endpoint_connect_unix(const char *server, const char *path, uint64_t deadline_us, int *ret_fd,
                                  struct ocdmux_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(address.sun_path)) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "%s: a socket's path has 1 to %zu bytes", server,
                         sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, length + 1);
    const struct sockaddr *generic = (const struct sockaddr *)(const void *)&address;
    int reason = endpoint_connect_address(generic, sizeof(address), deadline_us, ret_fd);
    return reason == 0 || endpoint_fail(error, server, strerror(reason));
}

/* Splits "HOST:PORT" or "[HOST]:PORT"; the caller frees both. */
static bool endpoint_split(const char *text, char **ret_host, char **ret_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return false;
    }
    const char *host = text;
    size_t length = (size_t)(colon - text);
    if (host[0] == '[' && host[length - 1] == ']' && length > 2) {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL || memchr(host, '[', length) != NULL) {
        return false;
    }
    const char *port = colon + 1;
    size_t digits = strspn(port, "0123456789");
    if (digits == 0 || digits > 5 || port[digits] != '\0' || strtoul(port, NULL, 10) > 65535 ||
        strtoul(port, NULL, 10) == 0) {
        return false;
    }
    *ret_host = xstrndup(host, length);
    *ret_port = xstrdup(port);
    return true;
}

static void endpoint_tune_tcp(int fd)
{
    int on = 1;
    /* A refusal costs speed, or the notice that the server's machine is gone, and nothing else. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static bool endpoint_connect_tcp(const char *server, const char *text, uint64_t deadline_us, int *ret_fd,
                                 struct ocdmux_error *error)
{
    char *host = NULL;
    char *port = NULL;
    if (!endpoint_split(text, &host, &port)) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS,
                         "%s: not %.4sHOST:PORT with a port from 1 to 65535", server, server);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int reason = getaddrinfo(host, port, &hints, &addresses);
    free(host);
    free(port);
    if (reason != 0) {
        return endpoint_fail(error, server, gai_strerror(reason));
    }
    reason = EADDRNOTAVAIL;
    for (const struct addrinfo *each = addresses; each != NULL && reason != 0; each = each->ai_next) {
        reason = endpoint_connect_address(each->ai_addr, each->ai_addrlen, deadline_us, ret_fd);
    }
    freeaddrinfo(addresses);
    if (reason != 0) {
        return endpoint_fail(error, server, strerror(reason));
    }
    endpoint_tune_tcp(*ret_fd);
    return true;
}

bool endpoint_connect(const char *server, uint64_t deadline_us, int *ret_fd, struct ocdmux_error *error)
{
    if (strncmp(server, "unix:", 5) == 0) {
        return endpoint_connect_unix(server, server + 5, deadline_us, ret_fd, error);
    }
    if (strncmp(server, "tcp:", 4) == 0 || strncmp(server, "tls:", 4) == 0) {
        return endpoint_connect_tcp(server, server + 4, deadline_us, ret_fd, error);
    }
    return error_set(error, OCDMUX_KIND_INVALID_PARAMS,
                     "%s: a server is tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or ssh:HOST", server);
}

char *endpoint_host(const char *server)
{
    char *host = NULL;
    char *port = NULL;
    if (!endpoint_split(server + 4, &host, &port)) {
        return xstrdup("");
    }
    free(port);
    return host;
}
