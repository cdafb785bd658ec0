/* server/event_feeds: what is merged, what waits for the loop, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net_wait.h"
#include "server/event_feeds.h"
#include "server/events.h"

/* What the feeds use of the rest of the server. */
static struct server *server;
static char board_of_test;
static size_t queued;
static size_t queue_events;
static size_t told;
static size_t log_events;
static char last_text[2048];
static char last_level[16];

size_t server_queued(struct server *given, const struct board *board)
{
    assert_ptr_equal(given, server);
    assert_ptr_equal(board, &board_of_test);
    return queued;
}

size_t server_board_index(const struct server *given, const struct board *board)
{
    assert_ptr_equal(given, server);
    assert_ptr_equal(board, &board_of_test);
    return 0;
}

void events_queue(struct server *given, struct board *board)
{
    assert_ptr_equal(given, server);
    told = server_queued(given, board);
    queue_events++;
}

void events_log(struct server *given, const char *level, const char *time, const char *text)
{
    assert_ptr_equal(given, server);
    assert_int_equal(strlen(time), strlen("2026-01-31T12:34:56.789Z"));
    snprintf(last_level, sizeof last_level, "%s", level);
    snprintf(last_text, sizeof last_text, "%s", text);
    log_events++;
}

static int begin(void **state)
{
    (void)state;
    server = xcalloc(1, sizeof *server);
    server->loop = loop_new();
    server->boards[0] = (struct board *)&board_of_test;
    server->board_count = 1;
    server->topic_users[RPC_TOPIC_QUEUE] = 1;
    server->topic_users[RPC_TOPIC_LOG] = 1;
    list_init(&server->shares);
    queued = 0;
    queue_events = 0;
    told = 0;
    log_events = 0;
    log_set_level(LOG_LEVEL_ERROR);
    event_feeds_init(server);
    return 0;
}

static int end(void **state)
{
    (void)state;
    event_feeds_fini(server);
    loop_free(server->loop);
    free(server);
    return 0;
}

static void change(size_t now)
{
    queued = now;
    event_feeds_queue_changed(server, server->boards[0]);
}

static bool queue_was_told(void *context)
{
    return queue_events >= *(const size_t *)context;
}

static void wait_queue(size_t count)
{
    assert_true(net_wait_until(server->loop, queue_was_told, &count));
}

static void test_feeds_merge_queue_lengths_to_the_newest(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 500; i++) {
        change(i);
    }
    assert_int_equal(queue_events, 0); /* not from where it happened */
    wait_queue(1);
    assert_int_equal(queue_events, 1);
    assert_int_equal(told, 500);
    change(7);
    change(3);
    wait_queue(2);
    assert_int_equal(queue_events, 2);
    assert_int_equal(told, 3);
}

static void test_feeds_tell_no_length_twice(void **state)
{
    (void)state;
    change(0); /* as it was */
    net_wait_idle(server->loop);
    assert_int_equal(queue_events, 0);
}

/* It may be what was told last, long ago, to others. */
static void test_feeds_tell_a_new_listener_the_next_length(void **state)
{
    (void)state;
    server->topic_users[RPC_TOPIC_QUEUE] = 0;
    change(5);
    net_wait_idle(server->loop);
    assert_int_equal(queue_events, 0);
    server->topic_users[RPC_TOPIC_QUEUE] = 1;
    event_feeds_expect(server);
    change(0);
    wait_queue(1);
    assert_int_equal(told, 0);
}

static bool log_was_told(void *context)
{
    return log_events >= *(const size_t *)context;
}

static void test_feeds_send_log_lines_from_the_loop(void **state)
{
    size_t two = 2;
    (void)state;
    log_info("one");
    log_debug("of no interest");
    log_warn("two");
    assert_int_equal(log_events, 0);
    assert_true(net_wait_until(server->loop, log_was_told, &two));
    net_wait_idle(server->loop);
    assert_int_equal(log_events, 2);
    assert_string_equal(last_text, "two");
    assert_string_equal(last_level, "warn");
    server->topic_users[RPC_TOPIC_LOG] = 0;
    log_warn("nobody listens");
    net_wait_idle(server->loop);
    assert_int_equal(log_events, 2);
}

static void test_feeds_keep_a_bounded_number_of_lines(void **state)
{
    size_t all = 257;
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        log_info("line %zu", i);
    }
    assert_true(net_wait_until(server->loop, log_was_told, &all));
    net_wait_idle(server->loop);
    assert_int_equal(log_events, 257);
    assert_string_equal(last_text, "744 lines of the log were left out here");
    log_info("and on");
    all = 258;
    assert_true(net_wait_until(server->loop, log_was_told, &all));
    assert_string_equal(last_text, "and on");
}

static void test_feeds_cut_long_lines_between_characters(void **state)
{
    size_t one = 1;
    char text[1500];
    (void)state;
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xbc", 3);
    }
    log_info("x%s", text);
    assert_true(net_wait_until(server->loop, log_was_told, &one));
    assert_int_equal(strlen(last_text), 1023);
    assert_int_equal((unsigned char)last_text[1022], 0xbc);
}

/* With lines that wait. */
static void test_feeds_end_at_any_time(void **state)
{
    (void)state;
    log_info("waits");
    change(4);
    assert_int_equal(log_events, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_feeds_merge_queue_lengths_to_the_newest, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_tell_no_length_twice, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_tell_a_new_listener_the_next_length, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_send_log_lines_from_the_loop, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_keep_a_bounded_number_of_lines, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_cut_long_lines_between_characters, begin, end),
        cmocka_unit_test_setup_teardown(test_feeds_end_at_any_time, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
