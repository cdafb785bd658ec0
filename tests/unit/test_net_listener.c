/* net/listener: TCP, the files of Unix sockets, pausing, and running out of descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listener.h"
#include "net_wait.h"

#define MAX_ACCEPTED 64

static struct loop *loop;
static struct net_listener *listener;
static struct err err;
static char directory[64];
static char path[96];
static int accepted[MAX_ACCEPTED];
static size_t accepted_count;
static size_t pause_at; /* pauses the listener at this many, frees it at `free_at` */
static size_t free_at;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    listener = NULL;
    accepted_count = 0;
    pause_at = 0;
    free_at = 0;
    snprintf(directory, sizeof directory, "/tmp/ocdmux-test-XXXXXX");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/socket", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_listener_free(listener);
    for (size_t i = 0; i < accepted_count; i++) {
        close(accepted[i]);
    }
    loop_free(loop);
    unlink(path);
    return rmdir(directory); /* fails if something was left behind */
}

static void on_accepted(void *context, int fd)
{
    assert_ptr_equal(context, &accepted_count);
    assert_true(accepted_count < MAX_ACCEPTED);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    accepted[accepted_count++] = fd;
    if (accepted_count == pause_at) {
        net_listener_pause(listener);
    }
    if (accepted_count == free_at) {
        net_listener_free(listener);
        listener = NULL;
    }
}

static bool try_to_listen(struct net_listener **ret_listener, const char *text)
{
    struct net_address address;
    assert_true(net_address_parse(&address, text, &err));
    return net_listener_new(ret_listener, loop, &address, on_accepted, &accepted_count, &err);
}

static bool listen_on_path(struct net_listener **ret_listener)
{
    char text[128];
    snprintf(text, sizeof text, "unix:%s", path);
    return try_to_listen(ret_listener, text);
}

static int connect_to_path(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int connect_to_tcp(const char *text)
{
    struct net_address address;
    assert_true(net_address_parse(&address, text, &err));
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address.storage, address.length), 0);
    return fd;
}

static bool has_accepted(void *context)
{
    return accepted_count >= *(size_t *)context;
}

static void wait_accepted(size_t count)
{
    assert_true(net_wait_until(loop, has_accepted, &count));
    assert_int_equal(accepted_count, count);
}

static void test_net_listener_names_the_port_that_was_chosen(void **state)
{
    (void)state;
    assert_true(try_to_listen(&listener, "tcp:127.0.0.1:0"));
    const char *text = net_listener_text(listener);
    assert_memory_equal(text, "tcp:127.0.0.1:", 14);
    assert_in_range(strtoul(text + 14, NULL, 10), 1, 65535);
    int fd = connect_to_tcp(text);
    wait_accepted(1);
    close(fd);
}

static void test_net_listener_takes_ipv6(void **state)
{
    (void)state;
    if (!try_to_listen(&listener, "tcp:[::1]:0")) {
        print_message("no IPv6 here: %s\n", err.message);
        skip();
    }
    assert_memory_equal(net_listener_text(listener), "tcp:[::1]:", 10);
    int fd = connect_to_tcp(net_listener_text(listener));
    wait_accepted(1);
    close(fd);
}

static void test_net_listener_refuses_a_port_that_is_taken(void **state)
{
    (void)state;
    struct net_listener *second = NULL;
    assert_true(try_to_listen(&listener, "tcp:127.0.0.1:0"));
    char text[64];
    snprintf(text, sizeof text, "%s", net_listener_text(listener));
    assert_false(try_to_listen(&second, text));
    assert_null(second);
    assert_int_equal(err.kind, ERR_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, text));
    assert_non_null(strstr(err.message, strerror(EADDRINUSE)));
    int fd = connect_to_tcp(text);
    wait_accepted(1);
    close(fd);
}

static void test_net_listener_may_be_opened_again_at_once(void **state)
{
    (void)state;
    char text[64];
    assert_true(try_to_listen(&listener, "tcp:127.0.0.1:0"));
    snprintf(text, sizeof text, "%s", net_listener_text(listener));
    int fd = connect_to_tcp(text);
    wait_accepted(1);
    close(accepted[0]); /* our end first: it goes to TIME_WAIT */
    accepted_count = 0;
    close(fd);
    net_listener_free(listener);
    listener = NULL;
    assert_true(try_to_listen(&listener, text));
}

static void test_net_listener_accepts_many(void **state)
{
    (void)state;
    int fds[50];
    assert_true(listen_on_path(&listener));
    for (size_t i = 0; i < 50; i++) {
        fds[i] = connect_to_path();
    }
    wait_accepted(50);
    for (size_t i = 0; i < 50; i++) {
        close(fds[i]);
    }
}

static void test_net_listener_pauses_and_resumes(void **state)
{
    (void)state;
    int fds[3];
    pause_at = 1;
    assert_true(listen_on_path(&listener));
    for (size_t i = 0; i < 3; i++) {
        fds[i] = connect_to_path();
    }
    wait_accepted(1);
    net_wait_idle(loop);
    assert_int_equal(accepted_count, 1);
    net_listener_resume(listener);
    wait_accepted(3);
    net_listener_pause(listener);
    net_listener_pause(listener);
    net_listener_resume(listener);
    int fd = connect_to_path();
    wait_accepted(4);
    close(fd);
    for (size_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void test_net_listener_may_be_freed_when_it_accepts(void **state)
{
    (void)state;
    free_at = 1;
    assert_true(listen_on_path(&listener));
    int first = connect_to_path();
    int second = connect_to_path();
    wait_accepted(1);
    net_wait_idle(loop);
    assert_int_equal(accepted_count, 1);
    assert_null(listener);
    close(first);
    close(second);
}

static void test_net_listener_makes_and_removes_its_file(void **state)
{
    (void)state;
    struct stat status;
    char text[128];
    mode_t mask = umask(0022);
    assert_true(listen_on_path(&listener));
    assert_int_equal(umask(mask), 0022); /* put back */
    snprintf(text, sizeof text, "unix:%s", path);
    assert_string_equal(net_listener_text(listener), text);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0640);
    net_listener_free(listener);
    assert_int_equal(lstat(path, &status), -1);

    mask = umask(0);
    assert_true(listen_on_path(&listener));
    umask(mask);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
}

static void test_net_listener_replaces_a_stale_file(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(stale, 1), 0);
    close(stale);
    assert_true(listen_on_path(&listener));
    int fd = connect_to_path();
    wait_accepted(1);
    close(fd);
}

static void test_net_listener_leaves_a_socket_that_answers(void **state)
{
    (void)state;
    struct net_listener *second = NULL;
    assert_true(listen_on_path(&listener));
    assert_false(listen_on_path(&second));
    assert_int_equal(err.kind, ERR_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, strerror(EADDRINUSE)));
    net_wait_idle(loop); /* takes the connection that asked */
    for (size_t i = 0; i < accepted_count; i++) {
        close(accepted[i]);
    }
    accepted_count = 0;
    int fd = connect_to_path();
    wait_accepted(1);
    close(fd);
}

static void test_net_listener_leaves_other_files(void **state)
{
    (void)state;
    struct stat status;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_false(listen_on_path(&listener));
    assert_int_equal(err.kind, ERR_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, "no socket"));
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_false(listen_on_path(&listener));
    assert_int_equal(lstat(path, &status), 0);
}

static void test_net_listener_fails_where_there_is_no_directory(void **state)
{
    (void)state;
    assert_false(try_to_listen(&listener, "unix:/nonexistent/socket"));
    assert_non_null(strstr(err.message, "/nonexistent/socket"));
    assert_non_null(strstr(err.message, strerror(ENOENT)));
    assert_null(listener);
}

static void test_net_listener_leaves_a_file_that_replaced_its_own(void **state)
{
    (void)state;
    struct stat status;
    struct net_listener *first = NULL;
    assert_true(listen_on_path(&first));
    assert_int_equal(unlink(path), 0);
    assert_true(listen_on_path(&listener));
    net_listener_free(first);
    assert_int_equal(lstat(path, &status), 0);
    int fd = connect_to_path();
    wait_accepted(1);
    close(fd);
}

/* ---- Out of descriptors ---- */

static int captured = -1;
static int real_stderr = -1;

static void capture_stderr(void)
{
    char name[96];
    snprintf(name, sizeof name, "%s/log", directory);
    captured = open(name, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    assert_true(captured >= 0);
    assert_int_equal(unlink(name), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(captured, STDERR_FILENO) >= 0);
}

static void give_stderr_back(char *text, size_t size)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t length = pread(captured, text, size - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    close(captured);
}

static unsigned count_in(const char *text, const char *word)
{
    unsigned count = 0;
    for (const char *place = strstr(text, word); place != NULL; place = strstr(place + 1, word)) {
        count++;
    }
    return count;
}

static bool is_complaint_logged(void *context)
{
    (void)context;
    struct stat status;
    return fstat(captured, &status) == 0 && status.st_size > 0;
}

static void on_timer(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void test_net_listener_outlives_a_lack_of_descriptors(void **state)
{
    (void)state;
    int hogs[256];
    size_t hog_count = 0;
    char text[4096];
    struct rlimit limit;
    capture_stderr();
    assert_true(listen_on_path(&listener));
    int fds[2] = {connect_to_path(), connect_to_path()};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit low = {.rlim_cur = 128, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (hog_count < 256) {
        int fd = dup(STDIN_FILENO);
        if (fd < 0) {
            break;
        }
        hogs[hog_count++] = fd;
    }
    assert_int_equal(errno, EMFILE);
    assert_true(net_wait_until(loop, is_complaint_logged, NULL));
    /* Long enough for some more attempts. */
    struct loop_timer *timer = loop_timer_new(loop, on_timer, NULL);
    loop_timer_set(timer, 350);
    loop_run(loop);
    loop_timer_free(timer);
    assert_int_equal(accepted_count, 0);
    for (size_t i = 0; i < hog_count; i++) {
        close(hogs[i]);
    }
    wait_accepted(2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    give_stderr_back(text, sizeof text);
    assert_int_equal(count_in(text, "cannot accept"), 1);
    assert_int_equal(count_in(text, "again"), 1);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_net_listener_names_the_port_that_was_chosen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_takes_ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_refuses_a_port_that_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_may_be_opened_again_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_accepts_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_pauses_and_resumes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_may_be_freed_when_it_accepts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_makes_and_removes_its_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_replaces_a_stale_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_leaves_a_socket_that_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_leaves_other_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_fails_where_there_is_no_directory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_leaves_a_file_that_replaced_its_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_net_listener_outlives_a_lack_of_descriptors, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
