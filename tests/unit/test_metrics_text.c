/* base/histogram and server/metrics_text: what is counted where, and how it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics_text.h"

static void test_histogram_counts_by_upper_bounds(void **state)
{
    struct histogram histogram = {0};
    uint64_t last = histogram_bound_us(HISTOGRAM_BOUNDS - 1);
    (void)state;
    histogram_add(&histogram, 0);
    histogram_add(&histogram, histogram_bound_us(0));
    histogram_add(&histogram, histogram_bound_us(0) + 1);
    histogram_add(&histogram, last);
    histogram_add(&histogram, last + 1);
    assert_int_equal(histogram_up_to(&histogram, 0), 2);
    assert_int_equal(histogram_up_to(&histogram, 1), 3);
    assert_int_equal(histogram_up_to(&histogram, HISTOGRAM_BOUNDS - 2), 3);
    assert_int_equal(histogram_up_to(&histogram, HISTOGRAM_BOUNDS - 1), 4);
    assert_int_equal(histogram.count, 5);
    assert_int_equal(histogram.sum_us, 2 * histogram_bound_us(0) + 2 * last + 2);
}

static void test_histogram_bounds_rise(void **state)
{
    (void)state;
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++) {
        assert_true(histogram_bound_us(i) > histogram_bound_us(i - 1));
    }
}

static void test_metrics_text_of_samples(void **state)
{
    struct strbuf out = STRBUF_INIT;
    const struct metrics_label one[] = {{"board", "b"}, {NULL, NULL}};
    const struct metrics_label two[] = {{"a", "1"}, {"b", ""}, {NULL, NULL}};
    (void)state;
    metrics_text_family(&out, "x_total", "counter", "Things.");
    metrics_text_sample(&out, "x_total", NULL, 0);
    metrics_text_sample(&out, "x_total", one, UINT64_MAX);
    metrics_text_seconds(&out, "y", two, 12000345);
    assert_string_equal(strbuf_text(&out), "# HELP x_total Things.\n# TYPE x_total counter\n"
                                           "x_total 0\n"
                                           "x_total{board=\"b\"} 18446744073709551615\n"
                                           "y{a=\"1\",b=\"\"} 12.000345\n");
    strbuf_fini(&out);
}

static void test_metrics_text_escapes_values(void **state)
{
    struct strbuf out = STRBUF_INIT;
    const struct metrics_label labels[] = {{"name", "a\"b\\c\nd\xc3\xa4\xff\xc3{}"}, {NULL, NULL}};
    (void)state;
    metrics_text_sample(&out, "x", labels, 1);
    assert_string_equal(strbuf_text(&out),
                        "x{name=\"a\\\"b\\\\c\\nd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd{}\"} 1\n");
    strbuf_fini(&out);
}

static void test_metrics_text_of_a_histogram(void **state)
{
    struct strbuf out = STRBUF_INIT;
    struct histogram histogram = {0};
    const struct metrics_label labels[] = {{"board", "b"}, {NULL, NULL}};
    (void)state;
    histogram_add(&histogram, 1500);
    histogram_add(&histogram, 90000000);
    metrics_text_histogram(&out, "t_seconds", labels, &histogram);
    const char *text = strbuf_text(&out);
    assert_non_null(strstr(text, "t_seconds_bucket{board=\"b\",le=\"0.001\"} 0\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{board=\"b\",le=\"0.0025\"} 1\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{board=\"b\",le=\"60\"} 1\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{board=\"b\",le=\"+Inf\"} 2\n"
                                 "t_seconds_sum{board=\"b\"} 90.001500\n"
                                 "t_seconds_count{board=\"b\"} 2\n"));
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_counts_by_upper_bounds),
        cmocka_unit_test(test_histogram_bounds_rise),
        cmocka_unit_test(test_metrics_text_of_samples),
        cmocka_unit_test(test_metrics_text_escapes_values),
        cmocka_unit_test(test_metrics_text_of_a_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
