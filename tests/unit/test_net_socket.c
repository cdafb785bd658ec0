/* net/socket: how long a peer that says nothing, or takes nothing, is believed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/socket.h"

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

/* Within about two minutes, whether something waits to be taken or not. */
static void test_net_socket_a_client_that_has_gone_is_given_up(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    socket_tune_accepted(fd);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    int idle = option(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    int interval = option(fd, IPPROTO_TCP, TCP_KEEPINTVL);
    int count = option(fd, IPPROTO_TCP, TCP_KEEPCNT);
    assert_in_range(idle + interval * count, 30, 120);
    assert_in_range(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000, 120000);
    close(fd);
}

/* OpenOCD may be busy for longer than that. */
static void test_net_socket_a_server_may_take_its_time(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    socket_tune(fd);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    close(fd);
}

static void test_net_socket_unix_sockets_are_left_alone(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    socket_tune_accepted(pair[0]);
    assert_int_equal(option(pair[0], SOL_SOCKET, SO_KEEPALIVE), 0);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_socket_a_client_that_has_gone_is_given_up),
        cmocka_unit_test(test_net_socket_a_server_may_take_its_time),
        cmocka_unit_test(test_net_socket_unix_sockets_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
