/* Datagrams to $NOTIFY_SOCKET, and what the environment says of sockets. */
#include "net/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define FIRST_SOCKET 3 /* SD_LISTEN_FDS_START */

struct service {
    struct loop_timer *timer;
    uint64_t every_ms;
};

/* ---- Telling ---- */

static bool find_manager(struct sockaddr_un *ret_address, socklen_t *ret_length)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@')) {
        return false;
    }
    size_t length = strlen(path);
    if (length < 2 || length >= sizeof ret_address->sun_path) {
        return false;
    }
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, path, length);
    if (path[0] == '@') {
        ret_address->sun_path[0] = '\0'; /* no file: a name of the kernel's */
    }
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

static void tell(const char *text)
{
    struct sockaddr_un manager;
    socklen_t length = 0;
    if (!find_manager(&manager, &length)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager, length) < 0) {
        log_warn("the service manager cannot be told: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void service_ready(void)
{
    tell("READY=1");
}

void service_reloading(void)
{
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_us());
    tell(text);
}

void service_stopping(void)
{
    tell("STOPPING=1");
}

/* ---- The environment ---- */

/* False where it is not there, or is no number. */
static bool read_number(const char *name, uint64_t *ret_value)
{
    const char *text = getenv(name);
    if (text == NULL || text[0] == '\0' || strlen(text) > 19 || strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    *ret_value = strtoull(text, NULL, 10);
    return true;
}

/* Whether what the environment says is meant for this process, and not for one that started it. */
static bool is_for_us(const char *name)
{
    uint64_t pid = 0;
    return read_number(name, &pid) && pid == (uint64_t)getpid();
}

static void on_timer(void *context)
{
    struct service *service = context;
    tell("WATCHDOG=1");
    loop_timer_set(service->timer, service->every_ms);
}

struct service *service_new(struct loop *loop)
{
    struct service *service = xcalloc(1, sizeof *service);
    uint64_t limit_us = 0;
    bool ours = getenv("WATCHDOG_PID") == NULL || is_for_us("WATCHDOG_PID");
    service->timer = loop_timer_new(loop, on_timer, service);
    if (ours && read_number("WATCHDOG_USEC", &limit_us) && limit_us > 0) {
        service->every_ms = limit_us / 2000; /* half of it, as the manual wants */
        loop_timer_set(service->timer, service->every_ms);
    }
    return service;
}

void service_free(struct service *service)
{
    if (service != NULL) {
        loop_timer_free(service->timer);
        free(service);
    }
}

static bool take_socket(int fd, struct net_address *ret_socket, struct err *err)
{
    int listens = 0;
    int type = 0;
    socklen_t length = sizeof listens;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return err_set(err, ERR_INVALID_PARAMS, "passed socket %d: %s", fd, strerror(errno));
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) {
        return err_set(err, ERR_INVALID_PARAMS, "passed socket %d: is no stream socket that listens", fd);
    }
    if (!net_address_of_socket(ret_socket, fd)) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "passed socket %d: is neither TCP nor a Unix socket with a path", fd);
    }
    return true;
}

bool service_take_sockets(struct net_address ret_sockets[SERVICE_MAX_SOCKETS], size_t *ret_count,
                          struct err *err)
{
    uint64_t count = 0;
    bool any = is_for_us("LISTEN_PID") && read_number("LISTEN_FDS", &count);
    /* Not for programs that are started from here. */
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *ret_count = 0;
    if (!any) {
        return true;
    }
    if (count > SERVICE_MAX_SOCKETS) {
        return err_set(err, ERR_INVALID_PARAMS, "%" PRIu64 " sockets were passed: at most %u are taken",
                       count, SERVICE_MAX_SOCKETS);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!take_socket(FIRST_SOCKET + (int)i, &ret_sockets[i], err)) {
            return false;
        }
    }
    *ret_count = (size_t)count;
    return true;
}
