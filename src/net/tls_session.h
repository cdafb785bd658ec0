/* What net/stream sees of TLS. Not for anybody else: nothing above net/ knows OpenSSL. */
#ifndef OCDMUX_NET_TLS_SESSION_H
#define OCDMUX_NET_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "net/tls.h"

struct ssl_st;

/* A handshake's limit. */
uint64_t tls_session_limit_ms(const struct net_tls *tls);
/* The server's side of a connection to be; ended by tls_session_free(). */
struct ssl_st *tls_session_new(struct net_tls *tls);
void tls_session_free(struct ssl_st *ssl);
/* Sends close_notify, as far as the socket takes it now. */
void tls_session_shut(struct ssl_st *ssl);
/* Bytes that the socket has taken, those of TLS itself included. */
uint64_t tls_session_sent(struct ssl_st *ssl);
/* False where the client showed no certificate. */
bool tls_session_certificate(struct ssl_st *ssl, struct net_certificate *ret_certificate)
    __attribute__((warn_unused_result));
/* OpenSSL's words for an error code of its queue; "connection lost" for 0. */
void tls_session_error_text(unsigned long code, char *text, size_t size);

#endif
