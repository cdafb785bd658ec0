/*
 * Preloaded into the daemon by tests: its calls that change files below some directories are counted, and
 * each of them may kill the process or fail, before it, in its middle or behind it; and the wall clock may
 * jump. What is to happen stands in a page that the test shares with it (tests/lib/harness/fault_shim.py).
 *
 *   OCDMUX_SHIM_PAGE   the file of the page
 *   OCDMUX_SHIM_TRACE  a file that gets a line for each counted call: "NUMBER NAME PATH"
 *   OCDMUX_SHIM_DIRS   absolute directories, with ':' between them
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum moment { MOMENT_BEFORE, MOMENT_HALF, MOMENT_AFTER };

/* In place of an errno. */
#define KILL 0
#define TERMINATE (-1)

/* As fault_shim.py packs it. */
struct page {
    uint64_t calls; /* that matched so far */
    uint64_t first; /* those from `first` to `last` fail, counted from 1; 0: none */
    uint64_t last;
    int64_t clock_s; /* is added to the wall clock */
    int32_t moment;
    int32_t error; /* an errno, KILL, or TERMINATE: SIGTERM, and the call is made as ever */
    uint32_t killed;
    uint32_t spare;
    char match[80]; /* in "NAME PATH"; only such calls are counted */
};

static struct page no_page;
static struct page *page = &no_page;
static int trace = -1;
static const char *directories = "";

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("OCDMUX_SHIM_PAGE");
    const char *trace_path = getenv("OCDMUX_SHIM_TRACE");
    int fd = path != NULL ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || trace_path == NULL) {
        return;
    }
    void *map = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REAL(close)(fd);
    trace = REAL(open)(trace_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (map != MAP_FAILED && trace >= 0) {
        page = map;
        directories = getenv("OCDMUX_SHIM_DIRS");
    }
}

static bool is_below(const char *path, const char *directory, size_t length)
{
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool is_watched(const char *path)
{
    for (const char *at = directories; *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (is_below(path, at, length)) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

static bool path_of_fd(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static void path_at(int directory, const char *name, char path[PATH_MAX])
{
    char place[PATH_MAX] = "";
    if (name[0] != '/' && directory != AT_FDCWD && path_of_fd(directory, place)) {
        snprintf(path, PATH_MAX, "%.2000s/%.2000s", place, name);
    } else {
        snprintf(path, PATH_MAX, "%s", name);
    }
}

/* Counts a call; true: its moment has come. */
static bool count(const char *name, const char *path)
{
    char text[PATH_MAX + 64];
    int reason = errno;
    if (!is_watched(path)) {
        errno = reason;
        return false;
    }
    int length = snprintf(text, sizeof text, "%llu %s %s\n", (unsigned long long)page->calls + 1, name, path);
    bool fits = strstr(strchr(text, ' '), page->match) != NULL;
    page->calls += fits;
    if (fits && REAL(write)(trace, text, (size_t)length) != length) {
        abort();
    }
    errno = reason;
    return fits && page->first != 0 && page->calls >= page->first && page->calls <= page->last;
}

static void die(void)
{
    page->killed = 1;
    kill(getpid(), SIGKILL);
    abort();
}

/* What a call does whose moment may have come; false: nothing more. */
static bool before(bool due)
{
    if (!due || page->moment != MOMENT_BEFORE) {
        return true;
    }
    if (page->error == KILL) {
        die();
    }
    if (page->error == TERMINATE) {
        page->killed = 1;
        kill(getpid(), SIGTERM);
        return true;
    }
    errno = page->error;
    return false;
}

/* The result of a call that has been made; -1 in its place where it is to fail all the same. */
static int after(bool due, int result)
{
    if (!due || page->moment != MOMENT_AFTER) {
        return result;
    }
    if (page->error == KILL) {
        die();
    }
    errno = page->error;
    return -1;
}

/* How much of a write is done: half of it where that is its moment. */
static size_t share(bool due, size_t size)
{
    return due && page->moment == MOMENT_HALF ? size / 2 : size;
}

static void after_half(bool due)
{
    if (due && page->moment == MOMENT_HALF && page->error == KILL) {
        die();
    }
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    char path[PATH_MAX];
    bool due = path_of_fd(fd, path) && count("write", path);
    if (!before(due)) {
        return -1;
    }
    ssize_t done = REAL(write)(fd, bytes, share(due, size));
    after_half(due);
    return after(due, 0) == 0 ? done : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    char path[PATH_MAX];
    bool due = path_of_fd(fd, path) && count("write", path);
    if (!before(due)) {
        return -1;
    }
    ssize_t done = REAL(pwrite)(fd, bytes, share(due, size), offset);
    after_half(due);
    return after(due, 0) == 0 ? done : -1;
}

int fsync(int fd)
{
    char path[PATH_MAX];
    bool due = path_of_fd(fd, path) && count("fsync", path);
    return before(due) ? after(due, REAL(fsync)(fd)) : -1;
}

int ftruncate(int fd, off_t size)
{
    char path[PATH_MAX];
    bool due = path_of_fd(fd, path) && count("ftruncate", path);
    return before(due) ? after(due, REAL(ftruncate)(fd, size)) : -1;
}

/* Of what was written to; what was only read loses nothing. A close() that fails has closed. */
int close(int fd)
{
    char path[PATH_MAX];
    int flags = fcntl(fd, F_GETFL);
    bool due = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && path_of_fd(fd, path) && count("close", path);
    bool fails = !before(due);
    int reason = errno;
    int result = REAL(close)(fd);
    if (fails) {
        errno = reason;
        return -1;
    }
    return after(due, result);
}

/* Of those that may make a file. */
int openat(int directory, const char *name, int flags, ...)
{
    char path[PATH_MAX];
    mode_t mode = 0;
    bool due = false;
    if ((flags & O_CREAT) != 0) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
        path_at(directory, name, path);
        due = count("open", path);
    }
    return before(due) ? after(due, REAL(openat)(directory, name, flags, mode)) : -1;
}

int open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    return openat(AT_FDCWD, name, flags, mode);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    char path[PATH_MAX];
    path_at(to_directory, to, path);
    bool due = count("rename", path);
    return before(due) ? after(due, REAL(renameat)(from_directory, from, to_directory, to)) : -1;
}

int unlinkat(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    path_at(directory, name, path);
    bool due = count("unlink", path);
    return before(due) ? after(due, REAL(unlinkat)(directory, name, flags)) : -1;
}

int mkdir(const char *name, mode_t mode)
{
    bool due = count("mkdir", name);
    return before(due) ? after(due, REAL(mkdir)(name, mode)) : -1;
}

int mkdirat(int directory, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    path_at(directory, name, path);
    bool due = count("mkdir", path);
    return before(due) ? after(due, REAL(mkdirat)(directory, name, mode)) : -1;
}

/* The wall clock; that which only goes forward stays as it is. */

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int result = REAL(clock_gettime)(clock, ret_time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret_time->tv_sec += page->clock_s;
    }
    return result;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    int result = REAL(gettimeofday)(ret_time, zone);
    if (result == 0) {
        ret_time->tv_sec += page->clock_s;
    }
    return result;
}

time_t time(time_t *ret_time)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}
