/* base/strbuf and base/alloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/strbuf.h"

static void test_strbuf_is_empty_at_first(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    assert_null(buf.data);
    assert_string_equal(strbuf_text(&buf), "");
    strbuf_clear(&buf);
    strbuf_truncate(&buf, 0);
    assert_string_equal(strbuf_text(&buf), "");
    strbuf_fini(&buf);
}

static void test_strbuf_appends_and_ends_in_nul(void **state)
{
    (void)state;
    struct strbuf buf;
    strbuf_init(&buf);
    strbuf_append(&buf, "a\0b", 3);
    strbuf_append_text(&buf, "text");
    strbuf_append_byte(&buf, '!');
    strbuf_append(&buf, NULL, 0);
    assert_int_equal(buf.length, 8);
    assert_memory_equal(buf.data, "a\0btext!", 9);
    strbuf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.length, 0);
}

static void test_strbuf_grows_byte_by_byte(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    for (unsigned i = 0; i < 100000; i++) {
        strbuf_append_byte(&buf, (char)(i % 251));
        assert_int_equal(buf.data[buf.length], 0);
        assert_true(buf.capacity > buf.length);
    }
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal((unsigned char)buf.data[i], i % 251);
    }
    strbuf_fini(&buf);
}

static void test_strbuf_prints_text_of_every_length(void **state)
{
    (void)state;
    /* Around each capacity the second, exact attempt of appendf() must give the same text as the first. */
    for (int width = 1; width < 300; width++) {
        struct strbuf buf = STRBUF_INIT;
        strbuf_append_text(&buf, "head:");
        strbuf_appendf(&buf, "%*d;%s", width, 7, "end");
        assert_int_equal(buf.length, (size_t)width + 9);
        assert_int_equal(buf.data[4 + width], '7');
        assert_string_equal(buf.data + 5 + width, ";end");
        strbuf_fini(&buf);
    }
}

static void test_strbuf_reserve_keeps_content(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    strbuf_reserve(&buf, 0);
    assert_string_equal(strbuf_text(&buf), "");
    strbuf_append_text(&buf, "kept");
    strbuf_reserve(&buf, 100000);
    assert_true(buf.capacity > 100004);
    const char *before = buf.data;
    memset(strbuf_extend(&buf, 100000), 'x', 100000);
    assert_ptr_equal(buf.data, before);
    assert_memory_equal(buf.data, "keptx", 5);
    assert_int_equal(buf.data[100004], 0);
    strbuf_fini(&buf);
}

static void test_strbuf_truncate_and_clear_keep_memory(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    strbuf_append_text(&buf, "0123456789");
    size_t capacity = buf.capacity;
    strbuf_truncate(&buf, 4);
    assert_string_equal(strbuf_text(&buf), "0123");
    strbuf_clear(&buf);
    assert_string_equal(strbuf_text(&buf), "");
    assert_int_equal(buf.capacity, capacity);
    strbuf_fini(&buf);
}

static void test_strbuf_steal_hands_over(void **state)
{
    (void)state;
    struct strbuf buf = STRBUF_INIT;
    strbuf_append_text(&buf, "mine");
    char *text = strbuf_steal(&buf);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
    free(text);
    text = strbuf_steal(&buf);
    assert_non_null(text);
    assert_string_equal(text, "");
    free(text);
}

static void test_alloc_of_nothing_is_not_null(void **state)
{
    (void)state;
    void *memory[] = {xmalloc(0), xcalloc(0, 8), xcalloc(8, 0), xrealloc(NULL, 0), xstrndup(NULL, 0)};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        assert_non_null(memory[i]);
        free(memory[i]);
    }
}

static void test_alloc_copies_text(void **state)
{
    (void)state;
    char *copy = xstrdup("text");
    assert_string_equal(copy, "text");
    free(copy);
    copy = xstrndup("a\0b-", 3);
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strbuf_is_empty_at_first),
        cmocka_unit_test(test_strbuf_appends_and_ends_in_nul),
        cmocka_unit_test(test_strbuf_grows_byte_by_byte),
        cmocka_unit_test(test_strbuf_prints_text_of_every_length),
        cmocka_unit_test(test_strbuf_reserve_keeps_content),
        cmocka_unit_test(test_strbuf_truncate_and_clear_keep_memory),
        cmocka_unit_test(test_strbuf_steal_hands_over),
        cmocka_unit_test(test_alloc_of_nothing_is_not_null),
        cmocka_unit_test(test_alloc_copies_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
