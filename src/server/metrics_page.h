/* The pages for machines: /metrics, /healthz and /readyz. */
#ifndef OCDMUX_SERVER_METRICS_PAGE_H
#define OCDMUX_SERVER_METRICS_PAGE_H

#include "base/strbuf.h"
#include "server/server.h"

/* Listens where the configuration says so. Fails as net_listener_new(). */
bool metrics_page_open(struct server *server, struct err *err) __attribute__((warn_unused_result));
/* All metrics, as metrics_text.h has them. */
void metrics_page_write(struct server *server, struct strbuf *out);

#endif
