/* Feeds the decoder one stream twice, whole and in pieces that the first bytes choose: both must find the
 * same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/envelope.h"

#define SEED_SIZE 2u

static void record(struct strbuf *lines, const char *name, const char *bytes, size_t length)
{
    require(bytes[length] == '\0');
    strbuf_appendf(lines, "%s %zu ", name, length);
    strbuf_append(lines, bytes, length);
}

static void on_reply(void *context, const char *nonce, const struct ocd_reply *reply)
{
    struct strbuf *lines = context;
    struct strbuf words = STRBUF_INIT;
    require(strlen(nonce) > 0 && strlen(nonce) < ENVELOPE_NONCE_SIZE);
    require(reply->result_length + reply->log_length + reply->options_length <= ENVELOPE_MAX_REPLY);
    strbuf_appendf(lines, "%s %ld", nonce, reply->code);
    record(lines, "result", reply->result, reply->result_length);
    record(lines, "log", reply->log, reply->log_length);
    record(lines, "options", reply->options, reply->options_length);
    ocd_reply_words(reply, &words);
    require(words.length <= reply->result_length + reply->log_length + 1);
    strbuf_fini(&words);
}

static void on_notification(void *context, const char *type, const char *value)
{
    require(strlen(type) < ENVELOPE_TYPE_SIZE && strlen(value) < ENVELOPE_VALUE_SIZE);
    for (const char *at = value; *at != '\0'; at++) {
        require(*at >= 0x20 && *at <= 0x7e);
    }
    record(context, type, value, strlen(value));
}

static void on_too_long(void *context)
{
    strbuf_append_text(context, "too long");
}

static void on_stray(void *context, const char *bytes, size_t length)
{
    require(length <= ENVELOPE_MAX_STRAY);
    record(context, "stray", bytes, length);
}

static void on_broken(void *context, const char *reason)
{
    strbuf_append_text(context, reason);
}

static const struct envelope_handler handler = {on_reply, on_notification, on_too_long, on_stray, on_broken};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SEED_SIZE) {
        return 0;
    }
    unsigned random = data[0];
    const size_t piece_max = (size_t)data[1] + 1;
    data += SEED_SIZE;
    size -= SEED_SIZE;
    struct strbuf whole = STRBUF_INIT;
    struct strbuf pieces = STRBUF_INIT;
    struct envelope_decoder *decoder = envelope_decoder_new(&handler, &whole);
    envelope_decoder_feed(decoder, data, size);
    envelope_decoder_free(decoder);
    decoder = envelope_decoder_new(&handler, &pieces);
    for (size_t at = 0; at < size;) {
        random = random * 1103515245u + 12345u;
        size_t length = (random >> 16) % piece_max + 1;
        length = length < size - at ? length : size - at;
        envelope_decoder_feed(decoder, data + at, length);
        at += length;
    }
    envelope_decoder_free(decoder);
    require(whole.length == pieces.length);
    require(memcmp(strbuf_text(&whole), strbuf_text(&pieces), whole.length) == 0);
    strbuf_fini(&whole);
    strbuf_fini(&pieces);
    return 0;
}
