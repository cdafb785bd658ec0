/*
 * The reply envelope: every command travels in a Tcl script that catches errors and sends back a nonce, the
 * return code and the lengths of result, log and options, so that a reply can be told from strays,
 * notifications and the late answer to an earlier command, and no byte of a result can split it. The decoder
 * is fed what arrives, in any cut, and calls back once for each frame. Pure.
 */
#ifndef OCDMUX_OPENOCD_ENVELOPE_H
#define OCDMUX_OPENOCD_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Up to 32 letters and digits, and a NUL. */
#define ENVELOPE_NONCE_SIZE 33
/* OpenOCD's longest command: 4,194,302 bytes before the 0x1a (server/tcl_server.c). */
#define ENVELOPE_MAX_COMMAND 4194302u
/* A reply whose parts add up to more breaks the link: no command of ours asks for so much. */
#define ENVELOPE_MAX_REPLY (64u * 1024u * 1024u)
/* Of a stray or a notification so many bytes are held; the rest is skipped. */
#define ENVELOPE_MAX_STRAY (1024u * 1024u)
/* A notification's type and value with their NUL; a longer value is cut, a longer type makes it a stray. */
#define ENVELOPE_TYPE_SIZE 64
#define ENVELOPE_VALUE_SIZE 16384

/* What OpenOCD answered to one command. The bytes belong to the decoder and are gone when the callback
 * returns; each part is NUL-terminated behind its length. */
struct ocd_reply {
    long code; /* Tcl's: 0 ok, 2 return (also a success), 1 error; OpenOCD's own negative codes */
    const char *result;
    size_t result_length;
    const char *log; /* what OpenOCD logged meanwhile */
    size_t log_length;
    const char *options; /* the -errorcode dictionary and the like */
    size_t options_length;
};

/* OpenOCD after 0.12 ends every command that fails with Tcl's 1 and tells its own code in errorCode
 * ("OpenOCD -304", helper/command.c): that becomes the reply's code. Else nothing changes. */
void ocd_reply_take_own_code(struct ocd_reply *reply);
/* 0 or 2. */
bool ocd_reply_ok(const struct ocd_reply *reply);
/*
 * Appends what OpenOCD said, for people: the result and the log that are not empty, trimmed, joined by a
 * newline, and only the longer one if it contains the other. An "Error: " at a line's start, which newer
 * versions print and 0.12 does not, is left out. Raw bytes otherwise.
 */
void ocd_reply_words(const struct ocd_reply *reply, struct strbuf *out);

/*
 * Appends the whole command, 0x1a included. False, with `out` unchanged, if it would be too long. The nonce
 * is of 1 to 32 letters and digits.
 */
bool envelope_encode(struct strbuf *out, const char *nonce, const char *script, size_t length)
    __attribute__((warn_unused_result));

/* What goes with a script. */
struct envelope_data {
    const uint8_t *bytes;
    size_t size;                /* 0: there are none */
    const struct strbuf *words; /* quoted, a blank before each; NULL: none. Not beside bytes */
};

/*
 * The same for a script that is one command, whose words need no substitution; the data, in pieces of 256
 * KiB, or the words are further words of that command. They are quoted and parsed once on their way and not
 * twice, which is what bulk data wants. Without any it is envelope_encode().
 */
bool envelope_encode_with_data(struct strbuf *out, const char *nonce, const char *script, size_t length,
                               const struct envelope_data *data) __attribute__((warn_unused_result));

/* All five are needed. What a callback is given is gone when it returns. */
struct envelope_handler {
    /* A whole envelope; the caller compares the nonce. */
    void (*reply)(void *context, const char *nonce, const struct ocd_reply *reply);
    /*
     * "type target_event event halted": `type` "target_event", `value` "halted". The value is printable
     * ASCII, whatever arrived: other bytes become '?', the line's end is cut off.
     */
    void (*notification)(void *context, const char *type, const char *value);
    /* "line too long\n\0". */
    void (*too_long)(void *context);
    /* Any other frame up to 0x1a: the answer to no command of ours, or garbage. Its first ENVELOPE_MAX_STRAY
     * bytes, NUL-terminated behind the length. */
    void (*stray)(void *context, const char *bytes, size_t length);
    /* The bytes can be no frame any more (bad lengths, no 0x1a where one must be): the link must be reset.
     * The decoder ignores everything after it. */
    void (*broken)(void *context, const char *reason);
};

struct envelope_decoder;

/* Copies the handler. */
struct envelope_decoder *envelope_decoder_new(const struct envelope_handler *handler, void *context);
/* NULL is fine. */
void envelope_decoder_free(struct envelope_decoder *decoder);
/*
 * Callbacks may neither free the decoder nor feed it. They may reset it: then what is left of `bytes`, which
 * belongs to the old connection, is dropped.
 */
void envelope_decoder_feed(struct envelope_decoder *decoder, const uint8_t *bytes, size_t length);
/* Forgets everything, for a new connection. */
void envelope_decoder_reset(struct envelope_decoder *decoder);

#endif
