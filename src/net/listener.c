/* Listening sockets: TCP, and Unix sockets with the care that their files need. */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net/loop_event.h"
#include "net/socket.h"

/* How many connections one turn of the loop takes, so that a flood of them does not starve those that are
 * open. */
#define ACCEPT_ROUNDS 32
#define EXHAUSTED_PAUSE_MS 100
/* As many as may wait are bounded by the kernel alone (net.core.somaxconn). */
#define BACKLOG INT_MAX

#define UNIX_MODE_MASK 0117 /* what 0660 does not allow */
#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

struct net_listener {
    struct loop *loop;
    struct event *readable; /* NULL once the listener is closed */
    struct loop_timer *retry;
    int fd;
    void (*accepted)(void *context, int fd);
    void *context;
    bool paused;               /* by the owner */
    bool exhausted;            /* out of descriptors, and logged so */
    char path[UNIX_PATH_SIZE]; /* "" for TCP */
    dev_t path_device;
    ino_t path_inode;
    char text[256];
};

/* ---- Opening ---- */

static bool fail(const struct net_address *address, const char *what, int reason, struct err *err)
{
    return err_set(err, ERR_INTERNAL_ERROR, "cannot listen on %s: %s: %s", address->text, what,
                   strerror(reason));
}

static const char *unix_path(const struct net_address *address)
{
    return ((const struct sockaddr_un *)&address->storage)->sun_path;
}

/* Whether somebody answers on the socket file: 0, or why nobody does. */
static int probe_unix_socket(const struct net_address *address)
{
    int fd = socket_open(AF_UNIX);
    if (fd < 0) {
        return errno;
    }
    int result = connect(fd, (const struct sockaddr *)&address->storage, address->length);
    int reason = result == 0 ? 0 : errno;
    close(fd);
    return reason;
}

/* Takes away a socket file that was left behind, so that the path can be bound again. */
static bool remove_stale_file(const struct net_address *address, struct err *err)
{
    const char *path = unix_path(address);
    struct stat status;
    if (lstat(path, &status) != 0) {
        return errno == ENOENT ? true : fail(address, "lstat", errno, err);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return err_set(err, ERR_INTERNAL_ERROR, "cannot listen on %s: the file exists and is no socket",
                       address->text);
    }
    int reason = probe_unix_socket(address);
    if (reason == 0 || reason == EAGAIN) {
        return fail(address, "somebody else listens there", EADDRINUSE, err);
    }
    if (reason != ECONNREFUSED && reason != ENOENT) {
        return fail(address, "connect", reason, err);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return fail(address, "unlink", errno, err);
    }
    return true;
}

/* 0, or why not. The file gets mode 0660 less the umask at once: there is no moment at which others may
 * connect. */
static int bind_unix(int fd, const struct net_address *address)
{
    mode_t mask = umask(0777);
    umask(mask | UNIX_MODE_MASK);
    int result = bind(fd, (const struct sockaddr *)&address->storage, address->length);
    int reason = result == 0 ? 0 : errno;
    umask(mask);
    return reason;
}

static bool open_unix(struct net_listener *listener, const struct net_address *address, struct err *err)
{
    int reason = bind_unix(listener->fd, address);
    if (reason == EADDRINUSE) {
        if (!remove_stale_file(address, err)) {
            return false;
        }
        reason = bind_unix(listener->fd, address);
    }
    if (reason != 0) {
        return fail(address, "bind", reason, err);
    }
    snprintf(listener->path, sizeof listener->path, "%s", unix_path(address));
    struct stat status;
    if (lstat(listener->path, &status) == 0) {
        listener->path_device = status.st_dev;
        listener->path_inode = status.st_ino;
    }
    snprintf(listener->text, sizeof listener->text, "unix:%s", listener->path);
    return true;
}

/* Where it is bound, and whether TLS is spoken there. */
static bool note_tcp(struct net_listener *listener, const struct net_address *address, struct err *err)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) != 0) {
        return fail(address, "getsockname", errno, err);
    }
    char text[SOCKET_TEXT_SIZE];
    socket_address_text(&bound, length, text);
    snprintf(listener->text, sizeof listener->text, "%s:%s", address->tls ? "tls" : "tcp", text);
    return true;
}

static bool open_tcp(struct net_listener *listener, const struct net_address *address, struct err *err)
{
    int on = 1;
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->storage.ss_family == AF_INET6) {
        /* "[::]" means IPv6 alone, so that "0.0.0.0" can be listened on beside it. */
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(listener->fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
        return fail(address, "bind", errno, err);
    }
    return note_tcp(listener, address, err);
}

/* Its file belongs to whoever passed it. */
static bool take_passed(struct net_listener *listener, const struct net_address *address, struct err *err)
{
    listener->fd = address->passed_fd;
    if (address->storage.ss_family != AF_UNIX) {
        return note_tcp(listener, address, err);
    }
    snprintf(listener->text, sizeof listener->text, "unix:%s", unix_path(address));
    return true;
}

static bool open_socket(struct net_listener *listener, const struct net_address *address, struct err *err)
{
    bool is_unix = address->storage.ss_family == AF_UNIX;
    if (address->passed_fd != 0) {
        return take_passed(listener, address, err);
    }
    listener->fd = socket_open(address->storage.ss_family);
    if (listener->fd < 0) {
        return fail(address, "socket", errno, err);
    }
    if (is_unix ? !open_unix(listener, address, err) : !open_tcp(listener, address, err)) {
        return false;
    }
    if (listen(listener->fd, BACKLOG) != 0) {
        return fail(address, "listen", errno, err);
    }
    return true;
}

/* ---- Accepting ---- */

static void watch(struct net_listener *listener)
{
    if (listener->paused || loop_timer_is_set(listener->retry)) {
        event_del(listener->readable);
    } else if (event_add(listener->readable, NULL) != 0) {
        log_error("%s: cannot be watched: %s", listener->text, strerror(errno));
    }
}

static void on_retry(void *context)
{
    watch(context);
}

static void back_off(struct net_listener *listener, int reason)
{
    if (!listener->exhausted) {
        listener->exhausted = true;
        log_warn("%s: cannot accept connections: %s", listener->text, strerror(reason));
    }
    loop_timer_set(listener->retry, EXHAUSTED_PAUSE_MS);
    watch(listener);
}

/* Errors of a connection that died in the queue (accept(2)): the next one may be well. */
static bool is_of_one_connection(int reason)
{
    static const int reasons[] = {EINTR,     ECONNABORTED, EPROTO,       EPERM,      ENETDOWN,   ENOPROTOOPT,
                                  EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reason == reasons[i]) {
            return true;
        }
    }
    return false;
}

static void note_accepted(struct net_listener *listener)
{
    if (listener->exhausted) {
        listener->exhausted = false;
        log_info("%s: accepts connections again", listener->text);
    }
}

static void on_readable(evutil_socket_t listening_fd, short what, void *context)
{
    (void)what;
    struct net_listener *listener = context;
    for (int i = 0; i < ACCEPT_ROUNDS && listener->readable != NULL && !listener->paused; i++) {
        int fd = accept4(listening_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            note_accepted(listener);
            listener->accepted(listener->context, fd);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        if (!is_of_one_connection(errno)) {
            back_off(listener, errno);
            return;
        }
    }
}

/* ---- The interface ---- */

static void free_listener(void *object)
{
    free(object);
}

bool net_listener_new(struct net_listener **ret_listener, struct loop *loop,
                      const struct net_address *address, void (*accepted)(void *context, int fd),
                      void *context, struct err *err)
{
    struct net_listener *listener = xcalloc(1, sizeof *listener);
    listener->loop = loop;
    listener->accepted = accepted;
    listener->context = context;
    listener->fd = -1;
    listener->retry = loop_timer_new(loop, on_retry, listener);
    if (!open_socket(listener, address, err)) {
        net_listener_free(listener);
        return false;
    }
    listener->readable =
        event_new(loop_event_base(loop), listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
    if (listener->readable == NULL) {
        net_listener_free(listener);
        return fail(address, "event_new", ENOMEM, err);
    }
    watch(listener);
    *ret_listener = listener;
    return true;
}

/* Somebody may have replaced the file; the inode cannot be a new one of the same number while the socket is
 * open. */
static void remove_own_file(const struct net_listener *listener)
{
    struct stat status;
    if (listener->path[0] != '\0' && lstat(listener->path, &status) == 0 &&
        status.st_dev == listener->path_device && status.st_ino == listener->path_inode) {
        unlink(listener->path);
    }
}

void net_listener_free(struct net_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    loop_timer_free(listener->retry);
    if (listener->readable != NULL) {
        event_free(listener->readable);
        listener->readable = NULL;
    }
    remove_own_file(listener);
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    /* on_readable() may be on the stack and look whether it shall go on. */
    loop_bury(listener->loop, listener, free_listener);
}

const char *net_listener_text(const struct net_listener *listener)
{
    return listener->text;
}

void net_listener_admit_all(struct net_listener *listener)
{
    if (listener->path[0] != '\0' && chmod(listener->path, 0666) != 0) {
        log_warn("%s: cannot be opened to all users: %s", listener->text, strerror(errno));
    }
}

void net_listener_pause(struct net_listener *listener)
{
    listener->paused = true;
    watch(listener);
}

void net_listener_resume(struct net_listener *listener)
{
    listener->paused = false;
    watch(listener);
}
