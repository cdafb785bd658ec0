/* net/loop_memory: through libevent, whose memory it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <malloc.h>
#include <unistd.h>

#include "net/loop_memory.h"

#define DESCRIPTORS 400
#define HIGHEST 1000

static size_t in_use(void)
{
    return mallinfo2().uordblks;
}

static void on_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (*(unsigned *)context)++;
}

/* Watches so many descriptors, all at once. */
static void watch_many(struct event_base *base, unsigned *fired)
{
    static int pipes[DESCRIPTORS][2];
    static struct event *events[DESCRIPTORS];
    for (size_t i = 0; i < DESCRIPTORS; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        events[i] = event_new(base, pipes[i][0], EV_READ, on_event, fired);
        assert_int_equal(event_add(events[i], NULL), 0);
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
    }
    while (*fired < DESCRIPTORS) {
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    }
    for (size_t i = 0; i < DESCRIPTORS; i++) {
        event_free(events[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

/* Lets the tables that go by the highest descriptor grow before anything is measured. */
static void watch_highest(struct event_base *base)
{
    unsigned fired = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], HIGHEST), HIGHEST);
    struct event *event = event_new(base, HIGHEST, EV_READ, on_event, &fired);
    assert_int_equal(event_add(event, NULL), 0);
    event_free(event);
    close(HIGHEST);
    close(ends[0]);
    close(ends[1]);
}

static void test_loop_memory_keeps_descriptors_out_of_the_heap(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    unsigned fired = 0;
    assert_non_null(base);
    watch_highest(base);
    size_t before = in_use();
    watch_many(base, &fired);
    assert_int_equal(fired, DESCRIPTORS);
    /* What the loop waits into has grown too, by 12 bytes for each that fired at once. */
    assert_true(in_use() <= before + 20u * DESCRIPTORS);
    event_base_free(base);
}

static void test_loop_memory_holds_what_libevent_puts_there(void **state)
{
    (void)state;
    char text[20000];
    struct evbuffer *buffer = evbuffer_new();
    assert_non_null(buffer);
    for (size_t length = 0; length < 200; length++) {
        memset(text, (int)length, length);
        assert_int_equal(evbuffer_add(buffer, text, length), 0);
    }
    assert_int_equal(evbuffer_get_length(buffer), 199 * 200 / 2);
    for (size_t length = 0; length < 200; length++) {
        char expected[200];
        memset(expected, (int)length, sizeof expected);
        assert_int_equal(evbuffer_remove(buffer, text, length), length);
        assert_memory_equal(text, expected, length);
    }
    evbuffer_free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_memory_keeps_descriptors_out_of_the_heap),
        cmocka_unit_test(test_loop_memory_holds_what_libevent_puts_there),
    };
    loop_memory_init();
    loop_memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
