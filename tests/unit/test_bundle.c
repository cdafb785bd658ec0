/* openocd/bundle: several commands in one envelope, and answers that cannot be taken for one another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "openocd/bundle.h"

/* A text with its length, for texts with NULs. */
#define TEXT(text) text, sizeof(text) - 1

static struct ocd_reply reply_of(const char *text, size_t length)
{
    return (struct ocd_reply){.result = text, .result_length = length, .log = "", .options = ""};
}

static void assert_part(const char *text, size_t length, const char *expected)
{
    assert_int_equal(length, strlen(expected));
    assert_string_equal(text, expected);
}

static void test_bundle_words_are_quoted(void **state)
{
    struct strbuf words = STRBUF_INIT;
    (void)state;
    bundle_add(&words, TEXT("a \"b\" [c] $d \\ \x1a"));
    bundle_add(&words, TEXT(""));
    assert_string_equal(strbuf_text(&words), " \"a \\\"b\\\" \\[c] \\$d \\\\ \\x1a\" \"\"");
    strbuf_fini(&words);
}

/* The words go behind the script, quoted no second time. */
static void test_bundle_fits_an_envelope(void **state)
{
    struct strbuf words = STRBUF_INIT;
    struct strbuf out = STRBUF_INIT;
    const struct envelope_data data = {.words = &words};
    (void)state;
    bundle_add(&words, TEXT("one $x"));
    assert_true(envelope_encode_with_data(&out, "Nonce1", TEXT("run"), &data));
    assert_non_null(strstr(strbuf_text(&out), "apply {{s args} "));
    assert_non_null(strstr(strbuf_text(&out), "}} \"run\" \"one \\$x\"\x1a"));
    /* What counts is the length as it is sent. */
    strbuf_clear(&out);
    strbuf_extend(&words, ENVELOPE_MAX_COMMAND - words.length);
    memset(words.data, 'x', words.length);
    assert_false(envelope_encode_with_data(&out, "Nonce1", TEXT("run"), &data));
    assert_int_equal(out.length, 0);
    strbuf_fini(&words);
    strbuf_fini(&out);
}

static void test_bundle_splits_answers(void **state)
{
    static const char text[] = "3 0 3 0 0 -304 0 5 2 2147 4 1 0:0x1\0\0\0\0not h\0oo\0a:b \0l\0\0";
    struct ocd_reply replies[3];
    struct ocd_reply reply;
    size_t ran = 0;
    struct err err;
    (void)state;
    reply = reply_of(text, sizeof text - 1);
    assert_true(bundle_split(&reply, 3, replies, &ran, &err));
    assert_int_equal(ran, 3);
    assert_int_equal(replies[0].code, 0);
    assert_part(replies[0].result, replies[0].result_length, "0x1");
    assert_part(replies[0].log, replies[0].log_length, "");
    assert_int_equal(replies[1].code, -304);
    assert_part(replies[1].result, replies[1].result_length, "");
    assert_part(replies[1].log, replies[1].log_length, "not h");
    assert_part(replies[1].options, replies[1].options_length, "oo");
    assert_int_equal(replies[2].code, 2147);
    assert_part(replies[2].result, replies[2].result_length, "a:b ");
    assert_part(replies[2].log, replies[2].log_length, "l");
}

/* One command's text looks like the whole answer of others: it stays one command's. */
static void test_bundle_text_that_looks_like_an_answer_is_text(void **state)
{
    static const char hostile[] = "2 0 1 0 0 0 1 0 0:x\0\0\0y\0\0\0";
    struct strbuf text = STRBUF_INIT;
    struct ocd_reply replies[2];
    size_t ran = 77;
    struct err err;
    (void)state;
    strbuf_appendf(&text, "2 0 %zu 0 0 1 2 0 0:", sizeof hostile - 1);
    strbuf_append(&text, hostile, sizeof hostile - 1);
    strbuf_append(&text, TEXT("\0\0\0no\0\0\0"));
    struct ocd_reply reply = reply_of(strbuf_text(&text), text.length);
    assert_true(bundle_split(&reply, 2, replies, &ran, &err));
    assert_int_equal(replies[0].result_length, sizeof hostile - 1);
    assert_memory_equal(replies[0].result, hostile, sizeof hostile - 1);
    assert_part(replies[1].result, replies[1].result_length, "no");
    assert_int_equal(replies[1].code, 1);
    strbuf_fini(&text);
}

static void refuse(const char *text, size_t length, size_t count)
{
    struct ocd_reply replies[BUNDLE_MOST];
    struct ocd_reply untouched[BUNDLE_MOST];
    struct err err;
    /* Of its own size, so that a byte too far is found out. */
    char *copy = xstrndup("", 0);
    copy = xrealloc(copy, length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    struct ocd_reply reply = reply_of(copy, length);
    memset(replies, 0x55, sizeof replies);
    memset(untouched, 0x55, sizeof untouched);
    err_reset(&err);
    size_t ran = 77;
    assert_false(bundle_split(&reply, count, replies, &ran, &err));
    assert_int_equal(ran, 77);
    assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
    assert_memory_equal(replies, untouched, sizeof replies);
    free(copy);
}

static void test_bundle_refuses_lies(void **state)
{
    (void)state;
    refuse(TEXT(""), 1);
    refuse(TEXT("1"), 1);
    refuse(TEXT("1:"), 1);
    refuse(TEXT("1 0 0 0:\0\0\0"), 1);
    refuse(TEXT("2 0 0 0 0:\0\0\0"), 2); /* says two, has one */
    refuse(TEXT("0:"), 2);
    refuse(TEXT("2 0 0 0 0 0 0 0 0:\0\0\0\0\0\0"), 1);      /* has two where one was sent */
    refuse(TEXT("1 0 1 0 0:\0\0\0"), 1);                    /* a part is too short */
    refuse(TEXT("1 0 0 0 0:x\0\0\0"), 1);                   /* or too long */
    refuse(TEXT("1 0 0 0 0:\0\0\0x"), 1);                   /* something behind the last */
    refuse(TEXT("1 0 0 0 0:\0\0"), 1);                      /* no NUL behind the last */
    refuse(TEXT("2 0 2 0 0 0 0 0 0:a\0\0\0\0\0\0"), 2);     /* one reaches into the next */
    refuse(TEXT("1 0 18446744073709551616 0 0:\0\0\0"), 1); /* beyond 64 bits */
    refuse(TEXT("1 0 18446744073709551615 1 1:\0\0\0"), 1); /* a sum beyond */
    refuse(TEXT("1 99999999999999999999 0 0 0:\0\0\0"), 1); /* no code */
    refuse(TEXT("1 - 0 0 0:\0\0\0"), 1);
    refuse(TEXT("1 0 -1 0 0:\0\0\0"), 1);
    refuse(TEXT("1  0 0 0 0:\0\0\0"), 1);
    refuse(TEXT(" 1 0 0 0 0:\0\0\0"), 1);
    refuse(TEXT("1 0 0 0 0 :\0\0\0"), 1);
    refuse(TEXT("99999 0 0 0 0:\0\0\0"), 1);
}

/* Those that OpenOCD did not begin have no answer. */
static void test_bundle_of_which_some_did_not_run(void **state)
{
    struct ocd_reply replies[3];
    struct ocd_reply reply = reply_of(TEXT("2 0 1 0 0 0 1 0 0:a\0\0\0b\0\0\0"));
    size_t ran = 77;
    struct err err;
    (void)state;
    assert_true(bundle_split(&reply, 3, replies, &ran, &err));
    assert_int_equal(ran, 2);
    assert_part(replies[1].result, replies[1].result_length, "b");
}

static void test_bundle_that_failed_gives_openocds_words(void **state)
{
    struct ocd_reply replies[2];
    size_t ran = 77;
    struct ocd_reply reply = reply_of(TEXT("invalid command name \"apply\""));
    struct err err;
    (void)state;
    reply.code = 1;
    err_reset(&err);
    assert_false(bundle_split(&reply, 2, replies, &ran, &err));
    assert_non_null(strstr(err.message, "invalid command name"));
}

/* Every answer that is cut off, or has one byte more. */
static void test_bundle_refuses_every_cut(void **state)
{
    static const char text[] = "2 0 3 1 0 -4 0 5 2:0x1\0w\0\0\0words\0oo\0";
    struct ocd_reply replies[2];
    size_t ran = 77;
    struct ocd_reply reply = reply_of(text, sizeof text - 1);
    struct err err;
    (void)state;
    assert_true(bundle_split(&reply, 2, replies, &ran, &err));
    for (size_t i = 0; i < sizeof text - 1; i++) {
        refuse(text, i, 2);
    }
    refuse(text, sizeof text, 2);
}

/* Each command has an errorCode of its own. */
static void test_bundle_takes_own_codes(void **state)
{
    static const char text[] = "2 1 0 0 25 1 0 0 15:\0\0-errorcode {OpenOCD -304}\0\0\0-errorcode NONE\0";
    struct ocd_reply replies[2];
    struct ocd_reply reply = reply_of(text, sizeof text - 1);
    size_t ran = 0;
    struct err err;
    (void)state;
    assert_true(bundle_split(&reply, 2, replies, &ran, &err));
    assert_int_equal(ran, 2);
    assert_int_equal(replies[0].code, -304);
    assert_int_equal(replies[1].code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle_takes_own_codes),
        cmocka_unit_test(test_bundle_words_are_quoted),
        cmocka_unit_test(test_bundle_fits_an_envelope),
        cmocka_unit_test(test_bundle_splits_answers),
        cmocka_unit_test(test_bundle_text_that_looks_like_an_answer_is_text),
        cmocka_unit_test(test_bundle_refuses_lies),
        cmocka_unit_test(test_bundle_of_which_some_did_not_run),
        cmocka_unit_test(test_bundle_that_failed_gives_openocds_words),
        cmocka_unit_test(test_bundle_refuses_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
