/* server/http_head: what of HTTP is taken, and what is refused with which status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/http_head.h"

/* Feeds lines that LF ends; 0 where the head is whole, 1 where it is not yet, else the status. */
static unsigned feed(struct http_head *head, const char *text)
{
    memset(head, 0, sizeof *head);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        switch (http_head_line(head, text, length)) {
        case HTTP_MORE:
            break;
        case HTTP_READY:
            return 0;
        case HTTP_REFUSED:
            return head->status;
        }
        text += length + (text[length] == '\n');
    }
    return 1;
}

static void must_take(const char *text, const char *path, bool only_head)
{
    struct http_head head;
    assert_int_equal(feed(&head, text), 0);
    assert_string_equal(head.path, path);
    assert_int_equal(head.only_head, only_head);
}

static void must_refuse(const char *text, unsigned status)
{
    struct http_head head;
    unsigned got = feed(&head, text);
    if (got != status) {
        fail_msg("%u for: %s", got, text);
    }
    assert_true(http_status_text(status)[0] != '\0');
}

static void test_http_head_takes_what_asks_for_a_page(void **state)
{
    (void)state;
    must_take("GET /metrics HTTP/1.1\nHost: x\n\n", "/metrics", false);
    must_take("HEAD /healthz HTTP/1.1\nHOST:x\nAccept: text/plain;q=0.5\n\n", "/healthz", true);
    must_take("GET / HTTP/1.0\n\n", "/", false);
    must_take("\nGET /readyz?verbose=1&x=? HTTP/1.1\nhost:\n\n", "/readyz", false);
    must_take("GET http://127.0.0.1:9100/metrics HTTP/1.1\nHost: 127.0.0.1:9100\n\n", "/metrics", false);
    must_take("GET /a HTTP/1.1\nHost: x\nContent-Length: 0\nX-Empty:\nX-Tab: a\tb\n\n", "/a", false);
}

static void test_http_head_waits_for_its_end(void **state)
{
    struct http_head head;
    (void)state;
    assert_int_equal(feed(&head, "GET / HTTP/1.1\n"), 1);
    assert_int_equal(feed(&head, "GET / HTTP/1.1\nHost: x\n"), 1);
    assert_int_equal(feed(&head, "\n\n"), 1);
}

static void test_http_head_refuses_what_is_no_request(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x\n",
        "GET\n",
        "GET /\n",
        "GET / \n",
        " / HTTP/1.1\n",
        "G(T / HTTP/1.1\n",
        "GET  / HTTP/1.1\n",
        "GET / HTTP/1.1 \n",
        "GET / HTTP/1.x\n",
        "GET / http/1.1\n",
        "GET metrics HTTP/1.1\n",
        "GET http:// HTTP/1.1\n",
        "GET http://host HTTP/1.1\n",
        "GET /\x01 HTTP/1.1\n",
        "GET /\xc3\xa4 HTTP/1.1\n",
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\nHost: a\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\nnothing\n\n",
        "GET / HTTP/1.1\nHost: a\n folded\n\n",
        "GET / HTTP/1.1\nHost : a\n\n",
        "GET / HTTP/1.1\n: a\n\n",
        "GET / HTTP/1.1\nHost: \x01\n\n",
        "GET / HTTP/1.1\nHost: \x7f\n\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.hello\"}\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        must_refuse(bad[i], 400);
    }
    must_refuse("GET / HTTP/2.0\n", 505);
    must_refuse("PRI * HTTP/2.0\n", 505);
}

static void test_http_head_refuses_methods_and_bodies(void **state)
{
    (void)state;
    must_refuse("POST /metrics HTTP/1.1\nHost: x\n\n", 405);
    must_refuse("OPTIONS * HTTP/1.1\nHost: x\n\n", 405);
    must_refuse("get / HTTP/1.1\nHost: x\n\n", 405);
    must_refuse("GET / HTTP/1.1\nHost: x\nContent-Length: 1\n\n", 413);
    must_refuse("GET / HTTP/1.1\nHost: x\ncontent-length: -0\n\n", 413);
    must_refuse("GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", 413);
}

static void test_http_head_bounds_lines_and_bytes(void **state)
{
    struct http_head head = {0};
    char line[1024];
    (void)state;
    assert_int_equal(http_head_line(&head, "GET / HTTP/1.1", 14), HTTP_MORE);
    for (unsigned i = 1; i < HTTP_HEAD_MAX_LINES; i++) {
        assert_int_equal(http_head_line(&head, "A: b", 4), HTTP_MORE);
    }
    assert_int_equal(http_head_line(&head, "A: b", 4), HTTP_REFUSED);
    assert_int_equal(head.status, 431);

    memset(&head, 0, sizeof head);
    memset(line, 'a', sizeof line);
    line[1] = ':';
    assert_int_equal(http_head_line(&head, "GET / HTTP/1.1", 14), HTTP_MORE);
    for (unsigned i = 0; i < HTTP_HEAD_MAX_BYTES / sizeof line - 1; i++) {
        assert_int_equal(http_head_line(&head, line, sizeof line), HTTP_MORE);
    }
    assert_int_equal(http_head_line(&head, line, sizeof line), HTTP_REFUSED);
    assert_int_equal(head.status, 431);
}

static void test_http_head_of_a_long_path_is_of_no_page(void **state)
{
    char text[HTTP_PATH_SIZE + 64];
    char path[HTTP_PATH_SIZE + 1];
    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[HTTP_PATH_SIZE - 1] = '\0';
    snprintf(text, sizeof text, "GET %s HTTP/1.0\n\n", path);
    must_take(text, path, false);
    path[HTTP_PATH_SIZE - 1] = 'a';
    path[HTTP_PATH_SIZE] = '\0';
    snprintf(text, sizeof text, "GET %s HTTP/1.0\n\n", path);
    must_take(text, "", false);
}

static void test_http_head_bears_nul_bytes(void **state)
{
    struct http_head head = {0};
    (void)state;
    assert_int_equal(http_head_line(&head, "GET /\0 HTTP/1.1", 15), HTTP_REFUSED);
    assert_int_equal(head.status, 400);
    memset(&head, 0, sizeof head);
    assert_int_equal(http_head_line(&head, "GET / HTTP/1.1", 14), HTTP_MORE);
    assert_int_equal(http_head_line(&head, "Ho\0st: x", 8), HTTP_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_head_takes_what_asks_for_a_page),
        cmocka_unit_test(test_http_head_waits_for_its_end),
        cmocka_unit_test(test_http_head_refuses_what_is_no_request),
        cmocka_unit_test(test_http_head_refuses_methods_and_bodies),
        cmocka_unit_test(test_http_head_bounds_lines_and_bytes),
        cmocka_unit_test(test_http_head_of_a_long_path_is_of_no_page),
        cmocka_unit_test(test_http_head_bears_nul_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
