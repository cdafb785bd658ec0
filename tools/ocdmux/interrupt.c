/* The self-pipe for signals. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static int interrupt_pipe[2] = {-1, -1};

static void interrupt_handle(int signal_number)
{
    int saved = errno;
    (void)signal_number;
    /* A full pipe has enough interrupts in it. */
    ssize_t written = write(interrupt_pipe[1], "!", 1);
    (void)written;
    errno = saved;
}

static void interrupt_install(int signal_number)
{
    struct sigaction old;
    struct sigaction action = {.sa_handler = interrupt_handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        (void)sigaction(signal_number, &action, NULL);
    }
}

int interrupt_catch(void)
{
    if (interrupt_pipe[0] < 0) {
        if (pipe2(interrupt_pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
            return -1;
        }
        interrupt_install(SIGINT);
        interrupt_install(SIGTERM);
    }
    return interrupt_pipe[0];
}
