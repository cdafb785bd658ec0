/* A connection of the client library and the other end of its socket, for tests that play the server. */
#ifndef OCDMUX_TESTS_CLIENT_RIG_H
#define OCDMUX_TESTS_CLIENT_RIG_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/ocdmux.h"

struct rig {
    struct ocdmux *connection;
    int server;        /* blocking */
    int interrupts[2]; /* the pipe that interrupts come through */
};

static inline void write_all(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline struct rig *rig_new(void)
{
    char directory[] = "/tmp/client_rig_XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char url[sizeof(address.sun_path) + 8];
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    assert_non_null(mkdtemp(directory));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
    (void)snprintf(url, sizeof(url), "unix:%s", address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_true(ocdmux_open(url, 0, &rig->connection, &error));
    rig->server = accept(listener, NULL, NULL);
    assert_true(rig->server >= 0);
    close(listener);
    (void)unlink(address.sun_path);
    (void)rmdir(directory);
    assert_int_equal(pipe2(rig->interrupts, O_NONBLOCK), 0);
    ocdmux_set_interrupt_fd(rig->connection, rig->interrupts[0]);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    ocdmux_close(rig->connection);
    close(rig->server);
    close(rig->interrupts[0]);
    close(rig->interrupts[1]);
    free(rig);
}

#endif
