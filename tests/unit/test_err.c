/* base/err. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/utf8.h"

static struct err err;

/* Whatever it held before must be gone. */
static int set_up(void **state)
{
    (void)state;
    memset(&err, 0xa5, sizeof err);
    return 0;
}

static void test_err_set_fills_and_drops_what_was(void **state)
{
    (void)state;
    assert_false(err_set(&err, ERR_INTERNAL_ERROR, "first %d", 1));
    assert_string_equal(err.message, "first 1");
    err_set_openocd(&err, -4, "text", 4);
    err_add_integer(&err, "size", 3);
    assert_false(err_set(&err, ERR_INVALID_PARAMS, "second %s", "x"));
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_string_equal(err.message, "second x");
    assert_false(err.has_openocd);
    assert_int_equal(err.openocd_length, 0);
    assert_int_equal(err.detail_count, 0);
    assert_null(err_find_detail(&err, "size"));
}

static void test_err_set_may_use_its_own_message(void **state)
{
    (void)state;
    err_set(&err, ERR_INTERNAL_ERROR, "inner");
    err_set(&err, ERR_INTERNAL_ERROR, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void test_err_message_ends_in_no_newline(void **state)
{
    (void)state;
    err_set(&err, ERR_INTERNAL_ERROR, "one\ntwo\r\n\n");
    assert_string_equal(err.message, "one\ntwo");
    err_set(&err, ERR_INTERNAL_ERROR, "\n");
    assert_string_equal(err.message, "");
}

static void test_err_message_is_cut_with_dots(void **state)
{
    (void)state;
    char text[ERR_MESSAGE_SIZE * 3];
    memset(text, 'm', sizeof text - 1);
    for (size_t length = ERR_MESSAGE_SIZE - 6; length < sizeof text; length++) {
        text[length] = '\0';
        err_set(&err, ERR_INTERNAL_ERROR, "%s", text);
        text[length] = 'm';
        size_t kept = strlen(err.message);
        if (length < ERR_MESSAGE_SIZE) {
            assert_int_equal(kept, length);
            assert_int_equal(err.message[kept - 1], 'm');
        } else {
            assert_int_equal(kept, ERR_MESSAGE_SIZE - 1);
            assert_string_equal(err.message + kept - 4, "m...");
        }
    }
}

static void test_err_message_of_exact_size_with_newline_is_not_cut(void **state)
{
    (void)state;
    char text[ERR_MESSAGE_SIZE + 1];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 2] = '\n';
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_INTERNAL_ERROR, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_SIZE - 1);
    assert_int_equal(err.message[ERR_MESSAGE_SIZE - 2], 'm');
}

static void test_err_message_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x80"};
    for (size_t i = 0; i < 3; i++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[ERR_MESSAGE_SIZE * 2];
            size_t length = (size_t)shift;
            memset(text, 'm', length);
            while (length < ERR_MESSAGE_SIZE + 8) {
                memcpy(text + length, characters[i], strlen(characters[i]));
                length += strlen(characters[i]);
            }
            text[length] = '\0';
            err_set(&err, ERR_INTERNAL_ERROR, "%s", text);
            size_t kept = strlen(err.message);
            assert_true(kept >= ERR_MESSAGE_SIZE - 4);
            assert_true(utf8_valid(err.message, kept));
            assert_string_equal(err.message + kept - 3, "...");
        }
    }
}

static void test_err_prefix_goes_before(void **state)
{
    (void)state;
    err_set(&err, ERR_TIMEOUT, "reason");
    err_add_integer(&err, "size", 3);
    err_prefix(&err, "board %s", "lab1");
    assert_string_equal(err.message, "board lab1: reason");
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_int_equal(err.detail_count, 1);
    char text[ERR_MESSAGE_SIZE * 3];
    memset(text, 'p', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_SIZE - 1);
    assert_string_equal(err.message + ERR_MESSAGE_SIZE - 5, "p...");
}

static void test_err_openocd_text_keeps_its_end(void **state)
{
    (void)state;
    char text[ERR_OPENOCD_TEXT_SIZE + 100];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 26);
    }
    err_set(&err, ERR_INTERNAL_ERROR, "x");
    err_set_openocd(&err, -902, text, ERR_OPENOCD_TEXT_SIZE);
    assert_true(err.has_openocd);
    assert_int_equal(err.openocd_code, -902);
    assert_int_equal(err.openocd_length, ERR_OPENOCD_TEXT_SIZE);
    assert_memory_equal(err.openocd_text, text, ERR_OPENOCD_TEXT_SIZE);

    err_set_openocd(&err, 1, text, sizeof text);
    assert_int_equal(err.openocd_length, ERR_OPENOCD_TEXT_SIZE);
    assert_memory_equal(err.openocd_text, "...", 3);
    size_t kept = ERR_OPENOCD_TEXT_SIZE - 3;
    assert_memory_equal(err.openocd_text + 3, text + sizeof text - kept, kept);

    err_set_openocd(&err, 1, "a\0b\n", 4);
    assert_int_equal(err.openocd_length, 4);
    assert_memory_equal(err.openocd_text, "a\0b\n", 4);
    err_set_openocd(&err, 0, NULL, 0);
    assert_int_equal(err.openocd_length, 0);
}

static void test_err_openocd_text_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        char text[ERR_OPENOCD_TEXT_SIZE + 300];
        for (size_t i = 0; i + 3 <= sizeof text; i += 3) {
            memcpy(text + i, "\xe2\x82\xac", 3);
        }
        size_t length = (ERR_OPENOCD_TEXT_SIZE + 200) / 3 * 3;
        memset(text + length, 'e', shift);
        err_set(&err, ERR_INTERNAL_ERROR, "x");
        err_set_openocd(&err, 1, text, length + shift);
        assert_true(utf8_valid(err.openocd_text, err.openocd_length));
        assert_true(err.openocd_length > ERR_OPENOCD_TEXT_SIZE - 3);
    }
}

static void test_err_details_are_found_and_replaced(void **state)
{
    (void)state;
    err_set(&err, ERR_INTERNAL_ERROR, "x");
    err_add_integer(&err, "size", UINT64_MAX);
    err_add_address(&err, "address", 0x08000000);
    err_add_text(&err, "reason", "protected");
    assert_int_equal(err.detail_count, 3);
    const struct err_detail *detail = err_find_detail(&err, "address");
    assert_non_null(detail);
    assert_int_equal(detail->type, ERR_DETAIL_ADDRESS);
    assert_int_equal(detail->number, 0x08000000);
    assert_int_equal(err_find_detail(&err, "size")->type, ERR_DETAIL_INTEGER);
    assert_true(err_find_detail(&err, "size")->number == UINT64_MAX);
    assert_string_equal(err_find_detail(&err, "reason")->text, "protected");
    assert_null(err_find_detail(&err, "Size"));

    err_add_text(&err, "size", err_find_detail(&err, "reason")->text);
    assert_int_equal(err.detail_count, 3);
    assert_int_equal(err_find_detail(&err, "size")->type, ERR_DETAIL_TEXT);
    assert_string_equal(err_find_detail(&err, "size")->text, "protected");
}

static void test_err_details_are_limited(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
    err_set(&err, ERR_INTERNAL_ERROR, "x");
    for (size_t i = 0; i < ERR_DETAILS_MAX + 1; i++) {
        err_add_integer(&err, names[i], i);
    }
    assert_int_equal(err.detail_count, ERR_DETAILS_MAX);
    assert_null(err_find_detail(&err, "k"));
    err_add_integer(&err, "j", 99);
    assert_int_equal(err_find_detail(&err, "j")->number, 99);

    char text[ERR_DETAIL_TEXT_SIZE * 2];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_add_text(&err, "a", text);
    assert_int_equal(strlen(err.details[0].text), ERR_DETAIL_TEXT_SIZE - 1);
    assert_string_equal(err.details[0].text + ERR_DETAIL_TEXT_SIZE - 5, "t...");
}

static void test_err_reset_forgets(void **state)
{
    (void)state;
    err_reset(&err);
    assert_string_equal(err.message, "");
    assert_false(err.has_openocd);
    assert_int_equal(err.detail_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_err_set_fills_and_drops_what_was, set_up),
        cmocka_unit_test_setup(test_err_set_may_use_its_own_message, set_up),
        cmocka_unit_test_setup(test_err_message_ends_in_no_newline, set_up),
        cmocka_unit_test_setup(test_err_message_is_cut_with_dots, set_up),
        cmocka_unit_test_setup(test_err_message_of_exact_size_with_newline_is_not_cut, set_up),
        cmocka_unit_test_setup(test_err_message_is_cut_between_characters, set_up),
        cmocka_unit_test_setup(test_err_prefix_goes_before, set_up),
        cmocka_unit_test_setup(test_err_openocd_text_keeps_its_end, set_up),
        cmocka_unit_test_setup(test_err_openocd_text_is_cut_between_characters, set_up),
        cmocka_unit_test_setup(test_err_details_are_found_and_replaced, set_up),
        cmocka_unit_test_setup(test_err_details_are_limited, set_up),
        cmocka_unit_test_setup(test_err_reset_forgets, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
