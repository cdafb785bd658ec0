/* Child processes: fork, exec, the pipe of their output, SIGCHLD, and the two signals that end them. */
#include "net/child.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "net/loop_event.h"

#define READ_BYTES 4096u
/* One turn of the loop takes so much: a child that writes without end starves nobody. */
#define READ_ROUNDS 16u
/* Of one that has ended; more than a pipe holds. */
#define LAST_ROUNDS 512u
/* How long a killed one that is freed may take until it is gone; the kernel ends it in any case. */
#define REAP_TRIES 200u
#define REAP_PAUSE_NS 1000000L

struct child {
    struct loop *loop;
    const struct child_handler *handler;
    void *context;
    pid_t pid; /* 0 once it was waited for */
    int fd;    /* its output; -1 once it is closed */
    struct event *readable;
    struct loop_signal *died;
    struct loop_timer *kill_timer;
    struct strbuf line;
    bool freed;
};

/* In the child. */

static void reset_signals(const sigset_t *mask)
{
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL); /* those that cannot be set stay */
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
}

static void say_not_run(const char *program, int reason)
{
    char text[256];
    int length = snprintf(text, sizeof text, CHILD_NOT_RUN_WORDS "%.150s: %s\n", program, strerror(reason));
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0) {
        return; /* the status says it too */
    }
}

static _Noreturn void run(char *const argv[], int output, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    /* The parent may have died before the kernel was told. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(CHILD_EXIT_NOT_RUN);
    }
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
        _exit(CHILD_EXIT_NOT_RUN);
    }
    (void)close_range(STDERR_FILENO + 1, ~0U, 0); /* all of ours are close-on-exec; others' may not be */
    reset_signals(&none);
    execvp(argv[0], argv);
    say_not_run(argv[0], errno);
    _exit(CHILD_EXIT_NOT_RUN);
}

/* Output. */

static void give_line(struct child *child)
{
    if (child->line.length > 0 && child->line.data[child->line.length - 1] == '\r') {
        strbuf_truncate(&child->line, child->line.length - 1);
    }
    child->handler->line(child->context, strbuf_text(&child->line), child->line.length);
    strbuf_clear(&child->line);
}

static void take_bytes(struct child *child, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && !child->freed; i++) {
        if (bytes[i] == '\n') {
            give_line(child);
        } else if (child->line.length < CHILD_MOST_LINE) {
            strbuf_append_byte(&child->line, bytes[i]);
        }
    }
}

static void close_output(struct child *child)
{
    if (child->fd >= 0) {
        event_free(child->readable);
        close(child->fd);
        child->fd = -1;
    }
}

static void read_output(struct child *child, unsigned rounds)
{
    char bytes[READ_BYTES];
    while (rounds-- > 0 && child->fd >= 0 && !child->freed) {
        ssize_t length = read(child->fd, bytes, sizeof bytes);
        if (length > 0) {
            take_bytes(child, bytes, (size_t)length);
        } else if (length < 0 && errno == EINTR) {
            continue;
        } else if (length < 0 && errno == EAGAIN) {
            return;
        } else {
            close_output(child);
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    read_output(context, READ_ROUNDS);
}

/* Its end. */

/* The group first: as long as its leader was not waited for, nobody else has its number. */
static void end_group(const struct child *child)
{
    kill(-child->pid, SIGKILL);
}

static void finish(struct child *child, const siginfo_t *info)
{
    struct child_end end = {.by_signal = info->si_code != CLD_EXITED, .number = info->si_status};
    end_group(child);
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
    loop_timer_cancel(child->kill_timer);
    read_output(child, LAST_ROUNDS);
    if (!child->freed && child->line.length > 0) {
        give_line(child);
    }
    if (!child->freed) {
        close_output(child);
        child->handler->ended(child->context, &end);
    }
}

static void on_died(void *context)
{
    struct child *child = context;
    siginfo_t info = {.si_pid = 0};
    if (child->pid != 0 && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0) {
        finish(child, &info);
    }
}

static void on_kill_timer(void *context)
{
    const struct child *child = context;
    if (child->pid != 0) {
        kill(-child->pid, SIGKILL);
    }
}

void child_stop(struct child *child, uint64_t limit_ms)
{
    if (child->pid == 0 || loop_timer_is_set(child->kill_timer)) {
        return;
    }
    kill(-child->pid, SIGTERM);
    loop_timer_set(child->kill_timer, limit_ms);
}

static void reap(struct child *child)
{
    const struct timespec pause = {0, REAP_PAUSE_NS};
    end_group(child);
    for (unsigned i = 0; i < REAP_TRIES && waitpid(child->pid, NULL, WNOHANG) == 0; i++) {
        nanosleep(&pause, NULL);
    }
    child->pid = 0;
}

static void free_child(void *object)
{
    struct child *child = object;
    strbuf_fini(&child->line);
    free(child);
}

void child_free(struct child *child)
{
    if (child == NULL || child->freed) {
        return;
    }
    child->freed = true;
    if (child->pid != 0) {
        reap(child);
    }
    close_output(child);
    loop_signal_free(child->died);
    loop_timer_free(child->kill_timer);
    loop_bury(child->loop, child, free_child);
}

/* Its beginning. */

/* No signal may come between fork and exec: the loop's handlers would tell the parent of it. */
static pid_t fork_and_run(char *const argv[], int output)
{
    sigset_t all;
    sigset_t before;
    pid_t parent = getpid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        run(argv, output, parent);
    }
    int reason = errno;
    if (pid > 0) {
        setpgid(pid, pid); /* whoever of the two comes first */
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = reason;
    return pid;
}

bool child_start(struct child **ret_child, struct loop *loop, char *const argv[],
                 const struct child_handler *handler, void *context, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set(err, ERR_INTERNAL_ERROR, "cannot start %s: %s", argv[0], strerror(errno));
    }
    pid_t pid = fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? fork_and_run(argv, ends[1]) : -1;
    int reason = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_set(err, ERR_INTERNAL_ERROR, "cannot start %s: %s", argv[0], strerror(reason));
    }
    struct child *child = xcalloc(1, sizeof *child);
    child->loop = loop;
    child->handler = handler;
    child->context = context;
    child->pid = pid;
    child->fd = ends[0];
    child->readable = event_new(loop_event_base(loop), child->fd, EV_READ | EV_PERSIST, on_readable, child);
    if (child->readable == NULL || event_add(child->readable, NULL) != 0) {
        abort(); /* no memory: as everywhere */
    }
    child->died = loop_signal_new(loop, SIGCHLD, on_died, child);
    child->kill_timer = loop_timer_new(loop, on_kill_timer, child);
    /* It may have died before the signal was listened to. */
    kill(getpid(), SIGCHLD);
    *ret_child = child;
    return true;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_end_text(const struct child_end *end, char text[CHILD_END_TEXT_SIZE])
{
    if (end->by_signal) {
        snprintf(text, CHILD_END_TEXT_SIZE, "signal %d (%.40s)", end->number, strsignal(end->number));
    } else {
        snprintf(text, CHILD_END_TEXT_SIZE, "exit status %d", end->number);
    }
}
