/* net/stream: reading: lines and bytes, pausing, the ends of a connection. */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net_stream_fixture.h"

#define ANY_LINE ((size_t)1 << 20)

static void test_net_stream_gives_lines_in_every_cut(void **state)
{
    (void)state;
    static const char text[] = "one\r\n\ntwo\nth\rree\r\nnot yet";
    static const size_t length = sizeof text - 1;
    for (size_t cut = 0; cut <= length; cut++) {
        fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
        fixture_peer_send(text, cut);
        fixture_wait_received(cut);
        fixture_peer_send(text + cut, length - cut);
        fixture_wait_received(length);
        fixture_assert_told("[one][][two][th\rree]");
        assert_int_equal(net_stream_received(fixture.stream), length);
        net_stream_close(fixture.stream);
        fixture.stream = NULL;
        fixture_close_peer();
        strbuf_clear(&fixture.told);
    }
}

static void test_net_stream_gives_lines_that_arrive_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "first\nsecond\r\n";
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        fixture_peer_send(text + i, 1);
        fixture_wait_received(i + 1);
    }
    fixture_assert_told("[first][second]");
}

static int option_of(int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(net_stream_fd(fixture.stream), level, name, &value, &size), 0);
    return value;
}

/* A machine that vanished is found out within two minutes. */
static void test_net_stream_probes_silent_peers(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    assert_int_equal(option_of(SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(IPPROTO_TCP, TCP_NODELAY), 1);
    int idle = option_of(IPPROTO_TCP, TCP_KEEPIDLE);
    int probes = option_of(IPPROTO_TCP, TCP_KEEPINTVL) * option_of(IPPROTO_TCP, TCP_KEEPCNT);
    assert_true(idle > 0 && probes > 0 && idle + probes <= 120);
}

static void test_net_stream_lines_may_hold_nul(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    fixture_peer_send("a\0b\n\0\n", 6);
    fixture_wait_received(6);
    assert_int_equal(fixture.told.length, 8);
    assert_memory_equal(fixture.told.data, "[a\0b][\0]", 8);
}

static void test_net_stream_gives_long_lines(void **state)
{
    (void)state;
    const size_t length = ANY_LINE;
    char *line = malloc(length + 1);
    assert_non_null(line);
    memset(line, 'x', length);
    line[length] = '\n';
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    size_t sent = 0;
    while (sent < length + 1) {
        ssize_t taken = send(fixture.peer, line + sent, length + 1 - sent, MSG_NOSIGNAL);
        assert_true(taken > 0);
        sent += (size_t)taken;
        fixture_wait_received(sent);
    }
    assert_int_equal(fixture.told.length, length + 2);
    assert_memory_equal(fixture.told.data + 1, line, length);
    free(line);
}

static void test_net_stream_tells_of_a_long_line_once_and_goes_on(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, 8);
    fixture_peer_send_text("12345678\n12345678\r\n123456789");
    fixture_wait_told("[12345678][12345678]!"); /* before its LF is there */
    for (size_t i = 0; i < 100; i++) {
        fixture_peer_send_text("and more of the same line");
        fixture_wait_received(28 + (i + 1) * 25);
    }
    fixture_peer_send_text("\nnext\n");
    fixture_wait_told("[next]");
    fixture_assert_told("[12345678][12345678]![next]");
}

static void test_net_stream_gives_bytes(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_raw, 0);
    fixture_peer_send("a\n\0", 3);
    fixture_wait_received(3);
    fixture_peer_send("b", 1);
    fixture_wait_received(4);
    assert_int_equal(fixture.told.length, 8);
    assert_memory_equal(fixture.told.data, "<a\n\0><b>", 8);
}

static void test_net_stream_half_close_comes_last_and_leaves_writing(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    fixture_peer_send_text("one\ntwo\nno line");
    assert_int_equal(shutdown(fixture.peer, SHUT_WR), 0);
    fixture_wait_told("E");
    fixture_assert_told("[one][two]E");
    fixture_write_text("answer\n");
    fixture_wait_peer_got(7);
    assert_string_equal(strbuf_text(&fixture.got), "answer\n");
    net_wait_idle(fixture.loop);
    net_stream_pause(fixture.stream);
    net_stream_resume(fixture.stream);
    net_wait_idle(fixture.loop);
    fixture_assert_told("[one][two]E"); /* once */
}

static void test_net_stream_tells_of_a_reset(void **state)
{
    (void)state;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fixture.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    fixture_close_peer();
    fixture_wait_told("F");
    fixture_assert_told("F");
    assert_string_equal(fixture.reason, strerror(ECONNRESET));
    fixture_write_text("into the void");
    net_stream_pause(fixture.stream);
    net_stream_resume(fixture.stream);
    net_wait_idle(fixture.loop);
    fixture_assert_told("F");
    assert_int_equal(net_stream_pending(fixture.stream), 0);
}

static void test_net_stream_write_to_a_peer_that_is_gone_fails_from_the_loop(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    net_stream_pause(fixture.stream); /* else reading would tell first */
    fixture_close_peer();
    fixture_write_text("nobody reads this");
    fixture_assert_told("");
    fixture_wait_told("F");
    fixture_assert_told("F");
    assert_string_equal(fixture.reason, strerror(EPIPE));
}

static void test_net_stream_pause_holds_lines_and_eof(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    fixture.reaction = FIXTURE_PAUSES;
    fixture_peer_send_text("one\ntwo\nthree\n");
    assert_int_equal(shutdown(fixture.peer, SHUT_WR), 0);
    fixture_wait_told("[one]");
    static const char *const steps[] = {"[one]", "[one][two]", "[one][two][three]", "[one][two][three]E"};
    for (size_t i = 0; i < 4; i++) {
        net_wait_idle(fixture.loop);
        fixture_assert_told(steps[i]);
        fixture.in_call = true;
        net_stream_resume(fixture.stream);
        fixture.in_call = false;
        fixture_assert_told(steps[i]);
        if (i < 3) {
            fixture_wait_told(steps[i + 1]);
        }
    }
}

static void test_net_stream_pause_between_resume_and_delivery_counts(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    fixture.reaction = FIXTURE_PAUSES;
    fixture_peer_send_text("one\ntwo\n");
    fixture_wait_told("[one]");
    net_stream_resume(fixture.stream);
    net_stream_resume(fixture.stream);
    net_stream_pause(fixture.stream);
    net_stream_pause(fixture.stream);
    net_wait_idle(fixture.loop);
    fixture_assert_told("[one]");
    net_stream_resume(fixture.stream);
    fixture_wait_told("[two]");
}

/* Fills the socket, and says how much it took. */
static size_t fill_with_lines(void)
{
    static char piece[65536];
    memset(piece, '\n', sizeof piece);
    size_t total = 0;
    for (int i = 0; i < 1000; i++) {
        ssize_t sent = send(fixture.peer, piece, sizeof piece, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            return total;
        }
        total += (size_t)sent;
    }
    return total;
}

static void test_net_stream_pause_bounds_what_is_taken(void **state)
{
    (void)state;
    const size_t most = 65536;
    fixture_open_tcp(&fixture_lines, ANY_LINE);
    fixture.reaction = FIXTURE_PAUSES;
    size_t total = fill_with_lines();
    assert_true(total > 2 * most);
    fixture_wait_told("[]");
    /* Each turn gives one line; nothing new is taken as long as some are held. */
    for (size_t lines = 1; lines < 200; lines++) {
        assert_int_equal(fixture.told.length, 2 * lines);
        assert_true(net_stream_received(fixture.stream) <= lines + most);
        net_stream_resume(fixture.stream);
        net_wait_idle(fixture.loop);
    }
    fixture.reaction = FIXTURE_GOES_ON;
    net_stream_resume(fixture.stream);
    fixture_wait_received(total);
    net_wait_idle(fixture.loop);
    assert_int_equal(fixture.told.length, 2 * total);
}

static void test_net_stream_pause_holds_bytes(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_raw, 0);
    fixture.reaction = FIXTURE_PAUSES;
    fixture_peer_send_text("one");
    fixture_wait_told("<one>");
    fixture_peer_send_text("two");
    net_wait_idle(fixture.loop);
    fixture_assert_told("<one>");
    net_stream_resume(fixture.stream);
    fixture_wait_told("<two>");
}

/* Nothing may be touched or called behind a close, from whichever callback it comes. */
static void test_net_stream_may_be_closed_by_every_reading_callback(void **state)
{
    (void)state;
    static const struct {
        const struct net_stream_handler *handler;
        const char *text;
        const char *told;
    } cases[] = {
        {&fixture_lines, "one\ntwo\n", "[one]"},
        {&fixture_lines, "too long a line\ntwo\n", "!"},
        {&fixture_lines, "", "E"},
        {&fixture_raw, "bytes", "<bytes>"},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        size_t chosen = i / 2;
        fixture.reaction = i % 2 == 0 ? FIXTURE_CLOSES : FIXTURE_FLUSHES;
        fixture.peer_saw_end = false;
        fixture_open_pair(SOCK_STREAM, cases[chosen].handler, 8);
        fixture_peer_send_text(cases[chosen].text);
        assert_int_equal(shutdown(fixture.peer, SHUT_WR), 0);
        fixture_wait_told(cases[chosen].told);
        assert_null(fixture.stream);
        fixture_wait_peer_end();
        fixture_assert_told(cases[chosen].told);
        fixture_close_peer();
        strbuf_clear(&fixture.told);
    }
}

static void test_net_stream_may_be_closed_when_it_failed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
        net_stream_pause(fixture.stream);
        fixture.reaction = i == 0 ? FIXTURE_CLOSES : FIXTURE_FLUSHES;
        fixture_close_peer();
        fixture_write_text("x");
        fixture_wait_told("F");
        assert_null(fixture.stream);
        strbuf_clear(&fixture.told);
    }
}

static void test_net_stream_close_is_at_once(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    fixture_peer_send_text("never seen\n");
    net_stream_close(fixture.stream);
    fixture.stream = NULL;
    fixture_peer_read(SIZE_MAX); /* without a turn of the loop */
    assert_true(fixture.peer_saw_end);
    net_wait_idle(fixture.loop);
    fixture_assert_told("");
}

static void test_net_stream_knows_its_peer_and_socket(void **state)
{
    (void)state;
    fixture_open_pair(SOCK_STREAM, &fixture_lines, ANY_LINE);
    assert_string_equal(net_stream_peer(fixture.stream), "unix");
    net_stream_close(fixture.stream);
    fixture_close_peer();

    fixture_open_tcp(&fixture_lines, ANY_LINE);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char expected[64];
    assert_int_equal(getsockname(fixture.peer, (struct sockaddr *)&address, &length), 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_string_equal(net_stream_peer(fixture.stream), expected);
    length = sizeof address;
    assert_int_equal(getpeername(net_stream_fd(fixture.stream), (struct sockaddr *)&address, &length), 0);
    assert_int_equal(ntohs(address.sin_port), strtoul(expected + strlen("127.0.0.1:"), NULL, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_net_stream_gives_lines_in_every_cut),
        FIXTURE_TEST(test_net_stream_gives_lines_that_arrive_byte_by_byte),
        FIXTURE_TEST(test_net_stream_probes_silent_peers),
        FIXTURE_TEST(test_net_stream_lines_may_hold_nul),
        FIXTURE_TEST(test_net_stream_gives_long_lines),
        FIXTURE_TEST(test_net_stream_tells_of_a_long_line_once_and_goes_on),
        FIXTURE_TEST(test_net_stream_gives_bytes),
        FIXTURE_TEST(test_net_stream_half_close_comes_last_and_leaves_writing),
        FIXTURE_TEST(test_net_stream_tells_of_a_reset),
        FIXTURE_TEST(test_net_stream_write_to_a_peer_that_is_gone_fails_from_the_loop),
        FIXTURE_TEST(test_net_stream_pause_holds_lines_and_eof),
        FIXTURE_TEST(test_net_stream_pause_between_resume_and_delivery_counts),
        FIXTURE_TEST(test_net_stream_pause_bounds_what_is_taken),
        FIXTURE_TEST(test_net_stream_pause_holds_bytes),
        FIXTURE_TEST(test_net_stream_may_be_closed_by_every_reading_callback),
        FIXTURE_TEST(test_net_stream_may_be_closed_when_it_failed),
        FIXTURE_TEST(test_net_stream_close_is_at_once),
        FIXTURE_TEST(test_net_stream_knows_its_peer_and_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
