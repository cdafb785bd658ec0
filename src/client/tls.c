/* The client's side of TLS, by OpenSSL. */
#include "client/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/error.h"

struct tls {
    SSL *ssl;
    short read_events;
    short write_events;
    char reason[160];
};

/* OpenSSL writes without MSG_NOSIGNAL: while it does, SIGPIPE is held back, and taken off where it came. */
struct quiet {
    sigset_t before;
    bool was_pending;
};

static void quiet_begin(struct quiet *quiet)
{
    sigset_t set;
    (void)sigpending(&set);
    quiet->was_pending = sigismember(&set, SIGPIPE) == 1;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, &quiet->before);
}

static void quiet_end(const struct quiet *quiet)
{
    int saved = errno;
    const struct timespec at_once = {0, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    if (!quiet->was_pending) {
        (void)sigtimedwait(&set, NULL, &at_once);
    }
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}

/* OpenSSL's first word on what just failed; empties its queue. */
static void take_reason(char *text, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (reason == NULL && code != 0 && ERR_SYSTEM_ERROR(code)) {
        reason = strerror(ERR_GET_REASON(code));
    }
    snprintf(text, size, "%s", reason != NULL ? reason : "the server ended the connection");
    ERR_clear_error();
}

static bool refuse_file(struct ocdmux_error *error, const char *what, const char *path)
{
    char reason[160];
    take_reason(reason, sizeof reason);
    return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "%s %s: %s", what, path, reason);
}

static bool load_files(SSL_CTX *context, const struct ocdmux_tls *options, struct ocdmux_error *error)
{
    const char *ca = options != NULL ? options->ca : NULL;
    const char *certificate = options != NULL ? options->certificate : NULL;
    const char *key = options != NULL ? options->key : NULL;
    if (ca == NULL && SSL_CTX_set_default_verify_paths(context) != 1) {
        return refuse_file(error, "the system's authorities", "");
    }
    if (ca != NULL && SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
        return refuse_file(error, "the authorities in", ca);
    }
    if ((certificate == NULL) != (key == NULL)) {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "a certificate and its key go together");
    }
    if (certificate != NULL && SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
        return refuse_file(error, "the certificate in", certificate);
    }
    if (key != NULL && (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
                        SSL_CTX_check_private_key(context) != 1)) {
        return refuse_file(error, "the key in", key);
    }
    return true;
}

static bool set_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *new_session(int fd, const char *host, const struct ocdmux_tls *options,
                        struct ocdmux_error *error)
{
    SSL *ssl = NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ERR_clear_error();
    if (context == NULL) {
        error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "OpenSSL cannot be used");
        return NULL;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 && load_files(context, options, error)) {
        ssl = SSL_new(context);
    }
    SSL_CTX_free(context);
    if (ssl != NULL && (SSL_set_fd(ssl, fd) != 1 || !set_host(ssl, host))) {
        error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "OpenSSL cannot be used for %s", host);
        SSL_free(ssl);
        ssl = NULL;
    }
    return ssl;
}

static bool refuse_handshake(SSL *ssl, const char *server, struct ocdmux_error *error)
{
    char reason[160];
    long verified = SSL_get_verify_result(ssl);
    take_reason(reason, sizeof reason);
    return error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "cannot connect to %s: %s%s", server,
                     verified == X509_V_OK ? "" : "its certificate: ",
                     verified == X509_V_OK ? reason : X509_verify_cert_error_string(verified));
}

static bool shake_hands(SSL *ssl, int fd, const char *server, uint64_t deadline_us,
                        struct ocdmux_error *error)
{
    for (;;) {
        struct quiet quiet;
        quiet_begin(&quiet);
        int result = SSL_connect(ssl);
        quiet_end(&quiet);
        if (result == 1) {
            return true;
        }
        int wanted = SSL_get_error(ssl, result);
        if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) {
            return refuse_handshake(ssl, server, error);
        }
        uint64_t now = clock_now_us();
        if (now >= deadline_us) {
            return error_set(error, OCDMUX_KIND_CONNECTION_FAILED,
                             "cannot connect to %s: the TLS handshake took too long", server);
        }
        uint64_t left_ms = (deadline_us - now + 999) / 1000;
        struct pollfd wait = {.fd = fd, .events = wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};
        (void)poll(&wait, 1, left_ms > 60000 ? 60000 : (int)left_ms);
    }
}

bool tls_open(int fd, const char *server, const char *host, const struct ocdmux_tls *options,
              uint64_t deadline_us, struct tls **ret_tls, struct ocdmux_error *error)
{
    SSL *ssl = new_session(fd, host, options, error);
    if (ssl == NULL) {
        return false;
    }
    if (!shake_hands(ssl, fd, server, deadline_us, error)) {
        SSL_free(ssl);
        return false;
    }
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->ssl = ssl;
    tls->read_events = POLLIN;
    tls->write_events = POLLOUT;
    *ret_tls = tls;
    return true;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_free(tls->ssl);
    free(tls);
}

/* -1 with errno, or 0 at the end of what comes. */
static ssize_t fail(struct tls *tls, int result, short *events)
{
    int saved = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *events = POLLIN;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *events = POLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = saved != 0 ? saved : ECONNRESET;
        return -1;
    default:
        take_reason(tls->reason, sizeof tls->reason);
        errno = EPROTO;
        return -1;
    }
}

ssize_t tls_read(struct tls *tls, void *bytes, size_t size)
{
    struct quiet quiet;
    ERR_clear_error();
    quiet_begin(&quiet);
    errno = 0;
    int result = SSL_read(tls->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
    quiet_end(&quiet);
    tls->read_events = POLLIN;
    return result > 0 ? result : fail(tls, result, &tls->read_events);
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t length)
{
    struct quiet quiet;
    ERR_clear_error();
    quiet_begin(&quiet);
    errno = 0;
    int result = SSL_write(tls->ssl, bytes, length > INT_MAX ? INT_MAX : (int)length);
    quiet_end(&quiet);
    tls->write_events = POLLOUT;
    if (result > 0) {
        return result;
    }
    ssize_t failed = fail(tls, result, &tls->write_events);
    if (failed == 0) {
        errno = EPIPE;
    }
    return -1;
}

void tls_end_writing(struct tls *tls)
{
    struct quiet quiet;
    quiet_begin(&quiet);
    (void)SSL_shutdown(tls->ssl);
    quiet_end(&quiet);
    ERR_clear_error();
}

bool tls_has_input(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0;
}

short tls_read_events(const struct tls *tls)
{
    return tls->read_events;
}

short tls_write_events(const struct tls *tls)
{
    return tls->write_events;
}

const char *tls_reason(const struct tls *tls)
{
    return tls->reason;
}
