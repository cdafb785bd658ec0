/* The script of a bundle, and its answer. */
#include "openocd/bundle.h"

#include <ctype.h>

#include "openocd/tcl.h"

#define PARTS 3u

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

/* Each script runs as it does in an envelope of its own: see openocd/envelope.c. `ms` is OpenOCD's. */
const char bundle_script[] =
    "apply {args {set n 0;set h {};set d {};set e [ms];foreach s $args {"
    "if {$n > 0 && [ms] - $e > " TEXT(
        BUNDLE_MOST_MS) "} break;incr n;"
                        "set l [capture {set c [catch -exit -eval -signal {uplevel #0 $s} r o];format {}}];"
                        "append h \" $c [string bytelength $r] [string bytelength $l] [string bytelength "
                        "$o]\";"
                        "append d $r \\x00 $l \\x00 $o \\x00};return \"$n$h:$d\"}}";

struct reader {
    const char *at;
    const char *end;
};

void bundle_add(struct strbuf *words, const char *script, size_t length)
{
    strbuf_append_byte(words, ' ');
    tcl_quote(words, script, length);
}

/* Digits, of a value up to `most`. */
static bool read_number(struct reader *reader, size_t most, size_t *ret_value)
{
    const char *at = reader->at;
    size_t value = 0;
    while (at < reader->end && isdigit((unsigned char)*at)) {
        value = value * 10 + (size_t)(*at++ - '0');
        if (value > most) {
            return false;
        }
    }
    if (at == reader->at) {
        return false;
    }
    reader->at = at;
    *ret_value = value;
    return true;
}

static bool read_byte(struct reader *reader, char byte)
{
    bool is_there = reader->at < reader->end && *reader->at == byte;
    reader->at += is_there;
    return is_there;
}

/* No code has so many digits that a long could not hold it. */
static bool read_code(struct reader *reader, long *ret_code)
{
    bool negative = read_byte(reader, '-');
    size_t value = 0;
    if (!read_number(reader, 1u << 30, &value)) {
        return false;
    }
    *ret_code = negative ? -(long)value : (long)value;
    return true;
}

/* The head, the colon included; lengths add up to no more than what is there at all. */
static bool read_head(struct reader *reader, size_t most, struct ocd_reply replies[], size_t *ret_count)
{
    size_t room = (size_t)(reader->end - reader->at);
    if (!read_number(reader, most, ret_count) || *ret_count == 0) {
        return false;
    }
    for (size_t i = 0; i < *ret_count; i++) {
        size_t *lengths[PARTS] = {&replies[i].result_length, &replies[i].log_length,
                                  &replies[i].options_length};
        if (!read_byte(reader, ' ') || !read_code(reader, &replies[i].code)) {
            return false;
        }
        for (size_t part = 0; part < PARTS; part++) {
            if (!read_byte(reader, ' ') || !read_number(reader, room, lengths[part])) {
                return false;
            }
            room -= *lengths[part];
        }
    }
    return read_byte(reader, ':');
}

static bool take_part(struct reader *reader, size_t length, const char **ret_text)
{
    if ((size_t)(reader->end - reader->at) <= length || reader->at[length] != '\0') {
        return false;
    }
    *ret_text = reader->at;
    reader->at += length + 1;
    return true;
}

static bool split(const struct ocd_reply *reply, size_t most, struct ocd_reply replies[], size_t *ret_count)
{
    struct reader reader = {.at = reply->result, .end = reply->result + reply->result_length};
    if (!read_head(&reader, most, replies, ret_count)) {
        return false;
    }
    for (size_t i = 0; i < *ret_count; i++) {
        struct ocd_reply *each = &replies[i];
        if (!take_part(&reader, each->result_length, &each->result) ||
            !take_part(&reader, each->log_length, &each->log) ||
            !take_part(&reader, each->options_length, &each->options)) {
            return false;
        }
        ocd_reply_take_own_code(each);
    }
    return reader.at == reader.end;
}

bool bundle_split(const struct ocd_reply *reply, size_t count, struct ocd_reply ret_replies[],
                  size_t *ret_count, struct err *err)
{
    struct ocd_reply replies[BUNDLE_MOST];
    size_t ran = 0;
    if (!ocd_reply_ok(reply)) {
        struct strbuf words = STRBUF_INIT;
        ocd_reply_words(reply, &words);
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD does not run %zu commands at once: %.200s", count,
                strbuf_text(&words));
        strbuf_fini(&words);
        return false;
    }
    if (!split(reply, count, replies, &ran)) {
        return err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's answer to %zu commands at once cannot be read",
                       count);
    }
    for (size_t i = 0; i < ran; i++) {
        ret_replies[i] = replies[i];
    }
    *ret_count = ran;
    return true;
}
