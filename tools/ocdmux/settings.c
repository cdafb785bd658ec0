/* Finding the configuration, and who may read it. */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "print.h"

static bool settings_complain(const char *path, const char *separator, const char *reason)
{
    fputs("ocdmux: ", stderr);
    print_field(stderr, path);
    fputs(separator, stderr);
    print_field(stderr, reason);
    fputc('\n', stderr);
    return false;
}

/* Whether nobody but the user and root can write it, or, where it is secret, read it. */
static bool settings_check_owner(const char *path, const struct stat *status, bool is_secret)
{
    if (!S_ISREG(status->st_mode)) {
        /* A pipe of the user's own shell has no permissions that say anything. */
        return is_secret && S_ISFIFO(status->st_mode) ? true : settings_complain(path, ": ", "is no file");
    }
    if (status->st_uid != getuid() && status->st_uid != 0) {
        return settings_complain(path, ": ", "belongs to somebody else");
    }
    if ((status->st_mode & 022) != 0) {
        return settings_complain(path, ": ", "can be written by others: chmod go-w it");
    }
    if (is_secret && (status->st_mode & 077) != 0) {
        return settings_complain(path, ": ", "holds a token and can be read by others: chmod 600 it");
    }
    return true;
}

/* All of the file, up to `most` bytes. */
static bool settings_read_file(int fd, const char *path, size_t most, struct strbuf *out)
{
    for (;;) {
        char *place = strbuf_extend(out, 4096);
        ssize_t got = read(fd, place, 4096);
        strbuf_truncate(out, out->length - 4096 + (got > 0 ? (size_t)got : 0));
        if (got < 0 && errno != EINTR) {
            return settings_complain(path, ": ", strerror(errno));
        }
        if (out->length > most) {
            return settings_complain(path, ": ", "is too large");
        }
        if (got == 0) {
            return true;
        }
    }
}

/* --- tokens --- */

bool settings_load_token(const char *path)
{
    struct strbuf text = STRBUF_INIT;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return settings_complain(path, ": ", strerror(errno));
    }
    bool good = fstat(fd, &status) == 0 && settings_check_owner(path, &status, true) &&
                settings_read_file(fd, path, SETTINGS_TOKEN_MAX, &text);
    close(fd);
    while (text.length > 0 && strchr(" \t\r\n", text.data[text.length - 1]) != NULL) {
        strbuf_truncate(&text, text.length - 1);
    }
    if (good && (text.length == 0 || strcspn(strbuf_text(&text), " \t\r\n") != text.length)) {
        good = settings_complain(path, ": ", "holds no token: one word on one line");
    }
    good = good && setenv("OCDMUX_TOKEN", strbuf_text(&text), 1) == 0;
    strbuf_fini(&text);
    return good;
}

/* --- the configuration --- */

/* NULL: none is looked for. */
static const char *settings_find_file(struct strbuf *path, bool *ret_must_be_there)
{
    const char *given = getenv("OCDMUX_CONFIG");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    *ret_must_be_there = given != NULL;
    if (given != NULL) {
        strbuf_append_text(path, given);
    } else if (config != NULL && config[0] == '/') {
        strbuf_appendf(path, "%s/ocdmux/config", config);
    } else if (home != NULL && home[0] == '/') {
        strbuf_appendf(path, "%s/.config/ocdmux/config", home);
    }
    return path->length == 0 ? NULL : strbuf_text(path);
}

struct settings_found {
    bool has_secret;
    bool export;
};

static void settings_take(void *arg, const struct setting *setting, const char *value)
{
    struct settings_found *found = arg;
    found->has_secret = found->has_secret || setting->is_secret;
    /* An empty variable is none, as everywhere. */
    const char *present = getenv(setting->variable);
    if (found->export && (present == NULL || present[0] == '\0')) {
        (void)setenv(setting->variable, value, 1);
    }
}

/* A token in the environment, by value or by file, keeps that of the configuration out. */
static void settings_take_guarded(void *arg, const struct setting *setting, const char *value)
{
    const char *token = getenv("OCDMUX_TOKEN");
    const char *file = getenv("OCDMUX_TOKEN_FILE");
    bool given = (token != NULL && token[0] != '\0') || (file != NULL && file[0] != '\0');
    bool about_token = strncmp(setting->key, "token", strlen("token")) == 0;
    if (!about_token || !given) {
        settings_take(arg, setting, value);
    }
}

static bool settings_load_text(const char *path, const struct stat *status, const struct strbuf *text)
{
    struct err err;
    struct settings_found found = {.export = false};
    if (!settings_read(strbuf_text(text), text->length, settings_take, &found, &err)) {
        return settings_complain(path, ":", err.message);
    }
    if (!settings_check_owner(path, status, found.has_secret)) {
        return false;
    }
    found.export = true;
    return settings_read(strbuf_text(text), text->length, settings_take_guarded, &found, &err);
}

bool settings_load(void)
{
    struct strbuf path = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    struct stat status;
    bool must_be_there;
    bool good = true;
    const char *name = settings_find_file(&path, &must_be_there);
    int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        good = fstat(fd, &status) == 0 && settings_check_owner(name, &status, false) &&
               settings_read_file(fd, name, SETTINGS_MAX_BYTES, &text) &&
               settings_load_text(name, &status, &text);
        close(fd);
    } else if (name != NULL) {
        /* In somebody else's home there is nothing to look for. */
        int reason = errno;
        good = !must_be_there && stat(name, &status) != 0 ? true
                                                          : settings_complain(name, ": ", strerror(reason));
    }
    strbuf_fini(&path);
    strbuf_fini(&text);
    return good;
}
