/*
 * A blocking connection to OpenOCD's TCL port, for the checks in roundtrip.c: sends commands in envelopes,
 * and keeps what comes back. Whatever goes wrong with the connection itself, or takes longer than ten
 * seconds, ends the program with a message.
 */
#ifndef OCDMUX_TESTS_SESSION_H
#define OCDMUX_TESTS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "openocd/envelope.h"

struct session {
    int fd;
    unsigned serial; /* of the last command */
    char nonce[ENVELOPE_NONCE_SIZE];
    size_t received; /* reads so far; their sizes vary with it */
    struct envelope_decoder *decoder;
    /* Of the last reply that had the nonce: */
    bool answered;
    long code;
    struct strbuf result;
    struct strbuf log;
    struct strbuf options;
    /* Since session_open(), or since the check emptied them: */
    struct strbuf notifications; /* "TYPE VALUE\n" each */
    struct strbuf strays;        /* "STRAY\n" each */
    unsigned too_long;
    unsigned foreign; /* replies with another nonce */
};

void session_open(struct session *session, unsigned short port);
void session_close(struct session *session);

/* Sends a script and waits for its reply. False if it does not fit a command. */
bool session_run(struct session *session, const char *script, size_t length);
/* The same for a text that fits; true if the code is 0. */
bool session_do(struct session *session, const char *script);

/* Sends bytes as they are. */
void session_send(struct session *session, const char *bytes, size_t length);
/* Reads once, up to 64 KiB, and gives it to the decoder. */
void session_receive(struct session *session);

#endif
