/* The self-pipe for signals. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

static int interrupt_pipe[2] = {-1, -1};
/* Signals that processes sent, by number. */
static volatile sig_atomic_t interrupt_sent[NSIG];

static void interrupt_handle(int signal_number, siginfo_t *information, void *context)
{
    int saved = errno;
    (void)context;
    if (information->si_code <= 0) {
        interrupt_sent[signal_number] = 1;
    }
    /* A full pipe has enough interrupts in it. */
    ssize_t written = write(interrupt_pipe[1], "!", 1);
    (void)written;
    errno = saved;
}

void interrupt_add(int signal_number)
{
    struct sigaction old;
    struct sigaction action = {.sa_sigaction = interrupt_handle, .sa_flags = SA_RESTART | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        (void)sigaction(signal_number, &action, NULL);
    }
}

bool interrupt_was_sent(int signal_number)
{
    bool sent = interrupt_sent[signal_number] != 0;
    interrupt_sent[signal_number] = 0;
    return sent;
}

int interrupt_catch(void)
{
    if (interrupt_pipe[0] < 0) {
        if (pipe2(interrupt_pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
            return -1;
        }
        interrupt_add(SIGINT);
        interrupt_add(SIGTERM);
    }
    return interrupt_pipe[0];
}
