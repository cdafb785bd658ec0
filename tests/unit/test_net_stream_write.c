/* net/stream: writing, slow readers, flushing; and connecting. */
#include <sys/un.h>

#include "net_stream_fixture.h"

#include <netinet/tcp.h>

#define ANY_LINE ((size_t)1 << 20)
#define LARGE ((size_t)8 << 20)

static char *new_pattern(size_t length)
{
    char *bytes = malloc(length);
    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    return bytes;
}

static void write_taken(const char *bytes, size_t length)
{
    struct strbuf buf = STRBUF_INIT;
    strbuf_append(&buf, bytes, length);
    fixture.in_call = true;
    net_stream_write_take(fixture.stream, &buf);
    fixture.in_call = false;
    assert_null(buf.data);
    assert_int_equal(buf.length, 0);
}

/* A sequential-packet socket keeps the borders of sends. */
static size_t read_record(void)
{
    char record[131072];
    ssize_t length = recv(fixture.peer, record, sizeof record, 0);
    return length < 0 ? 0 : (size_t)length;
}

static bool record_arrived(void *context)
{
    size_t *length = context;
    *length = read_record();
    return *length > 0;
}

static void test_net_stream_one_call_is_one_send(void **state)
{
    (void)state;
    static char large[50000];
    fixture_open_pair(SOCK_SEQPACKET, &fixture_lines, ANY_LINE);
    fixture_write_text("three");
    fixture_write_text("words and more");
    write_taken(large, sizeof large);
    size_t length = 0;
    assert_true(net_wait_until(fixture.loop, record_arrived, &length));
    assert_int_equal(length, 5);
    assert_true(net_wait_until(fixture.loop, record_arrived, &length));
    assert_int_equal(length, 14);
    assert_true(net_wait_until(fixture.loop, record_arrived, &length));
    assert_int_equal(length, sizeof large);
    assert_int_equal(net_stream_sent(fixture.stream), 19 + sizeof large);
}

static void test_net_stream_answers_to_lines_that_came_together_go_together(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_SEQPACKET, &fixture_lines, ANY_LINE);
    fixture.reaction = FIXTURE_ECHOES;
    fixture_peer_send_text("one\ntwo\nthree\n");
    size_t length = 0;
    assert_true(net_wait_until(fixture.loop, record_arrived, &length));
    assert_int_equal(length, 11);
}

static void test_net_stream_sends_what_was_queued_in_one_go_too(void **state)
{
    (void)state;
    static char large[60000];
    fixture_open_pair(SOCK_SEQPACKET, &fixture_lines, ANY_LINE);
    for (int i = 0; i < 10000 && net_stream_pending(fixture.stream) == 0; i++) {
        fixture_write(large, 1000);
    }
    assert_int_equal(net_stream_pending(fixture.stream), 1000);
    fixture_write(large, sizeof large);
    size_t length = 0;
    do {
        assert_true(net_wait_until(fixture.loop, record_arrived, &length));
    } while (length == 1000);
    assert_int_equal(length, 1000 + sizeof large);
}

static void test_net_stream_writes_small_things_at_once(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    fixture_write_text("now");
    assert_int_equal(net_stream_pending(fixture.stream), 0);
    assert_int_equal(net_stream_sent(fixture.stream), 3);
    fixture_wait_peer_got(3);
    assert_string_equal(strbuf_text(&fixture.got), "now");
    fixture_write("", 0);
    net_wait_idle(fixture.loop);
    fixture_assert_told(""); /* nothing was pending, so nothing drained */
}

static void test_net_stream_sets_nodelay(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    int on = 0;
    socklen_t length = sizeof on;
    int fd = net_stream_fd(fixture.stream);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    assert_true(on != 0);
}

static bool slow_reader_has_all(void *context)
{
    uint64_t *last_sent = context;
    fixture_peer_read(100000);
    uint64_t sent = net_stream_sent(fixture.stream);
    assert_true(sent >= *last_sent && sent >= fixture.got.length);
    assert_int_equal(sent + net_stream_pending(fixture.stream), fixture.wanted);
    *last_sent = sent;
    return fixture.got.length >= fixture.wanted;
}

static void test_net_stream_large_output_reaches_a_slow_reader_in_order(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    size_t half = LARGE / 2;
    fixture_write(bytes, half);
    write_taken(bytes + half, half - 1000);
    fixture_write(bytes + LARGE - 1000, 400);
    write_taken(bytes + LARGE - 600, 600);
    assert_true(net_stream_pending(fixture.stream) > 0);
    fixture.wanted = LARGE;
    uint64_t last_sent = 0;
    assert_true(net_wait_until(fixture.loop, slow_reader_has_all, &last_sent));
    assert_int_equal(fixture.got.length, LARGE);
    assert_memory_equal(fixture.got.data, bytes, LARGE);
    assert_int_equal(net_stream_pending(fixture.stream), 0);
    net_wait_idle(fixture.loop);
    fixture_assert_told("D");
    free(bytes);
}

static void test_net_stream_drained_comes_at_the_low_water_mark(void **state)
{
    (void)state;
    const size_t low_water = LARGE / 2;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    net_stream_set_low_water(fixture.stream, low_water);
    write_taken(bytes, LARGE);
    assert_true(net_stream_pending(fixture.stream) > low_water);
    net_wait_idle(fixture.loop);
    fixture_assert_told("");
    fixture.wanted = 0;
    while (fixture.told.length == 0) {
        assert_true(net_stream_pending(fixture.stream) > low_water);
        fixture_wait_peer_got(fixture.got.length + 1);
        net_wait_idle(fixture.loop);
    }
    assert_true(net_stream_pending(fixture.stream) <= low_water);
    fixture_wait_peer_got(LARGE);
    fixture_assert_told("D");
    assert_memory_equal(fixture.got.data, bytes, LARGE);
    free(bytes);
}

static void test_net_stream_low_water_can_be_lowered(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    net_stream_set_low_water(fixture.stream, LARGE);
    write_taken(bytes, LARGE); /* never above the mark */
    net_stream_set_low_water(fixture.stream, 10);
    fixture_wait_peer_got(LARGE);
    fixture_wait_told("D");
    assert_true(net_stream_pending(fixture.stream) <= 10);
    free(bytes);
}

static void test_net_stream_may_be_closed_when_drained(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    fixture.reaction = FIXTURE_CLOSES;
    write_taken(bytes, LARGE);
    fixture_wait_peer_end();
    fixture_assert_told("D");
    assert_int_equal(fixture.got.length, LARGE);
    free(bytes);
}

static void test_net_stream_close_drops_what_is_pending(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    write_taken(bytes, LARGE);
    uint64_t sent = net_stream_sent(fixture.stream);
    assert_true(sent < LARGE);
    net_stream_close(fixture.stream);
    fixture.stream = NULL;
    fixture_wait_peer_end();
    assert_int_equal(fixture.got.length, sent);
    fixture_assert_told("");
    free(bytes);
}

static void test_net_stream_flushes_before_closing(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    write_taken(bytes, LARGE);
    fixture_peer_send_text("unread line\n"); /* must neither be told nor turn the close into a reset */
    net_stream_close_flushed(fixture.stream, 60000);
    fixture.stream = NULL;
    fixture_wait_peer_got(LARGE);
    fixture_wait_peer_end();
    assert_int_equal(fixture.got.length, LARGE);
    assert_memory_equal(fixture.got.data, bytes, LARGE);
    fixture_assert_told("");
    free(bytes);
}

static void test_net_stream_flush_of_nothing_closes_at_once(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    fixture_peer_send_text("unread line\n");
    fixture_write_text("last words");
    net_stream_close_flushed(fixture.stream, 60000);
    fixture.stream = NULL;
    fixture_wait_peer_end();
    assert_string_equal(strbuf_text(&fixture.got), "last words");
    assert_int_equal(recv(fixture.peer, (char[1]){0}, 1, 0), 0); /* an end, no reset */
}

static void test_net_stream_flush_gives_up_at_its_limit(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    write_taken(bytes, LARGE);
    int fd = net_stream_fd(fixture.stream);
    net_stream_close_flushed(fixture.stream, 1);
    fixture.stream = NULL;
    for (int i = 0; i < 1000 && fcntl(fd, F_GETFD) >= 0; i++) {
        net_wait_idle(fixture.loop);
    }
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    fixture_wait_peer_end();
    assert_true(fixture.got.length < LARGE);
    free(bytes);
}

static void test_net_stream_flush_ends_when_the_peer_is_gone_or_the_loop_is_freed(void **state)
{
    (void)state;
    char *bytes = new_pattern(LARGE);
    for (int i = 0; i < 2; i++) {
        fixture_open_tcp(&fixture_lines, ANY_LINE);
        write_taken(bytes, LARGE);
        int fd = net_stream_fd(fixture.stream);
        net_stream_close_flushed(fixture.stream, 60000);
        fixture.stream = NULL;
        assert_true(fcntl(fd, F_GETFD) >= 0);
        if (i == 0) {
            fixture_close_peer();
            for (int turn = 0; turn < 1000 && fcntl(fd, F_GETFD) >= 0; turn++) {
                net_wait_idle(fixture.loop);
            }
        } else {
            loop_free(fixture.loop);
            fixture.loop = loop_new();
        }
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        fixture_assert_told("");
    }
    free(bytes);
}

/* ---- Connecting ---- */

static void set_address(struct net_address *address, const void *from, socklen_t length)
{
    memset(address, 0, sizeof *address);
    memcpy(&address->storage, from, length);
    address->length = length;
}

static void connect_to(const struct net_address *address)
{
    fixture.in_call = true;
    fixture.stream = net_stream_connect(fixture.loop, address, &fixture_lines, &fixture, ANY_LINE);
    fixture.in_call = false;
    fixture_assert_told("");
}

static void test_net_stream_connects_and_sends_what_was_written_before(void **state)
{
    (void)state;
    struct sockaddr_in listening;
    struct net_address address;
    int listener = fixture_listen(&listening);
    set_address(&address, &listening, sizeof listening);
    connect_to(&address);
    fixture_write_text("early ");
    write_taken("words", 5);
    assert_int_equal(net_stream_pending(fixture.stream), 11);
    assert_int_equal(net_stream_sent(fixture.stream), 0);
    fixture_wait_told("C");
    fixture.peer = accept(listener, NULL, NULL);
    close(listener);
    assert_true(fixture.peer >= 0);
    fixture_set_nonblocking(fixture.peer);
    fixture_wait_peer_got(11);
    assert_string_equal(strbuf_text(&fixture.got), "early words");
    fixture_peer_send_text("answer\n");
    fixture_wait_told("[answer]");
    char expected[64];
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)ntohs(listening.sin_port));
    assert_string_equal(net_stream_peer(fixture.stream), expected);
}

static void test_net_stream_pause_before_the_connection_counts(void **state)
{
    (void)state;
    struct sockaddr_in listening;
    struct net_address address;
    int listener = fixture_listen(&listening);
    set_address(&address, &listening, sizeof listening);
    connect_to(&address);
    net_stream_pause(fixture.stream);
    fixture.peer = accept(listener, NULL, NULL);
    close(listener);
    fixture_peer_send_text("line\n");
    fixture_wait_told("C");
    net_wait_idle(fixture.loop);
    fixture_assert_told("C");
    assert_int_equal(net_stream_received(fixture.stream), 0);
    net_stream_resume(fixture.stream);
    fixture_wait_told("C[line]");
}

static void test_net_stream_connecting_may_be_refused(void **state)
{
    (void)state;
    struct sockaddr_in listening;
    struct net_address address;
    close(fixture_listen(&listening)); /* nobody listens there any more */
    set_address(&address, &listening, sizeof listening);
    connect_to(&address);
    fixture_write_text("never sent");
    fixture_wait_told("F");
    fixture_assert_told("F");
    assert_string_equal(fixture.reason, strerror(ECONNREFUSED));
    net_wait_idle(fixture.loop);
    fixture_assert_told("F");
}

static void test_net_stream_connecting_may_fail_at_once(void **state)
{
    (void)state;
    struct err err;
    struct net_address address;
    assert_true(net_address_parse(&address, "unix:/nonexistent/socket", &err));
    for (int i = 0; i < 3; i++) {
        connect_to(&address);
        if (i == 0) {
            fixture_wait_told("F");
            assert_string_equal(fixture.reason, strerror(ENOENT));
        } else if (i == 1) {
            fixture.reaction = FIXTURE_CLOSES;
            fixture_wait_told("F");
            assert_null(fixture.stream);
        }
        /* The third is closed before the loop could tell. */
        if (i == 2) {
            net_stream_close_flushed(fixture.stream, 1000);
        } else {
            net_stream_close(fixture.stream);
        }
        fixture.stream = NULL;
        net_wait_idle(fixture.loop);
        fixture_assert_told(i == 2 ? "" : "F");
        strbuf_clear(&fixture.told);
    }
}

static void test_net_stream_connecting_may_be_given_up(void **state)
{
    (void)state;
    struct sockaddr_in listening;
    struct net_address address;
    int listener = fixture_listen(&listening);
    set_address(&address, &listening, sizeof listening);
    connect_to(&address);
    net_stream_close(fixture.stream);
    connect_to(&address);
    net_stream_close_flushed(fixture.stream, 1000);
    /* With something to send, it still connects and sends that. */
    connect_to(&address);
    fixture_write_text("last words");
    net_stream_close_flushed(fixture.stream, 5000);
    fixture.stream = NULL;
    for (int i = 0; i < 3; i++) {
        fixture_close_peer();
        fixture.peer = accept(listener, NULL, NULL);
        assert_true(fixture.peer >= 0);
        fixture_set_nonblocking(fixture.peer);
        fixture.peer_saw_end = false;
        fixture_wait_peer_end();
    }
    assert_string_equal(strbuf_text(&fixture.got), "last words");
    fixture_assert_told("");
    close(listener);
}

static void test_net_stream_connects_to_unix_sockets(void **state)
{
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof name;
    struct net_address address;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The kernel chooses an abstract name: no file. */
    assert_int_equal(bind(listener, (const struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    set_address(&address, &name, length);
    connect_to(&address);
    fixture_wait_told("C");
    assert_string_equal(net_stream_peer(fixture.stream), "unix");
    fixture_write_text("hello");
    fixture.peer = accept(listener, NULL, NULL);
    close(listener);
    fixture_set_nonblocking(fixture.peer);
    fixture_wait_peer_got(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_net_stream_one_call_is_one_send),
        FIXTURE_TEST(test_net_stream_answers_to_lines_that_came_together_go_together),
        FIXTURE_TEST(test_net_stream_sends_what_was_queued_in_one_go_too),
        FIXTURE_TEST(test_net_stream_writes_small_things_at_once),
        FIXTURE_TEST(test_net_stream_sets_nodelay),
        FIXTURE_TEST(test_net_stream_large_output_reaches_a_slow_reader_in_order),
        FIXTURE_TEST(test_net_stream_drained_comes_at_the_low_water_mark),
        FIXTURE_TEST(test_net_stream_low_water_can_be_lowered),
        FIXTURE_TEST(test_net_stream_may_be_closed_when_drained),
        FIXTURE_TEST(test_net_stream_close_drops_what_is_pending),
        FIXTURE_TEST(test_net_stream_flushes_before_closing),
        FIXTURE_TEST(test_net_stream_flush_of_nothing_closes_at_once),
        FIXTURE_TEST(test_net_stream_flush_gives_up_at_its_limit),
        FIXTURE_TEST(test_net_stream_flush_ends_when_the_peer_is_gone_or_the_loop_is_freed),
        FIXTURE_TEST(test_net_stream_connects_and_sends_what_was_written_before),
        FIXTURE_TEST(test_net_stream_pause_before_the_connection_counts),
        FIXTURE_TEST(test_net_stream_connecting_may_be_refused),
        FIXTURE_TEST(test_net_stream_connecting_may_fail_at_once),
        FIXTURE_TEST(test_net_stream_connecting_may_be_given_up),
        FIXTURE_TEST(test_net_stream_connects_to_unix_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
