/* OpenSSL contexts and what is read from sessions. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "net/tls_session.h"

struct net_tls {
    struct net_tls_options options;
    SSL_CTX *context; /* replaced by a reload; sessions keep the one that they began with */
};

void tls_session_error_text(unsigned long code, char *text, size_t size)
{
    const char *reason = code == 0 ? "connection lost" : ERR_reason_error_string(code);
    if (reason == NULL && ERR_SYSTEM_ERROR(code)) {
        reason = strerror(ERR_GET_REASON(code));
    }
    snprintf(text, size, "%s", reason != NULL ? reason : "TLS error");
}

/* Takes OpenSSL's queue of errors: its first is the cause. */
static bool fail(struct err *err, const char *member, const char *path)
{
    char reason[160];
    tls_session_error_text(ERR_get_error(), reason, sizeof reason);
    ERR_clear_error();
    return err_set(err, ERR_INVALID_PARAMS, "tls.%s: %s: %s", member, path, reason);
}

/* No terminal is asked for a pass phrase. */
static int no_pass_phrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static void set_modes(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    /* libevent may move what it has not written yet. It takes a write of a part for one of the whole, and
     * would go on behind it: SSL_MODE_ENABLE_PARTIAL_WRITE must stay off. */
    SSL_CTX_set_mode(context,
                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
}

static bool set_client_ca(SSL_CTX *context, const struct net_tls_options *options, struct err *err)
{
    if (options->client_ca == NULL) {
        return true;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->client_ca);
    if (names == NULL || SSL_CTX_load_verify_locations(context, options->client_ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(err, "client_ca", options->client_ca);
    }
    SSL_CTX_set_client_CA_list(context, names);
    int mode = SSL_VERIFY_PEER | (options->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(context, mode, NULL);
    return true;
}

static bool fill_context(SSL_CTX *context, const struct net_tls_options *options, struct err *err)
{
    set_modes(context);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        return fail(err, "certificate", options->certificate);
    }
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
        return fail(err, "certificate", options->certificate);
    }
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return fail(err, "key", options->key);
    }
    return set_client_ca(context, options, err);
}

static bool new_context(const struct net_tls_options *options, SSL_CTX **ret_context, struct err *err)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        return fail(err, "certificate", options->certificate);
    }
    if (!fill_context(context, options, err)) {
        SSL_CTX_free(context);
        return false;
    }
    *ret_context = context;
    return true;
}

bool net_tls_new(struct net_tls **ret_tls, const struct net_tls_options *options, struct err *err)
{
    SSL_CTX *context = NULL;
    if (!new_context(options, &context, err)) {
        return false;
    }
    struct net_tls *tls = xcalloc(1, sizeof *tls);
    tls->options = *options;
    tls->context = context;
    *ret_tls = tls;
    return true;
}

bool net_tls_reload(struct net_tls *tls, struct err *err)
{
    SSL_CTX *context = NULL;
    if (!new_context(&tls->options, &context, err)) {
        return false;
    }
    SSL_CTX_free(tls->context);
    tls->context = context;
    return true;
}

void net_tls_free(struct net_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->context);
    free(tls);
}

uint64_t tls_session_limit_ms(const struct net_tls *tls)
{
    return tls->options.handshake_ms;
}

struct ssl_st *tls_session_new(struct net_tls *tls)
{
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL) {
        fprintf(stderr, "ocdmux: OpenSSL cannot make a session\n");
        abort();
    }
    return ssl;
}

void tls_session_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

void tls_session_shut(struct ssl_st *ssl)
{
    (void)SSL_shutdown(ssl);
    ERR_clear_error();
}

uint64_t tls_session_sent(struct ssl_st *ssl)
{
    return BIO_number_written(SSL_get_wbio(ssl));
}

static void write_subject(X509 *certificate, char *text, size_t size)
{
    BIO *out = BIO_new(BIO_s_mem());
    text[0] = '\0';
    if (out != NULL && X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        char *written = NULL;
        long length = BIO_get_mem_data(out, &written);
        /* One that is cut off must not pass for another. */
        if (length > 0 && (size_t)length < size) {
            memcpy(text, written, (size_t)length);
            text[length] = '\0';
        }
    }
    BIO_free(out);
}

bool tls_session_certificate(struct ssl_st *ssl, struct net_certificate *ret_certificate)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
        X509_digest(certificate, EVP_sha256(), digest, &length) != 1 || length != 32) {
        return false;
    }
    write_subject(certificate, ret_certificate->subject, sizeof ret_certificate->subject);
    for (unsigned i = 0; i < length; i++) {
        snprintf(ret_certificate->fingerprint + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}
