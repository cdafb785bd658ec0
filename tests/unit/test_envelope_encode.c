/* The envelope: what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/envelope.h"

#define NONCE "0123456789abcdef0123456789abcdef"
/* A text with NULs in it, as pointer and length. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

static void test_envelope_encode_wraps_the_script(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "before");
    assert_true(envelope_encode(&out, "Nonce1", BYTES("puts \"[a\0b]\x1a$c\\\"")));
    assert_string_equal(
        strbuf_text(&out),
        "beforeapply {s {set l [capture {set c [catch -exit -eval -signal {uplevel #0 $s} r o];format {}}];"
        "return \"\\x00Nonce1 $c [string bytelength $r] [string bytelength $l] [string bytelength "
        "$o]:$r$l$o\"}} "
        "\"puts \\\"\\[a\\x00b]\\x1a\\$c\\\\\\\"\"\x1a");
    assert_int_equal(out.length, strlen(out.data));
    strbuf_fini(&out);
}

static void test_envelope_encode_hands_data_on(void **state)
{
    (void)state;
    const size_t piece = 256 * 1024;
    struct strbuf out = STRBUF_INIT;
    uint8_t *bytes = malloc(ENVELOPE_MAX_COMMAND);
    assert_non_null(bytes);
    memset(bytes, 'x', ENVELOPE_MAX_COMMAND);
    memcpy(bytes, "a\0$\x1a", 4);
    struct envelope_data data = {.bytes = bytes, .size = 4};
    assert_true(envelope_encode_with_data(&out, "Nonce1", BYTES("$c do"), &data));
    assert_string_equal(
        strbuf_text(&out),
        "apply {{s args} {set l [capture {set c [catch -exit -eval -signal {uplevel #0 [list {*}$s "
        "{*}$args]} r "
        "o];format {}}];return \"\\x00Nonce1 $c [string bytelength $r] [string bytelength $l] [string "
        "bytelength $o]:$r$l$o\"}} \"\\$c do\" \"a\\x00\\$\\x1a\"\x1a");
    size_t around = out.length - sizeof "a\\x00\\$\\x1a" + 1;
    /* In words of 256 KiB. */
    strbuf_clear(&out);
    bytes[0] = bytes[1] = bytes[2] = bytes[3] = 'x';
    data.size = piece + 1;
    assert_true(envelope_encode_with_data(&out, "Nonce1", BYTES("$c do"), &data));
    assert_int_equal(out.length, around + piece + 1 + 3);
    assert_string_equal(out.data + out.length - 7, "x\" \"x\"\x1a");
    /* What counts is the length as it is sent. */
    strbuf_clear(&out);
    data.size = ENVELOPE_MAX_COMMAND;
    assert_false(envelope_encode_with_data(&out, NONCE, "", 0, &data));
    data.size++;
    assert_false(envelope_encode_with_data(&out, NONCE, "", 0, &data));
    assert_int_equal(out.length, 0);
    free(bytes);
    strbuf_fini(&out);
}

static void test_envelope_encode_minds_the_limit(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    struct strbuf script = STRBUF_INIT;
    assert_true(envelope_encode(&out, NONCE, "", 0));
    size_t around = out.length - 1;
    memset(strbuf_extend(&script, ENVELOPE_MAX_COMMAND - around), 'a', ENVELOPE_MAX_COMMAND - around);
    strbuf_clear(&out);
    strbuf_append_text(&out, "kept");
    assert_true(envelope_encode(&out, NONCE, script.data, script.length));
    assert_int_equal(out.length, 4 + ENVELOPE_MAX_COMMAND + 1);
    strbuf_truncate(&out, 4);
    strbuf_append_byte(&script, 'a');
    assert_false(envelope_encode(&out, NONCE, script.data, script.length));
    assert_string_equal(strbuf_text(&out), "kept");
    /* What counts is the length as it is sent. */
    strbuf_truncate(&script, ENVELOPE_MAX_COMMAND - around);
    script.data[1000] = '"';
    assert_false(envelope_encode(&out, NONCE, script.data, script.length));
    assert_false(envelope_encode(&out, NONCE, script.data, (size_t)ENVELOPE_MAX_COMMAND + 1));
    assert_string_equal(strbuf_text(&out), "kept");
    strbuf_fini(&out);
    strbuf_fini(&script);
}

static void test_envelope_encode_never_splits(void **state)
{
    (void)state;
    struct strbuf out = STRBUF_INIT;
    char script[2];
    for (unsigned pair = 0; pair < 65536; pair++) {
        script[0] = (char)(pair >> 8);
        script[1] = (char)pair;
        strbuf_clear(&out);
        assert_true(envelope_encode(&out, NONCE, script, sizeof(script)));
        assert_null(memchr(out.data, '\0', out.length));
        assert_ptr_equal(memchr(out.data, 0x1a, out.length), out.data + out.length - 1);
    }
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope_encode_wraps_the_script),
        cmocka_unit_test(test_envelope_encode_hands_data_on),
        cmocka_unit_test(test_envelope_encode_minds_the_limit),
        cmocka_unit_test(test_envelope_encode_never_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
