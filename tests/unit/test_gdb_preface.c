/* server/gdb_preface: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/gdb_preface.h"

static void test_gdb_preface_takes_every_member(void **state)
{
    static const char line[] = "ocdmux {\"token\": \"t\\u0041\", \"lease\": \"l\", \"board\": \"b\", "
                               "\"target\": \"x.cpu\", \"wait_ms\": 600000}";
    struct gdb_preface preface;
    struct err err;
    (void)state;
    assert_true(gdb_preface_parse(&preface, line, strlen(line), &err));
    assert_string_equal(preface.token, "tA");
    assert_string_equal(preface.lease, "l");
    assert_string_equal(preface.board, "b");
    assert_string_equal(preface.target, "x.cpu");
    assert_true(preface.has_wait && preface.wait_ms == 600000);
    gdb_preface_fini(&preface);
    assert_true(gdb_preface_parse(&preface, "ocdmux {}", 9, &err));
    assert_true(preface.token == NULL && preface.lease == NULL && preface.board == NULL &&
                preface.target == NULL && !preface.has_wait);
    gdb_preface_fini(&preface);
}

static void check_refused(const char *line, enum err_kind kind)
{
    struct gdb_preface preface;
    struct gdb_preface untouched;
    struct err err;
    memset(&preface, 0x55, sizeof preface);
    untouched = preface;
    err_reset(&err);
    assert_false(gdb_preface_parse(&preface, line, strlen(line), &err));
    assert_int_equal(err.kind, kind);
    assert_memory_equal(&preface, &untouched, sizeof preface);
}

static void test_gdb_preface_refuses_the_rest(void **state)
{
    static const char *const broken[] = {
        "",         "ocdmux",      "ocdmux ",  "Ocdmux {}",  "ocdmux []",
        "ocdmux {", "ocdmux {} 1", "ocdmux 1", "ocdmux\t{}", "ocdmux {\"a\":1,\"a\":1}"};
    static const char *const wrong[] = {
        "ocdmux {\"a\": 1}",           "ocdmux {\"token\": 1}",
        "ocdmux {\"token\": \"\"}",    "ocdmux {\"lease\": null}",
        "ocdmux {\"wait_ms\": -1}",    "ocdmux {\"wait_ms\": 600001}",
        "ocdmux {\"wait_ms\": 1.5}",   "ocdmux {\"wait_ms\": true}",
        "ocdmux {\"board\": [\"b\"]}", "ocdmux {\"token\": \"t\", \"lease\": \"l\", \"Target\": \"x\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        check_refused(broken[i], ERR_PARSE_ERROR);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_refused(wrong[i], ERR_INVALID_PARAMS);
    }
}

static void test_gdb_preface_texts_have_a_longest(void **state)
{
    char line[300] = "ocdmux {\"token\": \"";
    struct gdb_preface preface;
    struct err err;
    (void)state;
    size_t begin = strlen(line);
    memset(line + begin, 'x', 256);
    strcat(line, "\"}");
    assert_true(gdb_preface_parse(&preface, line, strlen(line), &err));
    assert_int_equal(strlen(preface.token), 256);
    gdb_preface_fini(&preface);
    memcpy(line + begin + 256, "x\"}", 4);
    check_refused(line, ERR_INVALID_PARAMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gdb_preface_takes_every_member),
        cmocka_unit_test(test_gdb_preface_refuses_the_rest),
        cmocka_unit_test(test_gdb_preface_texts_have_a_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
