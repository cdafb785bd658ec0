/* base/base64: the vectors of RFC 4648, section 10, round trips, and every kind of wrong text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static const struct {
    const char *bytes;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void test_base64_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct strbuf out = STRBUF_INIT;
        base64_encode(&out, (const uint8_t *)vectors[i].bytes, strlen(vectors[i].bytes));
        assert_string_equal(strbuf_text(&out), vectors[i].text);
        strbuf_clear(&out);
        strbuf_append_text(&out, "kept ");
        assert_true(base64_decode(&out, vectors[i].text, strlen(vectors[i].text)));
        assert_int_equal(out.length, 5 + strlen(vectors[i].bytes));
        assert_string_equal(out.data + 5, vectors[i].bytes);
        strbuf_fini(&out);
    }
}

static void test_base64_every_character(void **state)
{
    (void)state;
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct strbuf bytes = STRBUF_INIT;
    assert_true(base64_decode(&bytes, all, 64));
    assert_int_equal(bytes.length, 48);
    /* The six-bit groups count from 0 to 63. */
    for (unsigned i = 0; i < 64; i++) {
        unsigned value = 0;
        for (unsigned bit = 0; bit < 6; bit++) {
            unsigned place = i * 6 + bit;
            unsigned byte = (unsigned char)bytes.data[place / 8];
            value = value << 1 | (byte >> (7 - place % 8) & 1u);
        }
        assert_int_equal(value, i);
    }
    struct strbuf text = STRBUF_INIT;
    base64_encode(&text, (const uint8_t *)bytes.data, bytes.length);
    assert_string_equal(strbuf_text(&text), all);
    strbuf_fini(&text);
    strbuf_fini(&bytes);
}

static void test_base64_round_trip_of_every_length(void **state)
{
    (void)state;
    uint8_t bytes[500];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 24);
    }
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct strbuf text = STRBUF_INIT;
        struct strbuf back = STRBUF_INIT;
        base64_encode(&text, bytes, length);
        assert_int_equal(text.length, (length + 2) / 3 * 4);
        assert_true(base64_decode(&back, text.data, text.length));
        assert_int_equal(back.length, length);
        assert_memory_equal(back.data, bytes, length);
        strbuf_fini(&text);
        strbuf_fini(&back);
    }
}

static void assert_refused(const char *text, size_t length)
{
    struct strbuf out = STRBUF_INIT;
    strbuf_append_text(&out, "kept");
    assert_false(base64_decode(&out, text, length));
    assert_int_equal(out.length, 4);
    assert_string_equal(strbuf_text(&out), "kept");
    strbuf_fini(&out);
}

static void test_base64_refuses_wrong_padding_and_length(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z",        "Zg",   "Zg=",      "Zm9vY", "====",   "Z===", "=Zg=",     "Zg==Zg==",
        "Zm8=Zm8=", "Zg=v", "Zm9v====", "Zm9v=", "Zm9v==", "=m9v", "Zm9vZ===", "Zg==Zm9v",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused(wrong[i], strlen(wrong[i]));
    }
}

static void test_base64_refuses_bits_behind_the_last_byte(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Zh==", "Zn==", "Zm9=", "Zm/=", "AB==", "AAB=", "Zm9vZh=="};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused(wrong[i], strlen(wrong[i]));
    }
}

static void test_base64_refuses_every_foreign_character_everywhere(void **state)
{
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned value = 0; value < 256; value++) {
        if (value != 0 && strchr(alphabet, (int)value) != NULL) {
            continue;
        }
        for (size_t place = 0; place < 8; place++) {
            char text[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A'};
            text[place] = (char)value;
            if (value == '=' && place == 7) {
                continue; /* padding where it belongs */
            }
            assert_refused(text, sizeof text);
            char padded[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', '='};
            if (place < 7 && !(value == '=' && place == 6)) {
                padded[place] = (char)value;
                assert_refused(padded, sizeof padded);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_vectors_of_the_rfc),
        cmocka_unit_test(test_base64_every_character),
        cmocka_unit_test(test_base64_round_trip_of_every_length),
        cmocka_unit_test(test_base64_refuses_wrong_padding_and_length),
        cmocka_unit_test(test_base64_refuses_bits_behind_the_last_byte),
        cmocka_unit_test(test_base64_refuses_every_foreign_character_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
