/* The picture of `ocdmux top`: every size, every strange value, and what events and polls change. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "top_layout.h"
#include "top_model.h"

#define BOARD                                                                                                \
    "{\"board\":\"%s\",\"link\":\"busy\",\"version\":\"0.12.0\",\"targets\":[{\"target\":\"cpu\",\"state\":" \
    "\"halted\"}],\"queued\":3,\"queue\":[{\"identity\":\"alice\",\"queued\":3}],\"operations\":[{"          \
    "\"operation\":\"op-1\",\"method\":\"flash.write_image\",\"identity\":\"alice\",\"client\":\"ci\","      \
    "\"state\":\"running\",\"progress\":{\"phase\":\"program\",\"done\":30,\"total\":40,\"unit\":\"bytes\"}" \
    "}],"                                                                                                    \
    "\"lease\":{\"state\":\"held\",\"identity\":\"alice\",\"reason\":\"night\",\"expires\":"                 \
    "\"2026-01-31T12:35:56.789Z\"},\"lease_queue\":[{\"place\":1,\"identity\":\"bob\",\"since\":"            \
    "\"2026-01-31T12:30:00.000Z\"}],\"pending_repairs\":[{},{}],\"last_error\":\"why\"}"

static cJSON *parse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static cJSON *parse(const char *format, ...)
{
    char text[4096];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    assert_true(length > 0 && (size_t)length < sizeof(text));
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

/* `count` boards "b0", "b1", ... and two polls a second apart, with `count` clients each. */
static void fill(struct top_model *model, size_t count, bool utf8)
{
    top_model_init(model, "tcp:lab:6670", utf8);
    for (size_t i = 0; i < count; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "b%zu", i);
        top_model_take_board(model, parse(BOARD, name));
    }
    for (size_t poll = 0; poll < 2; poll++) {
        cJSON *clients = parse("{\"clients\":[],\"total\":%zu}", count);
        for (size_t i = 0; i < count; i++) {
            cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(clients, "clients"),
                                 parse("{\"connection\":%zu,\"identity\":\"i%zu\",\"client\":\"c\",\"since\":"
                                       "\"2026-01-31T12:34:%02zuZ\",\"in_flight\":%zu,\"bytes_in\":%zu,"
                                       "\"bytes_out\":%zu,\"topics\":[\"link\",\"queue\"]}",
                                       i, count - i, count - i, i, poll * 2000, poll * i));
        }
        top_model_take_poll(model,
                            parse("{\"uptime_ms\":%zu,\"clients\":4,\"requests\":%zu,\"boards\":[{\"board\":"
                                  "\"b0\",\"commands\":%zu,\"link_busy_ms\":%zu}]}",
                                  7323000 + poll * 1000, poll * 1234, poll * 50, poll * 250),
                            clients);
    }
}

static const char *line_with(const struct top_view *view, const char *begin)
{
    for (size_t i = 0; i < view->count; i++) {
        const char *text = strbuf_text(&view->lines[i].text);
        if (strncmp(text, begin, strlen(begin)) == 0) {
            return text;
        }
    }
    return "";
}

static void test_layout_shows_everything(void **state)
{
    struct top_model model;
    struct top_view view;
    (void)state;
    fill(&model, 2, true);
    top_layout(&model, 30, 100, &view);
    assert_int_equal(view.count, 30);
    assert_non_null(
        strstr(line_with(&view, "ocdmux top"), "up 2:02:04  4 clients  1.2K requests/s  tcp:lab:6670"));
    assert_string_equal(line_with(&view, "b0 "), "b0               busy       alice                 1     3  "
                                                 "  50     25 75 % flash.write_image by ali");
    assert_string_equal(line_with(&view, "b1 "), "b1               busy       alice                 1     3  "
                                                 "   -      - 75 % flash.write_image by ali");
    assert_string_equal(line_with(&view, "board "), "board  b0: cpu halted; 0.12.0");
    assert_string_equal(line_with(&view, "link "), "link   why");
    assert_string_equal(line_with(&view, "flash "), "flash  2 sectors to be mended: flash an image there");
    assert_string_equal(line_with(&view, "lease "), "lease  alice, held until 12:35:56 UTC: night");
    assert_string_equal(line_with(&view, "waits "), "waits  1. bob since 12:30:00 UTC");
    assert_string_equal(
        line_with(&view, "runs "),
        "runs   [##################......]  75 % flash.write_image by alice (ci), program 30 of 40 "
        "bytes");
    assert_string_equal(line_with(&view, "queue "), "queue  alice 3");
    assert_string_equal(line_with(&view, "i1 "),
                        "i1             c                ?        ?    12:34:01        1"
                        "    2.0K        1 link queue");
    assert_int_equal(view.lines[0].style, TOP_TITLE);
    assert_int_equal(view.lines[3].style, TOP_SELECTED);
    top_view_fini(&view);
    top_model_fini(&model);
}

/* Whatever the terminal's size, nothing is wider or longer, and the chosen board is there. */
static void test_layout_keeps_to_every_size(void **state)
{
    struct top_model model;
    (void)state;
    fill(&model, 40, false);
    top_model_set_notice(&model,
                         "the server is gone, and this is a rather long line that tells why it may be so");
    for (size_t rows = 1; rows <= 60; rows++) {
        for (size_t columns = 1; columns <= 150; columns += 1 + columns / 20) {
            struct top_view view;
            model.selected = (rows + columns) % 40;
            top_layout(&model, rows, columns, &view);
            assert_true(view.count <= rows && view.count > 0);
            size_t chosen = 0;
            for (size_t i = 0; i < view.count; i++) {
                assert_true(view.lines[i].text.length <= columns);
                chosen += view.lines[i].style == TOP_SELECTED;
            }
            assert_int_equal(chosen, rows >= 4 ? 1 : 0);
            top_view_fini(&view);
        }
    }
    top_model_fini(&model);
}

static void test_layout_says_how_many_do_not_fit(void **state)
{
    struct top_model model;
    struct top_view view;
    (void)state;
    fill(&model, 40, false);
    top_layout(&model, 30, 80, &view);
    assert_string_equal(line_with(&view, "10 of"), "10 of 40 boards");
    size_t clients = 0;
    size_t more = 0;
    for (size_t i = 0; i < view.count; i++) {
        const char *text = strbuf_text(&view.lines[i].text);
        clients += text[0] == 'i';
        if (strncmp(text, "and ", 4) == 0) {
            more = strtoul(text + 4, NULL, 10);
        }
    }
    assert_true(clients > 0 && clients + more == 40);
    top_view_fini(&view);
    top_model_fini(&model);
}

static void test_layout_of_an_empty_model(void **state)
{
    struct top_model model;
    struct top_view view;
    (void)state;
    top_model_init(&model, "s", false);
    top_layout(&model, 10, 80, &view);
    assert_int_equal(view.count, 10);
    top_view_fini(&view);
    top_model_fini(&model);
}

static void assert_cut(const char *text, size_t columns, bool pad, bool utf8, const char *wanted)
{
    struct strbuf out = STRBUF_INIT;
    top_layout_append(&out, text, columns, pad, utf8);
    assert_string_equal(strbuf_text(&out), wanted);
    strbuf_fini(&out);
}

static void test_append_cuts_by_columns(void **state)
{
    (void)state;
    assert_cut("abc", 5, true, true, "abc  ");
    assert_cut("abc", 2, true, true, "ab");
    assert_cut("abc", 0, true, true, "");
    assert_cut("a\x1b[1mb\n", 20, false, true, "a\\x1b[1mb\\x0a");
    assert_cut("a\x1b", 3, false, true, "a\\x");
    assert_cut("\xff", 9, true, true, "\\xff     ");
    assert_cut("z\xc3\xbc", 3, true, true, "z\xc3\xbc ");
    assert_cut("z\xc3\xbc", 3, true, false, "z? ");
    assert_cut("\xe6\x9b\xb8\xe6\x9b\xb8", 3, true, true, "\xe6\x9b\xb8 "); /* two columns each */
    assert_cut("e\xcc\x81x", 9, false, true, "e?x");                        /* takes no column */
    assert_cut("\xe2\x80\xae", 9, false, true, "\\u202e");
}

static void test_numbers_are_short(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},        {0.4, "0"},     {999.4, "999"},   {999.5, "1.0K"},  {1234, "1.2K"},
                 {9949, "9.9K"},  {9951, "10K"},  {123456, "123K"}, {999499, "999K"}, {999500, "1.0M"},
                 {2.5e9, "2.5G"}, {7e12, "7.0T"}, {7e15, "7000T"},  {1e30, "9999T"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strbuf out = STRBUF_INIT;
        top_layout_number(&out, cases[i].value);
        assert_string_equal(strbuf_text(&out), cases[i].text);
        strbuf_fini(&out);
    }
}

static void give(struct top_model *model, const char *event)
{
    cJSON *params = parse("%s", event);
    top_model_event(model, params);
    cJSON_Delete(params);
}

static void test_events_change_the_model(void **state)
{
    struct top_model model;
    struct top_view view;
    (void)state;
    fill(&model, 1, false);
    give(&model, "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":\"op-1\",\"state\":\"running\","
                 "\"progress\":{\"phase\":\"verify\",\"done\":4,\"total\":4,\"unit\":\"bytes\"}}");
    give(&model, "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":\"op-2\",\"state\":\"queued\","
                 "\"method\":\"m\",\"identity\":\"bob\"}");
    give(&model, "{\"topic\":\"queue\",\"board\":\"b0\",\"queued\":0,\"queue\":[]}");
    top_layout(&model, 30, 80, &view);
    assert_string_equal(line_with(&view, "runs "),
                        "runs   [####################] 100 % flash.write_image by alice "
                        "(ci), verify 4 of");
    assert_string_equal(line_with(&view, "queued "), "queued m by bob");
    assert_string_equal(line_with(&view, "queue "), "queue  empty");
    assert_false(model.boards[0].stale);
    top_view_fini(&view);
    give(&model, "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":\"op-1\",\"state\":\"done\"}");
    give(&model, "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":\"op-2\",\"state\":\"cancelled\"}");
    give(&model, "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":\"op-3\",\"state\":\"failed\"}");
    give(&model, "{\"topic\":\"link\",\"board\":\"b0\",\"state\":\"down\"}");
    top_layout(&model, 30, 80, &view);
    assert_string_equal(line_with(&view, "runs "), "");
    assert_string_equal(line_with(&view, "queued "), "");
    assert_int_equal(strncmp(line_with(&view, "b0 "), "b0               down ", 22), 0);
    assert_true(model.boards[0].stale);
    top_view_fini(&view);
    give(&model, "{\"topic\":\"dropped\",\"lost\":3,\"snapshot\":{\"boards\":[{\"board\":\"new\"},{\"board\":"
                 "\"b0\"}]}}");
    assert_int_equal(model.board_count, 2);
    assert_string_equal(top_model_board_name(&model, 1), "new");
    assert_false(model.boards[0].stale);
    top_model_fini(&model);
}

/* Nothing of it is what the protocol says. */
static void test_strange_values_harm_nothing(void **state)
{
    static const char *const events[] = {
        "{}",
        "[]",
        "{\"topic\":5}",
        "{\"topic\":\"operation\"}",
        "{\"topic\":\"operation\",\"board\":\"b0\"}",
        "{\"topic\":\"operation\",\"board\":\"b0\",\"operation\":7,\"state\":\"done\"}",
        "{\"topic\":\"operation\",\"board\":\"x\",\"operation\":\"op-1\",\"state\":\"running\",\"progress\":["
        "]}",
        "{\"topic\":\"operation\",\"board\":\"x\",\"operation\":\"op-1\",\"state\":\"done\"}",
        "{\"topic\":\"queue\",\"board\":\"b0\",\"queued\":\"-\",\"queue\":{\"a\":1}}",
        "{\"topic\":\"link\",\"board\":\"b0\",\"state\":[]}",
        "{\"topic\":\"dropped\",\"snapshot\":7}",
        "{\"topic\":\"dropped\",\"snapshot\":{\"boards\":[5,{\"board\":6},{},{\"board\":\"x\",\"operations\":"
        "\"no\","
        "\"lease\":3,\"lease_queue\":[1,[]],\"targets\":[4,{\"target\":{}}],\"running\":\"r\",\"queue\":[9],"
        "\"pending_repairs\":1,\"version\":{}}]}}"};
    struct top_model model;
    (void)state;
    fill(&model, 1, true);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
            struct top_view view;
            give(&model, events[i]);
            model.selected = model.board_count - 1;
            top_layout(&model, 40, 150, &view);
            assert_int_equal(view.count, 40);
            top_view_fini(&view);
        }
        top_model_take_poll(
            &model, parse("{\"uptime_ms\":\"x\",\"boards\":[1,{\"board\":2}]}"),
            parse("{\"clients\":[1,{\"connection\":\"c\",\"topics\":[{}],\"since\":\"12\"},{}]}"));
    }
    assert_int_equal(model.board_count, 2);
    top_model_take_board(&model, parse("{\"board\":7}"));
    assert_int_equal(model.board_count, 2);
    top_model_fini(&model);
}

static void assert_first(struct top_model *model, enum top_sort sort, const char *identity)
{
    size_t count = 0;
    model->sort = sort;
    const cJSON **clients = top_model_sort_clients(model, &count);
    assert_int_equal(count, 9);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(clients[0], "identity")),
                        identity);
    free(clients);
}

static void test_clients_are_sorted(void **state)
{
    struct top_model model;
    (void)state;
    fill(&model, 9, false);
    assert_first(&model, TOP_SORT_IDENTITY, "i1");
    assert_first(&model, TOP_SORT_SINCE, "i1");
    assert_first(&model, TOP_SORT_IN_FLIGHT, "i1"); /* the last connection has the most */
    assert_first(&model, TOP_SORT_OUT, "i1");
    assert_first(&model, TOP_SORT_IN, "i1"); /* all the same: by identity */
    top_model_fini(&model);
}

static void test_rates_need_two_polls_of_one_daemon(void **state)
{
    struct top_model model;
    double rate = -1;
    (void)state;
    top_model_init(&model, "s", false);
    assert_false(top_model_rate(&model, NULL, "requests", &rate));
    top_model_take_poll(&model, parse("{\"uptime_ms\":5000,\"requests\":100}"), parse("{}"));
    assert_false(top_model_rate(&model, NULL, "requests", &rate));
    top_model_take_poll(&model, parse("{\"uptime_ms\":7000,\"requests\":150}"), parse("{}"));
    assert_true(top_model_rate(&model, NULL, "requests", &rate));
    assert_true(rate > 24.99 && rate < 25.01);
    assert_false(top_model_rate(&model, NULL, "nothing", &rate));
    assert_false(top_model_rate(&model, "b0", "commands", &rate));
    top_model_take_poll(&model, parse("{\"uptime_ms\":10,\"requests\":151}"),
                        parse("{}")); /* another daemon */
    assert_false(top_model_rate(&model, NULL, "requests", &rate));
    top_model_forget_polls(&model);
    assert_false(top_model_rate(&model, NULL, "requests", &rate));
    top_model_fini(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_shows_everything),
        cmocka_unit_test(test_layout_keeps_to_every_size),
        cmocka_unit_test(test_layout_says_how_many_do_not_fit),
        cmocka_unit_test(test_layout_of_an_empty_model),
        cmocka_unit_test(test_append_cuts_by_columns),
        cmocka_unit_test(test_numbers_are_short),
        cmocka_unit_test(test_events_change_the_model),
        cmocka_unit_test(test_strange_values_harm_nothing),
        cmocka_unit_test(test_clients_are_sorted),
        cmocka_unit_test(test_rates_need_two_polls_of_one_daemon),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
