/*
 * What a service manager and the daemon say to each other: readiness and the watchdog (sd_notify(3),
 * sd_watchdog_enabled(3)), and sockets that listen already (sd_listen_fds(3)). The protocol is a few lines
 * and documented as stable, so no library is needed for it. Without a manager all of this does nothing.
 */
#ifndef OCDMUX_NET_SERVICE_H
#define OCDMUX_NET_SERVICE_H

#include "base/err.h"
#include "net/address.h"
#include "net/loop.h"

#define SERVICE_MAX_SOCKETS 16u

struct service;

/*
 * The sockets that were passed, as addresses whose `passed_fd` is set; each is the caller's, non-blocking and
 * close-on-exec. To be called once, before anything is opened: the environment forgets them. Fails with
 * invalid_params where there are too many, or one is no listening TCP or Unix stream socket.
 */
bool service_take_sockets(struct net_address ret_sockets[SERVICE_MAX_SOCKETS], size_t *ret_count,
                          struct err *err) __attribute__((warn_unused_result));

/* From now on the loop tells the watchdog that it runs, where there is one. */
struct service *service_new(struct loop *loop);
void service_free(struct service *service);

/* These tell the manager; what cannot be told is logged. */
void service_ready(void);
/* The configuration is read anew; service_ready() follows. */
void service_reloading(void);
void service_stopping(void);

#endif
