/* Starting and ending ssh. */
#include "client/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/error.h"

#define SSH_LOOK_MS 10
#define SSH_LOOKS 200
#define SSH_NOT_STARTED 127

/* In the child: nothing but what may follow a fork. */
static void run(const char *program, const char *host, int fd)
{
    /* Ctrl-C cancels a request; ssh must live to bring the answer. */
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
    int high =
        fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); /* where these three are closed, it is one of them */
    if (dup2(high, STDIN_FILENO) >= 0 && dup2(high, STDOUT_FILENO) >= 0) {
        (void)execlp(program, program, host, "ocdmux", "stdio", (char *)NULL);
    }
    static const char message[] = "ocdmux: ssh cannot be started\n";
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(SSH_NOT_STARTED);
}

bool ssh_start(const char *host, int *ret_fd, pid_t *ret_child, struct ocdmux_error *error)
{
    const char *named = getenv("OCDMUX_SSH");
    const char *program = named != NULL && named[0] != '\0' ? named : "ssh";
    int pair[2];
    if (host[0] == '\0' || host[0] == '-') {
        return error_set(error, OCDMUX_KIND_INVALID_PARAMS, "ssh:%s: not ssh:HOST", host);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "cannot connect to ssh:%s: %s", host,
                         strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        run(program, host, pair[1]);
    }
    int reason = errno;
    close(pair[1]);
    if (child < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
        close(pair[0]);
        return error_set(error, OCDMUX_KIND_CONNECTION_FAILED, "cannot connect to ssh:%s: %s", host,
                         strerror(reason));
    }
    *ret_fd = pair[0];
    *ret_child = child;
    return true;
}

void ssh_stop(pid_t child)
{
    for (int i = 0; i < SSH_LOOKS; i++) {
        pid_t ended = waitpid(child, NULL, WNOHANG);
        if (ended != 0 && !(ended < 0 && errno == EINTR)) {
            return;
        }
        (void)poll(NULL, 0, SSH_LOOK_MS);
    }
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}
