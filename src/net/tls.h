/*
 * TLS for accepted connections: the daemon's certificate and key, and whose client certificates count.
 * TLS 1.2 and up, no renegotiation, no session resumption: every connection shows its certificate anew.
 */
#ifndef OCDMUX_NET_TLS_H
#define OCDMUX_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define NET_TLS_FINGERPRINT_SIZE 65

struct net_tls;

struct net_tls_options {
    const char *certificate; /* PEM file: the certificate, then those between it and its root */
    const char *key;         /* PEM file, without a pass phrase */
    const char *client_ca;   /* PEM file: who may sign clients' certificates; NULL: none is asked for */
    bool client_required;    /* a client without a certificate is refused in the handshake */
    uint64_t handshake_ms;   /* a handshake that takes longer ends the connection */
};

/* What a client's certificate says, verified by the authorities of `client_ca`. */
struct net_certificate {
    char subject[512];                          /* as RFC 2253 writes it: "CN=alice,O=Lab" */
    char fingerprint[NET_TLS_FINGERPRINT_SIZE]; /* SHA-256 of the certificate in DER, lower-case hex */
};

/* Reads the files. Their names must stay valid. Fails with invalid_params, naming the file and OpenSSL's
 * reason. */
bool net_tls_new(struct net_tls **ret_tls, const struct net_tls_options *options, struct err *err)
    __attribute__((warn_unused_result));
/* Reads the files anew for connections to come; on failure everything stays what it was. */
bool net_tls_reload(struct net_tls *tls, struct err *err) __attribute__((warn_unused_result));
/* Connections go on. NULL is allowed. */
void net_tls_free(struct net_tls *tls);

#endif
