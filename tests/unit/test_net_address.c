/* net/address. Only numbers and "localhost" are looked up: no name server is asked. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "net/address.h"

static struct net_address address;
static struct err err;

static void assert_ipv4(const char *host, unsigned port)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address.storage;
    char text[INET_ADDRSTRLEN];
    assert_int_equal(address.storage.ss_family, AF_INET);
    assert_int_equal(address.length, sizeof *ipv4);
    assert_string_equal(inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof text), host);
    assert_int_equal(ntohs(ipv4->sin_port), port);
}

static void test_net_address_reads_tcp(void **state)
{
    (void)state;
    assert_true(net_address_parse(&address, "tcp:127.0.0.1:6670", &err));
    assert_ipv4("127.0.0.1", 6670);
    assert_string_equal(address.text, "tcp:127.0.0.1:6670");
    assert_true(net_address_parse(&address, "tcp:0.0.0.0:0", &err));
    assert_ipv4("0.0.0.0", 0);
    assert_true(net_address_parse(&address, "tcp:192.0.2.7:65535", &err));
    assert_ipv4("192.0.2.7", 65535);
}

static void test_net_address_knows_tls(void **state)
{
    (void)state;
    assert_true(net_address_parse(&address, "tls:127.0.0.1:6671", &err));
    assert_ipv4("127.0.0.1", 6671);
    assert_true(address.tls);
    assert_true(net_address_is_local(&address));
    assert_true(net_address_parse(&address, "tcp:127.0.0.1:6671", &err));
    assert_false(address.tls);
    assert_false(net_address_parse_host_port(&address, "tls:127.0.0.1:6671", &err));
}

static void test_net_address_prefers_ipv4_for_localhost(void **state)
{
    (void)state;
    assert_true(net_address_parse(&address, "tcp:localhost:6666", &err));
    assert_ipv4("127.0.0.1", 6666);
}

static void test_net_address_reads_ipv6_in_brackets(void **state)
{
    (void)state;
    assert_true(net_address_parse(&address, "tcp:[::1]:6670", &err));
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address.storage;
    assert_int_equal(address.storage.ss_family, AF_INET6);
    assert_int_equal(address.length, sizeof *ipv6);
    assert_true(IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr));
    assert_int_equal(ntohs(ipv6->sin6_port), 6670);
}

static void test_net_address_reads_unix(void **state)
{
    (void)state;
    assert_true(net_address_parse(&address, "unix:/run/a:b.sock", &err));
    const struct sockaddr_un *unix_address = (const struct sockaddr_un *)&address.storage;
    assert_int_equal(address.storage.ss_family, AF_UNIX);
    assert_string_equal(unix_address->sun_path, "/run/a:b.sock");
    assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + strlen("/run/a:b.sock") + 1);
}

static void test_net_address_limits_the_path(void **state)
{
    (void)state;
    char text[5 + 109];
    memset(text, 'p', sizeof text);
    memcpy(text, "unix:", 5);
    text[5 + 107] = '\0';
    assert_true(net_address_parse(&address, text, &err));
    text[5 + 107] = 'p';
    text[5 + 108] = '\0';
    assert_false(net_address_parse(&address, text, &err));
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_non_null(strstr(err.message, "107"));
}

static void test_net_address_refuses_and_leaves_untouched(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "tcp",
        "tcp:",
        "tcp::",
        "tcp::6670",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp:127.0.0.1:65536",
        "tcp:127.0.0.1:100000",
        "tcp:127.0.0.1:-1",
        "tcp:127.0.0.1:+1",
        "tcp:127.0.0.1: 1",
        "tcp:127.0.0.1:0x10",
        "tcp:127.0.0.1:http",
        "tcp:127.0.0.1:1:2",
        "tcp:::1:6670",
        "tcp:[::1]",
        "tcp:[::1]6670",
        "tcp:[::1",
        "tcp:[]:1",
        "unix:",
        "127.0.0.1:6670",
        "TCP:127.0.0.1:6670",
        "TLS:127.0.0.1:6670",
        "tls:",
        "tls:127.0.0.1",
        "ssh:host",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        memset(&address, 0x5a, sizeof address);
        assert_false(net_address_parse(&address, wrong[i], &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_true(err.message[0] != '\0');
        for (size_t byte = 0; byte < sizeof address; byte++) {
            assert_int_equal(((const unsigned char *)&address)[byte], 0x5a);
        }
    }
}

static void test_net_address_refuses_long_texts(void **state)
{
    (void)state;
    char text[2000];
    memset(text, '1', sizeof text);
    memcpy(text, "tcp:", 4);
    for (size_t length = 250; length < sizeof text; length += 3) {
        text[length] = '\0';
        assert_false(net_address_parse(&address, text, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        text[length] = '1';
    }
}

/* A label of more than 63 bytes is refused by the resolver itself. */
static void test_net_address_refuses_unknown_hosts(void **state)
{
    (void)state;
    char text[100] = "tcp:";
    memset(text + 4, 'h', 70);
    memcpy(text + 74, ":6666", 6);
    assert_false(net_address_parse(&address, text, &err));
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_non_null(strstr(err.message, "hhh\": "));
}

static void test_net_address_reads_host_and_port_without_scheme(void **state)
{
    (void)state;
    assert_true(net_address_parse_host_port(&address, "127.0.0.1:6666", &err));
    assert_ipv4("127.0.0.1", 6666);
    assert_string_equal(address.text, "127.0.0.1:6666");
    assert_true(net_address_parse_host_port(&address, "[::1]:6666", &err));
    assert_int_equal(address.storage.ss_family, AF_INET6);
    assert_true(net_address_parse_host_port(&address, "tcp:127.0.0.1:6666", &err));
    assert_ipv4("127.0.0.1", 6666);
    assert_true(net_address_parse_host_port(&address, "unix:/run/x", &err));
    assert_int_equal(address.storage.ss_family, AF_UNIX);
    assert_false(net_address_parse_host_port(&address, "127.0.0.1", &err));
    assert_false(net_address_parse_host_port(&address, ":6666", &err));
    assert_false(net_address_parse_host_port(&address, "6666", &err));
}

static void test_net_address_knows_what_is_local(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"tcp:127.0.0.1:1", true}, {"tcp:127.255.3.4:1", true},    {"tcp:[::1]:1", true},
        {"unix:/run/x", true},     {"tcp:128.0.0.1:1", false},     {"tcp:0.0.0.0:1", false},
        {"tcp:[::]:1", false},     {"tcp:[2001:db8::1]:1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(net_address_parse(&address, cases[i].text, &err));
        assert_int_equal(net_address_is_local(&address), cases[i].local);
    }
}

static void test_address_takes_another_port(void **state)
{
    struct net_address first;
    struct net_address other;
    struct err problem;
    (void)state;
    assert_true(net_address_parse(&first, "tcp:127.0.0.1:6666", &problem));
    assert_true(net_address_with_port(&first, 3333, &other));
    assert_int_equal(net_address_port(&other), 3333);
    assert_string_equal(other.text, "tcp:127.0.0.1:3333");
    assert_int_equal(net_address_port(&first), 6666);
    assert_true(net_address_parse(&first, "tcp:[::1]:6666", &problem));
    assert_true(net_address_with_port(&first, 65535, &other));
    assert_string_equal(other.text, "tcp:[::1]:65535");
    assert_true(net_address_parse(&first, "unix:/tmp/x", &problem));
    assert_false(net_address_with_port(&first, 1, &other));
    assert_string_equal(other.text, "tcp:[::1]:65535");
}

static void test_net_address_takes_another_port(void **state)
{
    static const char *const texts[][2] = {{"127.0.0.1:0", "127.0.0.1:4711"},
                                           {"tcp:127.0.0.1:65535", "tcp:127.0.0.1:4711"},
                                           {"[::1]:1", "[::1]:4711"}};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_true(net_address_parse_host_port(&address, texts[i][0], &err));
        net_address_set_port(&address, 4711);
        assert_int_equal(net_address_port(&address), 4711);
        assert_string_equal(address.text, texts[i][1]);
    }
    assert_true(net_address_parse(&address, "unix:/run/a:1", &err));
    net_address_set_port(&address, 4711);
    assert_string_equal(address.text, "unix:/run/a:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_takes_another_port),
        cmocka_unit_test(test_net_address_takes_another_port),
        cmocka_unit_test(test_net_address_reads_tcp),
        cmocka_unit_test(test_net_address_knows_tls),
        cmocka_unit_test(test_net_address_prefers_ipv4_for_localhost),
        cmocka_unit_test(test_net_address_reads_ipv6_in_brackets),
        cmocka_unit_test(test_net_address_reads_unix),
        cmocka_unit_test(test_net_address_limits_the_path),
        cmocka_unit_test(test_net_address_refuses_and_leaves_untouched),
        cmocka_unit_test(test_net_address_refuses_long_texts),
        cmocka_unit_test(test_net_address_refuses_unknown_hosts),
        cmocka_unit_test(test_net_address_reads_host_and_port_without_scheme),
        cmocka_unit_test(test_net_address_knows_what_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
