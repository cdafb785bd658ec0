/* The envelope: what is made of the bytes that come back, in any cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/envelope.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NONCE "0123456789abcdef0123456789abcdef"
/* A text with NULs in it, as pointer and length. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* Writes down every callback, one line each: "reply NONCE CODE [RESULT] [LOG] [OPTIONS]" and so on. */
struct recorder {
    struct envelope_decoder *decoder;
    struct strbuf lines;
    const char *reset_at; /* resets the decoder at the callback of this name */
};

static void record_event(struct recorder *recorder, const char *name)
{
    strbuf_append_text(&recorder->lines, name);
    if (recorder->reset_at != NULL && strcmp(recorder->reset_at, name) == 0) {
        envelope_decoder_reset(recorder->decoder);
    }
}

static void record_part(struct recorder *recorder, const char *bytes, size_t length)
{
    assert_int_equal(bytes[length], '\0');
    strbuf_append_text(&recorder->lines, " [");
    strbuf_append(&recorder->lines, bytes, length);
    strbuf_append_text(&recorder->lines, "]");
}

static void on_reply(void *context, const char *nonce, const struct ocd_reply *reply)
{
    struct recorder *recorder = context;
    record_event(recorder, "reply");
    strbuf_appendf(&recorder->lines, " %s %ld", nonce, reply->code);
    record_part(recorder, reply->result, reply->result_length);
    record_part(recorder, reply->log, reply->log_length);
    record_part(recorder, reply->options, reply->options_length);
    strbuf_append_byte(&recorder->lines, '\n');
}

static void on_notification(void *context, const char *type, const char *value)
{
    struct recorder *recorder = context;
    record_event(recorder, "notification");
    strbuf_appendf(&recorder->lines, " %s [%s]\n", type, value);
}

static void on_too_long(void *context)
{
    record_event(context, "too_long");
    strbuf_append_byte(&((struct recorder *)context)->lines, '\n');
}

static void on_stray(void *context, const char *bytes, size_t length)
{
    struct recorder *recorder = context;
    record_event(recorder, "stray");
    record_part(recorder, bytes, length);
    strbuf_append_byte(&recorder->lines, '\n');
}

static void on_broken(void *context, const char *reason)
{
    struct recorder *recorder = context;
    assert_true(strlen(reason) > 0);
    record_event(recorder, "broken");
    strbuf_append_byte(&recorder->lines, '\n');
}

static const struct envelope_handler handler = {on_reply, on_notification, on_too_long, on_stray, on_broken};

static int set_up(void **state)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    recorder->decoder = envelope_decoder_new(&handler, recorder);
    strbuf_init(&recorder->lines);
    *state = recorder;
    return 0;
}

static int tear_down(void **state)
{
    struct recorder *recorder = *state;
    envelope_decoder_free(recorder->decoder);
    strbuf_fini(&recorder->lines);
    free(recorder);
    return 0;
}

static void feed(struct recorder *recorder, const char *bytes, size_t length)
{
    /* From memory of exactly this size, so that AddressSanitizer sees a read behind it. */
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, bytes, length);
    copy = realloc(copy, length > 0 ? length : 1);
    envelope_decoder_feed(recorder->decoder, copy, length);
    free(copy);
}

/* Compares what was recorded, and forgets it. */
static void assert_recorded(struct recorder *recorder, const char *expected, size_t length)
{
    assert_int_equal(recorder->lines.length, length);
    assert_memory_equal(strbuf_text(&recorder->lines), expected, length);
    strbuf_clear(&recorder->lines);
}

/* A fresh start, one feed, and what has to come of it. */
static void check(struct recorder *recorder, const char *bytes, size_t length, const char *expected)
{
    envelope_decoder_reset(recorder->decoder);
    feed(recorder, bytes, length);
    assert_recorded(recorder, expected, strlen(expected));
}

static void append_frame(struct strbuf *out, long code, const char *result, size_t length, const char *log)
{
    strbuf_append_byte(out, '\0');
    strbuf_appendf(out, "%s %ld %zu %zu 2:", NONCE, code, length, strlen(log));
    strbuf_append(out, result, length);
    strbuf_appendf(out, "%s-o\x1a", log);
}

static void test_envelope_decodes_what_openocd_0_12_sends(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *expected;
    } rows[] = {
        /* version */
        {BYTES("\0" NONCE " 0 28 0 16:Open On-Chip Debugger 0.12.0-code 0 -level 0\x1a"),
         "reply " NONCE " 0 [Open On-Chip Debugger 0.12.0] [] [-code 0 -level 0]\n"},
        /* return 5 */
        {BYTES("\0" NONCE " 2 1 0 16:5-code 0 -level 1\x1a"),
         "reply " NONCE " 2 [5] [] [-code 0 -level 1]\n"},
        /* error boo */
        {BYTES("\0" NONCE " 1 3 0 62:boo-code 1 -level 0 -errorinfo {{} command.c 708} -errorcode NONE\x1a"),
         "reply " NONCE " 1 [boo] [] [-code 1 -level 0 -errorinfo {{} command.c 708} -errorcode NONE]\n"},
        /* throw 7 seven */
        {BYTES("\0" NONCE " 7 5 0 16:seven-code 7 -level 0\x1a"),
         "reply " NONCE " 7 [seven] [] [-code 7 -level 0]\n"},
        /* exit */
        {BYTES("\0" NONCE " -600 0 0 19:-code -600 -level 0\x1a"),
         "reply " NONCE " -600 [] [] [-code -600 -level 0]\n"},
        /* flash probe 9 */
        {BYTES("\0" NONCE " -4 33 28 17:flash bank '#9' is out of bounds\nflash bank 9 does not exist\n"
               "-code -4 -level 0\x1a"),
         "reply " NONCE " -4 [flash bank '#9' is out of bounds\n] [flash bank 9 does not exist\n] "
         "[-code -4 -level 0]\n"},
        /* string repeat \x1a 3 */
        {BYTES("\0" NONCE " 0 3 0 16:\x1a\x1a\x1a-code 0 -level 0\x1a"),
         "reply " NONCE " 0 [\x1a\x1a\x1a] [] [-code 0 -level 0]\n"},
        /* reset halt, with notifications on */
        {BYTES("type target_reset mode halt\r\n\x1a\0" NONCE " 0 0 42 16:Bypassing JTAG setup events due to "
               "errors\n-code 0 -level 0\x1a"),
         "notification target_reset [halt]\n"
         "reply " NONCE " 0 [] [Bypassing JTAG setup events due to errors\n] [-code 0 -level 0]\n"},
        /* halt 0 on the virtual board */
        {BYTES("type target_event event gdb-halt\r\n\x1atype target_state state halted\r\n\x1a"
               "type target_event event halted\r\n\x1a"),
         "notification target_event [gdb-halt]\nnotification target_state [halted]\n"
         "notification target_event [halted]\n"},
        /* a command that is too long, then a bare "version" */
        {BYTES("line too long\n\0Open On-Chip Debugger 0.12.0\x1a"),
         "too_long\nstray [Open On-Chip Debugger 0.12.0]\n"},
        /* a bare "flash info 9", a bare empty command */
        {BYTES("command.c:708: Error: \nat file \"command.c\", line 708\x1a\x1a"),
         "stray [command.c:708: Error: \nat file \"command.c\", line 708]\nstray []\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(*state, rows[i].bytes, rows[i].length, rows[i].expected);
    }
}

static void append_all_kinds(struct strbuf *stream)
{
    static const char hostile[] = "\0\x1a{\"\n\0" NONCE " 0 0 0 0:\x1atype target_event event x\r\n\x1a\xff";
    append_frame(stream, 0, BYTES(hostile), "");
    strbuf_append_text(stream, "type target_event event halted\r\n\x1a");
    append_frame(stream, -304, "", 0, "Target not halted\n");
    strbuf_append(stream, BYTES("line too long\n\0line too long\n\0"));
    strbuf_append_text(stream, "line too longer\x1a\x1aline too long\n\x1atype target\x1a");
    strbuf_append_text(stream, "type target_state state running\r\n\x1a");
    append_frame(stream, 1, BYTES("l\x1a"), "log\x1a");
}

static void test_envelope_is_the_same_in_every_cut(void **state)
{
    struct recorder *recorder = *state;
    struct strbuf stream = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    append_all_kinds(&stream);
    feed(recorder, stream.data, stream.length);
    strbuf_append(&expected, recorder->lines.data, recorder->lines.length);
    assert_recorded(recorder, expected.data, expected.length);
    static const char end[] =
        "notification target_state [running]\nreply " NONCE " 1 [l\x1a] [log\x1a] [-o]\n";
    assert_memory_equal(expected.data + expected.length - strlen(end), end, strlen(end));
    /* Two pieces, cut everywhere. */
    for (size_t cut = 0; cut <= stream.length; cut++) {
        feed(recorder, stream.data, cut);
        feed(recorder, stream.data + cut, stream.length - cut);
        assert_recorded(recorder, expected.data, expected.length);
    }
    /* Pieces of one size: byte by byte, and so on. */
    for (size_t size = 1; size <= stream.length; size++) {
        for (size_t at = 0; at < stream.length; at += size) {
            feed(recorder, stream.data + at, at + size < stream.length ? size : stream.length - at);
        }
        assert_recorded(recorder, expected.data, expected.length);
    }
    strbuf_fini(&stream);
    strbuf_fini(&expected);
}

static void test_envelope_holds_an_envelope(void **state)
{
    struct recorder *recorder = *state;
    struct strbuf inner = STRBUF_INIT;
    struct strbuf outer = STRBUF_INIT;
    struct strbuf expected = STRBUF_INIT;
    append_frame(&inner, 0, BYTES("x"), "");
    append_frame(&outer, 0, inner.data, inner.length, "");
    feed(recorder, outer.data, outer.length);
    strbuf_append_text(&expected, "reply " NONCE " 0 [");
    strbuf_append(&expected, inner.data, inner.length);
    strbuf_append_text(&expected, "] [] [-o]\n");
    assert_recorded(recorder, expected.data, expected.length);
    strbuf_fini(&inner);
    strbuf_fini(&outer);
    strbuf_fini(&expected);
}

static void test_envelope_refuses_bad_headers(void **state)
{
    struct recorder *recorder = *state;
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {BYTES("\0:")},
        {BYTES("\0" NONCE ":")},
        {BYTES("\0" NONCE " 0 0 0:")},
        {BYTES("\0" NONCE " 0 0 0 0 :")},
        {BYTES("\0" NONCE " 0 0 0 0 0:")},
        {BYTES("\0" NONCE " 0  0 0 0:")},
        {BYTES("\0" NONCE "  0 0 0 0:")},
        {BYTES("\0 0 0 0 0:")},
        {BYTES("\0" NONCE "x 0 0 0 0:")},
        {BYTES("\0no-nce 0 0 0 0:")},
        {BYTES("\0n\0ce 0 0 0 0:")},
        {BYTES("\0" NONCE " x 0 0 0:")},
        {BYTES("\0" NONCE " - 0 0 0:")},
        {BYTES("\0" NONCE " +1 0 0 0:")},
        {BYTES("\0" NONCE " 1x 0 0 0:")},
        {BYTES("\0" NONCE " 99999999999999999999 0 0 0:")},
        {BYTES("\0" NONCE " 0 -1 0 0:")},
        {BYTES("\0" NONCE " 0 +1 0 0:")},
        {BYTES("\0" NONCE " 0 0x1 0 0:")},
        {BYTES("\0" NONCE " 0 0 0 1\0:")},
        {BYTES("\0" NONCE " 0 0 \0 1:")},
        {BYTES("\0" NONCE " 0 67108865 0 0:")},
        {BYTES("\0" NONCE " 0 0 0 67108865:")},
        {BYTES("\0" NONCE " 0 67108864 0 1:")},
        {BYTES("\0" NONCE " 0 18446744073709551616 0 0:")},
        {BYTES("\0" NONCE " 0 1 0 18446744073709551615:")},
        {BYTES("\0" NONCE " 0 0 0 0\x1a\x1a\0" NONCE " 0 0 0 0:\x1a")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(recorder, rows[i].bytes, rows[i].length, "broken\n");
        /* Once broken, nothing counts until a reset. */
        feed(recorder, BYTES("\x1a\0" NONCE " 0 0 0 0:\x1a"));
        assert_recorded(recorder, "", 0);
        check(recorder, BYTES("\0" NONCE " 0 0 0 0:\x1a"), "reply " NONCE " 0 [] [] []\n");
    }
}

static void test_envelope_header_is_bounded(void **state)
{
    struct recorder *recorder = *state;
    char digits[200];
    memset(digits, '0', sizeof(digits));
    feed(recorder, "", 1);
    feed(recorder, digits, 127);
    assert_recorded(recorder, "", 0);
    feed(recorder, digits, 1);
    assert_recorded(recorder, "broken\n", 7);
    envelope_decoder_reset(recorder->decoder);
    feed(recorder, "", 1);
    feed(recorder, digits, sizeof(digits));
    assert_recorded(recorder, "broken\n", 7);
}

static void test_envelope_refuses_lengths_that_lie(void **state)
{
    struct recorder *recorder = *state;
    /* Too short, in each part. */
    check(recorder, BYTES("\0" NONCE " 0 1 0 0:ab\x1a"), "broken\n");
    check(recorder, BYTES("\0" NONCE " 0 0 1 0:ab\x1a"), "broken\n");
    check(recorder, BYTES("\0" NONCE " 0 0 0 1:ab\x1a"), "broken\n");
    check(recorder, BYTES("\0" NONCE " 0 0 0 0:ab\x1a"), "broken\n");
    check(recorder, BYTES("\0" NONCE " 0 0 0 0:\n\x1a"), "broken\n");
    /* Too long: the 0x1a and what follows are taken for data, and then no 0x1a is there. */
    check(recorder, BYTES("\0" NONCE " 0 3 0 0:ab\x1atype target_event event halted\r\n\x1a"), "broken\n");
}

/* Counts the replies that are as large as they may be. */
static void on_largest_reply(void *context, const char *nonce, const struct ocd_reply *reply)
{
    assert_string_equal(nonce, NONCE);
    assert_int_equal(reply->result_length, ENVELOPE_MAX_REPLY - 4);
    assert_memory_equal(reply->result + reply->result_length - 4, "xxxx", 5);
    assert_int_equal(reply->log_length, 3);
    assert_string_equal(reply->log, "xxx");
    assert_int_equal(reply->options_length, 1);
    assert_string_equal(reply->options, "x");
    ++*(unsigned *)context;
}

static void test_envelope_takes_the_largest_reply(void **state)
{
    (void)state;
    static uint8_t piece[64 * 1024];
    static const char header[] = "\0" NONCE " 0 67108860 3 1:";
    struct envelope_handler largest = handler;
    unsigned replies = 0;
    largest.reply = on_largest_reply;
    struct envelope_decoder *decoder = envelope_decoder_new(&largest, &replies);
    memset(piece, 'x', sizeof(piece));
    envelope_decoder_feed(decoder, (const uint8_t *)header, sizeof(header) - 1);
    for (size_t fed = 0; fed < ENVELOPE_MAX_REPLY; fed += sizeof(piece)) {
        envelope_decoder_feed(decoder, piece, sizeof(piece));
    }
    assert_int_equal(replies, 0);
    envelope_decoder_feed(decoder, (const uint8_t *)"\x1a", 1);
    assert_int_equal(replies, 1);
    envelope_decoder_free(decoder);
}

static void test_envelope_knows_too_long_from_strays(void **state)
{
    struct recorder *recorder = *state;
    check(recorder, BYTES("line too long\n\0\0" NONCE " 0 0 0 0:\x1a"),
          "too_long\nreply " NONCE " 0 [] [] []\n");
    check(recorder, BYTES("line too long\n\x1a"), "stray [line too long\n]\n");
    check(recorder, BYTES("line too long\x1a"), "stray [line too long]\n");
    check(recorder, BYTES("line\x1aline too long\n\0"), "stray [line]\ntoo_long\n");
    check(recorder, BYTES(" line too long\n\x1a"), "stray [ line too long\n]\n");
    check(recorder, BYTES("line too long\n"), "");
}

static void test_envelope_bounds_strays(void **state)
{
    struct recorder *recorder = *state;
    struct strbuf stray = STRBUF_INIT;
    char *bytes = strbuf_extend(&stray, ENVELOPE_MAX_STRAY * 3);
    for (size_t i = 0; i < stray.length; i++) {
        bytes[i] = (char)('a' + i % 23);
    }
    static const size_t lengths[] = {ENVELOPE_MAX_STRAY - 1, ENVELOPE_MAX_STRAY, ENVELOPE_MAX_STRAY + 1,
                                     ENVELOPE_MAX_STRAY * 3};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t held = lengths[i] < ENVELOPE_MAX_STRAY ? lengths[i] : ENVELOPE_MAX_STRAY;
        for (size_t at = 0; at < lengths[i]; at += 50000) {
            feed(recorder, bytes + at, lengths[i] - at < 50000 ? lengths[i] - at : 50000);
        }
        assert_int_equal(recorder->lines.length, 0);
        feed(recorder, BYTES("\x1a\0" NONCE " 0 0 0 0:\x1a"));
        static const char end[] = "]\nreply " NONCE " 0 [] [] []\n";
        assert_int_equal(recorder->lines.length, strlen("stray [") + held + strlen(end));
        assert_memory_equal(recorder->lines.data, "stray [", strlen("stray ["));
        assert_memory_equal(recorder->lines.data + strlen("stray ["), bytes, held);
        assert_string_equal(recorder->lines.data + strlen("stray [") + held, end);
        strbuf_clear(&recorder->lines);
    }
    strbuf_fini(&stray);
}

static void test_envelope_splits_notifications(void **state)
{
    struct recorder *recorder = *state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *expected;
    } rows[] = {
        {BYTES("type target_trace data 00ff\r\n\x1a"), "notification target_trace [00ff]\n"},
        {BYTES("type target_trace data \r\n\x1a"), "notification target_trace []\n"},
        {BYTES("type target_state state examine deferred\r\n\x1a"),
         "notification target_state [examine deferred]\n"},
        {BYTES("type target_event event halted\x1a"), "notification target_event [halted]\n"},
        {BYTES("type target_event event halted\n\r\n\x1a"), "notification target_event [halted]\n"},
        {BYTES("type target_event event a\nb\0c\x7f\xff\x1b[m\r\n\x1a"),
         "notification target_event [a?b?c???[m]\n"},
        /* Not their shape. */
        {BYTES("type target_\x1a"), "stray [type target_]\n"},
        {BYTES("type target_event\x1a"), "stray [type target_event]\n"},
        {BYTES("type target_event \x1a"), "stray [type target_event ]\n"},
        {BYTES("type target_event event\r\n\x1a"), "stray [type target_event event\r\n]\n"},
        {BYTES("type target_event  halted\x1a"), "stray [type target_event  halted]\n"},
        {BYTES("type target_Event event halted\x1a"), "stray [type target_Event event halted]\n"},
        {BYTES("type target_event\nevent halted\x1a"), "stray [type target_event\nevent halted]\n"},
        {BYTES("type targe\x1a"), "stray [type targe]\n"},
        {BYTES("Type target_event event halted\x1a"), "stray [Type target_event event halted]\n"},
        {BYTES(" type target_event event halted\x1a"), "stray [ type target_event event halted]\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        check(recorder, rows[i].bytes, rows[i].length, rows[i].expected);
    }
}

/* "type target_..." with so many letters in its type and its value. */
static void feed_notification(struct recorder *recorder, size_t type_length, size_t value_length)
{
    struct strbuf text = STRBUF_INIT;
    size_t letters = type_length - strlen("target_");
    strbuf_append_text(&text, "type target_");
    memset(strbuf_extend(&text, letters), 't', letters);
    strbuf_append_text(&text, " data ");
    memset(strbuf_extend(&text, value_length), 'v', value_length);
    strbuf_append_text(&text, "\r\n\x1a");
    feed(recorder, text.data, text.length);
    strbuf_fini(&text);
}

static void test_envelope_bounds_notifications(void **state)
{
    struct recorder *recorder = *state;
    static const size_t lengths[] = {ENVELOPE_VALUE_SIZE - 2, ENVELOPE_VALUE_SIZE - 1, ENVELOPE_VALUE_SIZE,
                                     ENVELOPE_VALUE_SIZE + 1, ENVELOPE_VALUE_SIZE * 2};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t kept = lengths[i] < ENVELOPE_VALUE_SIZE ? lengths[i] : ENVELOPE_VALUE_SIZE - 1;
        feed_notification(recorder, strlen("target_t"), lengths[i]);
        assert_memory_equal(recorder->lines.data, "notification target_t [vv", 25);
        assert_int_equal(recorder->lines.length, strlen("notification target_t []\n") + kept);
        strbuf_clear(&recorder->lines);
    }
    feed_notification(recorder, ENVELOPE_TYPE_SIZE - 1, 1);
    assert_memory_equal(recorder->lines.data, "notification target_tt", 22);
    strbuf_clear(&recorder->lines);
    feed_notification(recorder, ENVELOPE_TYPE_SIZE, 1);
    assert_memory_equal(recorder->lines.data, "stray [type target_tt", 21);
}

static void test_envelope_reset_forgets(void **state)
{
    struct recorder *recorder = *state;
    struct strbuf stream = STRBUF_INIT;
    append_all_kinds(&stream);
    for (size_t cut = 0; cut < stream.length; cut++) {
        feed(recorder, stream.data, cut);
        envelope_decoder_reset(recorder->decoder);
        strbuf_clear(&recorder->lines);
        feed(recorder, BYTES("\0" NONCE " 0 1 0 0:a\x1a"));
        static const char expected[] = "reply " NONCE " 0 [a] [] []\n";
        assert_recorded(recorder, expected, strlen(expected));
    }
    strbuf_fini(&stream);
}

static void test_envelope_reset_in_a_callback_drops_the_rest(void **state)
{
    struct recorder *recorder = *state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t length;
        const char *expected;
    } rows[] = {
        {"reply", BYTES("\0" NONCE " 0 1 1 1:abc\x1a"), "reply " NONCE " 0 [a] [b] [c]\n"},
        {"notification", BYTES("type target_event event halted\r\n\x1a"),
         "notification target_event [halted]\n"},
        {"too_long", BYTES("line too long\n\0"), "too_long\n"},
        {"stray", BYTES("stray\x1a"), "stray [stray]\n"},
        {"broken", BYTES("\0:"), "broken\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct strbuf stream = STRBUF_INIT;
        strbuf_append(&stream, rows[i].bytes, rows[i].length);
        strbuf_append_text(&stream, "the old connection's\x1a and \x1a");
        recorder->reset_at = rows[i].name;
        feed(recorder, stream.data, stream.length);
        assert_recorded(recorder, rows[i].expected, strlen(rows[i].expected));
        recorder->reset_at = NULL;
        feed(recorder, BYTES("new\x1a"));
        assert_recorded(recorder, "stray [new]\n", strlen("stray [new]\n"));
        strbuf_fini(&stream);
    }
}

#define DECODER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECODER_TEST(test_envelope_decodes_what_openocd_0_12_sends),
        DECODER_TEST(test_envelope_is_the_same_in_every_cut),
        DECODER_TEST(test_envelope_holds_an_envelope),
        DECODER_TEST(test_envelope_refuses_bad_headers),
        DECODER_TEST(test_envelope_header_is_bounded),
        DECODER_TEST(test_envelope_refuses_lengths_that_lie),
        cmocka_unit_test(test_envelope_takes_the_largest_reply),
        DECODER_TEST(test_envelope_knows_too_long_from_strays),
        DECODER_TEST(test_envelope_bounds_strays),
        DECODER_TEST(test_envelope_splits_notifications),
        DECODER_TEST(test_envelope_bounds_notifications),
        DECODER_TEST(test_envelope_reset_forgets),
        DECODER_TEST(test_envelope_reset_in_a_callback_drops_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
