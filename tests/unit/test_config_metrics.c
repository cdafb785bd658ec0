/* server/config_metrics and server/config_sockets: where machines look, and what a service manager passes. */
#include "config_text.h"

#include "server/config_metrics.h"
#include "server/config_sockets.h"

static void test_config_of_metrics(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    assert_false(config->metrics_given);
    must_read(config, "{" BOARDS ", \"metrics\": {\"listen\": \"tcp:127.0.0.1:9100\"}}");
    assert_true(config->metrics_given);
    assert_int_equal(net_address_port(&config->metrics), 9100);
    assert_true(config_metrics_complete(config, &err));
    assert_true(config_metrics_set(config, "0.0.0.0:9101", &err));
    assert_int_equal(net_address_port(&config->metrics), 9101);
    assert_false(config_metrics_complete(config, &err));
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_non_null(strstr(err.message, "0.0.0.0:9101 is reachable from other machines"));
    config->insecure = true;
    assert_true(config_metrics_complete(config, &err));
    assert_false(config_metrics_set(config, "unix:/run/metrics", &err));
    assert_false(config_metrics_set(config, "9100", &err));
    assert_int_equal(net_address_port(&config->metrics), 9101);
}

/* As the service manager passes them. */
static struct net_address passed_socket(const char *text, int fd)
{
    struct net_address address;
    struct err err;
    err_reset(&err);
    assert_true(net_address_parse(&address, text, &err));
    address.passed_fd = fd;
    return address;
}

static void test_config_of_passed_sockets(void **state)
{
    static const char *const texts[] = {"tcp:127.0.0.1:6671", "tcp:127.0.0.1:9100", "unix:/run/a",
                                        "tcp:127.0.0.1:6672", "unix:/run/b",        "tcp:[::1]:6671"};
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    must_read(config,
              "{" BOARDS ", \"listen\": [\"tls:127.0.0.1:6671\", \"unix:/run/a\", \"tcp:127.0.0.1:0\"],"
              " \"metrics\": {\"listen\": \"tcp:127.0.0.1:9100\"}}");
    for (int i = 0; i < 6; i++) {
        struct net_address passed = passed_socket(texts[i], 3 + i);
        assert_true(config_take_socket(config, &passed, &err));
    }
    assert_int_equal(config->listener_count, 6);
    assert_int_equal(config->listeners[0].passed_fd, 3);
    assert_true(config->listeners[0].tls);
    assert_int_equal(config->metrics.passed_fd, 4);
    assert_int_equal(config->listeners[1].passed_fd, 5);
    assert_int_equal(config->listeners[2].passed_fd, 0);
    for (size_t i = 3; i < 6; i++) {
        assert_int_equal(config->listeners[i].passed_fd, 3 + i);
    }
    for (size_t i = 6; i < CONFIG_MAX_LISTENERS; i++) {
        assert_true(config_add_listener(config, "tcp:127.0.0.1:0", &err));
    }
    struct net_address more = passed_socket("unix:/run/c", 20);
    assert_false(config_take_socket(config, &more, &err));
    assert_string_equal(err.message, "unix:/run/c, which was passed: more than 16 listeners");
}

static void test_config_refuses_bad_metrics(void **state)
{
    (void)state;
    must_refuse("{" BOARDS ", \"metrics\": {}}", "lab.json: metrics.listen: is missing");
    must_refuse("{" BOARDS ", \"metrics\": {\"listen\": \"127.0.0.1:9100\"}}",
                "lab.json: metrics.listen: must be tcp:HOST:PORT");
    must_refuse("{" BOARDS ", \"metrics\": {\"listen\": \"tls:127.0.0.1:9100\"}}",
                "lab.json: metrics.listen: must be tcp:HOST:PORT");
    must_refuse("{" BOARDS ", \"metrics\": {\"listen\": 9100}}",
                "lab.json: metrics.listen: must be a text that is not empty");
    must_refuse("{" BOARDS ", \"metrics\": {\"port\": 9100}}", "lab.json: metrics.port: is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_of_metrics, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_config_of_passed_sockets, config_setup, config_teardown),
        cmocka_unit_test(test_config_refuses_bad_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
