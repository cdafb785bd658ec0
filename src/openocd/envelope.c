/*
 * Envelopes around commands, and the decoder for what comes back on the TCL port:
 *
 *              NUL              ':'               last byte        0x1a
 *   BOUNDARY -------> HEADER -------> PARTS ----------------> END -------> BOUNDARY   reply
 *      |                 |                                     |
 *      | other           | over-long, malformed                | other
 *      v                 v                                     v
 *     TEXT             BROKEN                                BROKEN
 *      | 0x1a, or the NUL of "line too long\n\0"
 *      v
 *   BOUNDARY   notification, stray, too_long
 */
#include "openocd/envelope.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"

#define FRAME_END '\x1a'
/* Nonce, code and three lengths of up to 20 digits each, and the blanks between them. */
#define HEADER_MAX 128u
#define PART_COUNT 3u
/* OpenOCD writes words of about this size to files fastest. */
#define DATA_PIECE (256u * 1024u)
/* Memory beyond this is given back once the frame that needed it is done. */
#define BUFFER_KEPT (4u * 1024u * 1024u)

static const char envelope_too_long[] = "line too long\n"; /* the NUL behind it is sent too */
static const char envelope_notification[] = "type target_";

/* The script runs at the top level. All codes are caught: without the switches, "exit", "throw 5" and "throw
 * 7" would come back bare. The inner "format {}" keeps the result out of what `capture` returns. */
static const char envelope_head[] = "apply {s {set l [capture {set c [catch -exit -eval -signal {uplevel #0 "
                                    "$s} r o];format {}}];return \"\\x00";
/* A list that never was a string runs as it is: nobody parses the data a second time. */
static const char envelope_head_with_data[] =
    "apply {{s args} {set l [capture {set c [catch -exit -eval -signal {uplevel #0 [list {*}$s {*}$args]} r "
    "o];format {}}];return \"\\x00";
static const char envelope_tail[] =
    " $c [string bytelength $r] [string bytelength $l] [string bytelength $o]:"
    "$r$l$o\"}} ";

void ocd_reply_take_own_code(struct ocd_reply *reply)
{
    static const char name[] = "OpenOCD ";
    struct strbuf value = STRBUF_INIT;
    if (reply->code == 1 && tcl_dict_get(reply->options, reply->options_length, "-errorcode", &value) &&
        strncmp(strbuf_text(&value), name, sizeof(name) - 1) == 0) {
        const char *digits = strbuf_text(&value) + sizeof(name) - 1;
        char *behind;
        errno = 0;
        long code = strtol(digits, &behind, 10);
        if (digits[0] == '-' && behind > digits && *behind == '\0' && errno == 0 && code < 0) {
            reply->code = code;
        }
    }
    strbuf_fini(&value);
}

bool ocd_reply_ok(const struct ocd_reply *reply)
{
    return reply->code == 0 || reply->code == 2;
}

/* Appends the text trimmed, each line without its "Error: ". */
static void append_words(struct strbuf *out, const char *text, size_t length)
{
    static const char prefix[] = "Error: ";
    const size_t prefix_length = sizeof(prefix) - 1;
    const char *end = text + length;
    while (end > text && isspace((unsigned char)end[-1])) {
        end--;
    }
    while (text < end && isspace((unsigned char)*text)) {
        text++;
    }
    while (text < end) {
        if ((size_t)(end - text) >= prefix_length && memcmp(text, prefix, prefix_length) == 0) {
            text += prefix_length;
        }
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline == NULL ? end : newline + 1;
        strbuf_append(out, text, (size_t)(next - text));
        text = next;
    }
}

static bool contains(const struct strbuf *whole, const struct strbuf *part)
{
    return memmem(strbuf_text(whole), whole->length, strbuf_text(part), part->length) != NULL;
}

void ocd_reply_words(const struct ocd_reply *reply, struct strbuf *out)
{
    struct strbuf result = STRBUF_INIT;
    struct strbuf log = STRBUF_INIT;
    append_words(&result, reply->result, reply->result_length);
    append_words(&log, reply->log, reply->log_length);
    /* The empty text is contained in every other. */
    bool log_says_all = contains(&log, &result);
    bool result_says_all = !log_says_all && contains(&result, &log);
    if (!log_says_all) {
        strbuf_append(out, strbuf_text(&result), result.length);
    }
    if (!log_says_all && !result_says_all) {
        strbuf_append_byte(out, '\n');
    }
    if (!result_says_all) {
        strbuf_append(out, strbuf_text(&log), log.length);
    }
    strbuf_fini(&result);
    strbuf_fini(&log);
}

static bool is_nonce(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i])) {
            return false;
        }
    }
    return length > 0 && length < ENVELOPE_NONCE_SIZE;
}

static size_t words_length(const struct envelope_data *data)
{
    return data->words != NULL ? data->words->length : 0;
}

/* Each piece a word of its own. */
static void append_data(struct strbuf *out, const struct envelope_data *data)
{
    if (data->words != NULL) {
        strbuf_append(out, data->words->data, data->words->length);
    }
    for (size_t done = 0; done < data->size;) {
        size_t piece = data->size - done < DATA_PIECE ? data->size - done : DATA_PIECE;
        strbuf_append_byte(out, ' ');
        tcl_quote(out, (const char *)data->bytes + done, piece);
        done += piece;
    }
}

bool envelope_encode(struct strbuf *out, const char *nonce, const char *script, size_t length)
{
    const struct envelope_data none = {.size = 0};
    return envelope_encode_with_data(out, nonce, script, length, &none);
}

bool envelope_encode_with_data(struct strbuf *out, const char *nonce, const char *script, size_t length,
                               const struct envelope_data *data)
{
    assert(is_nonce(nonce, strlen(nonce)));
    size_t begin = out->length;
    size_t words = words_length(data);
    if (length > ENVELOPE_MAX_COMMAND || data->size > ENVELOPE_MAX_COMMAND || words > ENVELOPE_MAX_COMMAND) {
        return false;
    }
    /* Few bytes need more than one: growing once is enough as a rule. */
    strbuf_reserve(out, length + words + data->size + data->size / 8 + sizeof(envelope_head_with_data) +
                            ENVELOPE_NONCE_SIZE + sizeof(envelope_tail));
    strbuf_append_text(out, data->size > 0 || words > 0 ? envelope_head_with_data : envelope_head);
    strbuf_append_text(out, nonce);
    strbuf_append(out, envelope_tail, sizeof(envelope_tail) - 1);
    tcl_quote(out, script, length);
    append_data(out, data);
    if (out->length - begin > ENVELOPE_MAX_COMMAND) {
        strbuf_truncate(out, begin);
        return false;
    }
    strbuf_append_byte(out, FRAME_END);
    return true;
}

enum decoder_state {
    DECODER_BOUNDARY,
    DECODER_TEXT,
    DECODER_HEADER,
    DECODER_PARTS,
    DECODER_END,
    DECODER_BROKEN,
};

struct envelope_decoder {
    struct envelope_handler handler;
    void *context;
    enum decoder_state state;
    bool feeding;
    bool dropping; /* reset from a callback: what is left of the bytes being fed is not for us */
    /* TEXT and HEADER: the frame so far. PARTS and END: room for all parts, each with a NUL behind it. */
    struct strbuf buffer;
    bool may_be_too_long; /* TEXT: all so far agrees with "line too long\n\0" */
    char nonce[ENVELOPE_NONCE_SIZE];
    long code;
    size_t part_length[PART_COUNT];
    size_t part;   /* PARTS: the one being filled */
    size_t filled; /* PARTS: how much of it is there */
    size_t place;  /* PARTS: where it begins in the buffer */
};

struct envelope_decoder *envelope_decoder_new(const struct envelope_handler *handler, void *context)
{
    assert(handler->reply != NULL && handler->notification != NULL && handler->too_long != NULL &&
           handler->stray != NULL && handler->broken != NULL);
    struct envelope_decoder *decoder = xcalloc(1, sizeof(*decoder));
    decoder->handler = *handler;
    decoder->context = context;
    decoder->state = DECODER_BOUNDARY;
    strbuf_init(&decoder->buffer);
    return decoder;
}

void envelope_decoder_free(struct envelope_decoder *decoder)
{
    if (decoder == NULL) {
        return;
    }
    assert(!decoder->feeding);
    strbuf_fini(&decoder->buffer);
    free(decoder);
}

static void shrink_buffer(struct envelope_decoder *decoder)
{
    if (decoder->buffer.capacity > BUFFER_KEPT) {
        strbuf_fini(&decoder->buffer);
        strbuf_init(&decoder->buffer);
    }
}

void envelope_decoder_reset(struct envelope_decoder *decoder)
{
    decoder->state = DECODER_BOUNDARY;
    decoder->dropping = decoder->feeding;
    if (!decoder->feeding) {
        /* Only then: a callback that resets may still be reading what it was given. */
        shrink_buffer(decoder);
    }
}

static void break_off(struct envelope_decoder *decoder, const char *reason)
{
    decoder->state = DECODER_BROKEN;
    decoder->handler.broken(decoder->context, reason);
}

/* "type TYPE KEY VALUE\r\n" with a TYPE of small letters, digits and '_'; false if the text is something
 * else. */
static bool split_notification(const char *text, size_t length, char type[ENVELOPE_TYPE_SIZE],
                               const char **ret_value, size_t *ret_length)
{
    const size_t skipped = strlen("type ");
    size_t prefix_length = sizeof(envelope_notification) - 1;
    if (length < prefix_length || memcmp(text, envelope_notification, prefix_length) != 0) {
        return false;
    }
    const char *end = text + length;
    while (end > text && (end[-1] == '\n' || end[-1] == '\r')) {
        end--;
    }
    text += skipped;
    size_t type_length = 0;
    while (text + type_length < end &&
           (islower((unsigned char)text[type_length]) || isdigit((unsigned char)text[type_length]) ||
            text[type_length] == '_')) {
        type_length++;
    }
    const char *key = text + type_length + 1;
    if (type_length >= ENVELOPE_TYPE_SIZE || key >= end || key[-1] != ' ' || *key == ' ') {
        return false;
    }
    const char *blank = memchr(key, ' ', (size_t)(end - key));
    if (blank == NULL) {
        return false;
    }
    memcpy(type, text, type_length);
    type[type_length] = '\0';
    *ret_value = blank + 1;
    *ret_length = (size_t)(end - *ret_value);
    return true;
}

static void finish_text(struct envelope_decoder *decoder)
{
    char type[ENVELOPE_TYPE_SIZE];
    char value[ENVELOPE_VALUE_SIZE];
    const char *raw;
    size_t length;
    decoder->state = DECODER_BOUNDARY;
    if (!split_notification(strbuf_text(&decoder->buffer), decoder->buffer.length, type, &raw, &length)) {
        decoder->handler.stray(decoder->context, strbuf_text(&decoder->buffer), decoder->buffer.length);
        return;
    }
    if (length >= sizeof(value)) {
        length = sizeof(value) - 1;
    }
    for (size_t i = 0; i < length; i++) {
        value[i] = raw[i];
        if (raw[i] < 0x20 || raw[i] > 0x7e) {
            value[i] = '?';
        }
    }
    value[length] = '\0';
    decoder->handler.notification(decoder->context, type, value);
}

/* Takes bytes while the frame may still be "line too long\n\0". Returns how many. */
static size_t match_too_long(struct envelope_decoder *decoder, const char *bytes, size_t length)
{
    size_t used = 0;
    while (used < length && decoder->may_be_too_long) {
        if (bytes[used] != envelope_too_long[decoder->buffer.length]) {
            decoder->may_be_too_long = false;
            break;
        }
        strbuf_append_byte(&decoder->buffer, bytes[used]);
        used++;
        if (decoder->buffer.length == sizeof(envelope_too_long)) {
            decoder->state = DECODER_BOUNDARY;
            decoder->handler.too_long(decoder->context);
            break;
        }
    }
    return used;
}

static size_t feed_text(struct envelope_decoder *decoder, const char *bytes, size_t length)
{
    size_t matched = match_too_long(decoder, bytes, length);
    if (matched > 0) {
        return matched;
    }
    const char *end = memchr(bytes, FRAME_END, length);
    size_t here = end == NULL ? length : (size_t)(end - bytes);
    size_t room = ENVELOPE_MAX_STRAY - decoder->buffer.length;
    strbuf_append(&decoder->buffer, bytes, here < room ? here : room);
    if (end == NULL) {
        return length;
    }
    finish_text(decoder);
    return here + 1;
}

/* One blank, and digits that end at `*at`; `max` bounds the value. */
static bool read_length(const char **at, size_t max, size_t *ret_value)
{
    const char *digit = *at;
    size_t value = 0;
    if (*digit++ != ' ' || !isdigit((unsigned char)*digit)) {
        return false;
    }
    while (isdigit((unsigned char)*digit)) {
        value = value * 10 + (size_t)(*digit++ - '0');
        if (value > max) {
            return false;
        }
    }
    *ret_value = value;
    *at = digit;
    return true;
}

/* "NONCE CODE LENGTH LENGTH LENGTH"; false if it is not that, or the lengths are more than a reply may have.
 */
static bool read_header(struct envelope_decoder *decoder)
{
    const char *text = strbuf_text(&decoder->buffer);
    const char *end = text + decoder->buffer.length;
    const char *at = strchr(text, ' ');
    if (at == NULL || !is_nonce(text, (size_t)(at - text))) {
        return false;
    }
    memcpy(decoder->nonce, text, (size_t)(at - text));
    decoder->nonce[at - text] = '\0';
    at++;
    if (!isdigit((unsigned char)at[at[0] == '-' ? 1 : 0])) {
        return false;
    }
    char *behind;
    errno = 0;
    decoder->code = strtol(at, &behind, 10);
    at = behind;
    size_t room = ENVELOPE_MAX_REPLY;
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (errno != 0 || !read_length(&at, room, &decoder->part_length[i])) {
            return false;
        }
        room -= decoder->part_length[i];
    }
    return at == end;
}

static size_t feed_header(struct envelope_decoder *decoder, const char *bytes, size_t length)
{
    size_t room = HEADER_MAX - decoder->buffer.length;
    size_t looked_at = length < room ? length : room;
    const char *colon = memchr(bytes, ':', looked_at);
    const char *frame_end = memchr(bytes, FRAME_END, colon == NULL ? looked_at : (size_t)(colon - bytes));
    if (frame_end != NULL) {
        break_off(decoder, "an envelope ends inside its header");
        return (size_t)(frame_end - bytes) + 1;
    }
    size_t here = colon == NULL ? looked_at : (size_t)(colon - bytes);
    strbuf_append(&decoder->buffer, bytes, here);
    if (colon == NULL) {
        if (decoder->buffer.length == HEADER_MAX) {
            break_off(decoder, "an envelope's header has no end");
        }
        return here;
    }
    if (!read_header(decoder)) {
        break_off(decoder, "an envelope's header is malformed, or announces too much");
        return here + 1;
    }
    decoder->state = DECODER_PARTS;
    decoder->part = 0;
    decoder->filled = 0;
    decoder->place = 0;
    strbuf_clear(&decoder->buffer);
    strbuf_extend(&decoder->buffer,
                  decoder->part_length[0] + decoder->part_length[1] + decoder->part_length[2] + PART_COUNT);
    return here + 1;
}

/* Copies what is there of each part to its place: the NULs between them are the only bytes that are not sent.
 */
static size_t feed_parts(struct envelope_decoder *decoder, const char *bytes, size_t length)
{
    size_t used = 0;
    while (decoder->part < PART_COUNT) {
        size_t missing = decoder->part_length[decoder->part] - decoder->filled;
        size_t here = length - used < missing ? length - used : missing;
        memcpy(decoder->buffer.data + decoder->place + decoder->filled, bytes + used, here);
        used += here;
        decoder->filled += here;
        if (here < missing) {
            return used;
        }
        decoder->place += decoder->filled;
        decoder->buffer.data[decoder->place++] = '\0';
        decoder->filled = 0;
        decoder->part++;
    }
    decoder->state = DECODER_END;
    return used;
}

static size_t feed_end(struct envelope_decoder *decoder, char byte)
{
    if (byte != FRAME_END) {
        break_off(decoder, "an envelope does not end where its header says");
        return 1;
    }
    const char *result = strbuf_text(&decoder->buffer);
    const char *log = result + decoder->part_length[0] + 1;
    struct ocd_reply reply = {
        .code = decoder->code,
        .result = result,
        .result_length = decoder->part_length[0],
        .log = log,
        .log_length = decoder->part_length[1],
        .options = log + decoder->part_length[1] + 1,
        .options_length = decoder->part_length[2],
    };
    ocd_reply_take_own_code(&reply);
    decoder->state = DECODER_BOUNDARY;
    decoder->handler.reply(decoder->context, decoder->nonce, &reply);
    return 1;
}

static size_t begin_frame(struct envelope_decoder *decoder, char first)
{
    strbuf_clear(&decoder->buffer);
    if (first == '\0') {
        decoder->state = DECODER_HEADER;
        return 1;
    }
    decoder->state = DECODER_TEXT;
    decoder->may_be_too_long = true;
    return 0;
}

/* Does what the state wants with the bytes, of which there is at least one; returns how many are done with.
 */
static size_t feed_state(struct envelope_decoder *decoder, const char *bytes, size_t length)
{
    switch (decoder->state) {
    case DECODER_BOUNDARY:
        return begin_frame(decoder, bytes[0]);
    case DECODER_TEXT:
        return feed_text(decoder, bytes, length);
    case DECODER_HEADER:
        return feed_header(decoder, bytes, length);
    case DECODER_PARTS:
        return feed_parts(decoder, bytes, length);
    case DECODER_END:
        return feed_end(decoder, bytes[0]);
    case DECODER_BROKEN:
        return length;
    }
    return length;
}

void envelope_decoder_feed(struct envelope_decoder *decoder, const uint8_t *bytes, size_t length)
{
    assert(!decoder->feeding);
    decoder->feeding = true;
    decoder->dropping = false;
    const char *text = (const char *)bytes;
    for (size_t at = 0; at < length && !decoder->dropping;) {
        at += feed_state(decoder, text + at, length - at);
    }
    decoder->feeding = false;
    if (decoder->state == DECODER_BOUNDARY || decoder->state == DECODER_BROKEN) {
        shrink_buffer(decoder);
    }
}
