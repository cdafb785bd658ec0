/* Whether OpenOCD and the daemon see the same directory. */
#include "openocd/share_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "openocd/tcl.h"

#define TEXT_LENGTH (SHARE_PROBE_TEXT_SIZE - 1u)

void share_probe_init(struct share_probe *probe, struct private_dir *dir)
{
    *probe = (struct share_probe){.dir = dir};
}

static bool random_text(char text[SHARE_PROBE_TEXT_SIZE], struct err *err)
{
    uint8_t bytes[TEXT_LENGTH / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return err_set(err, ERR_STAGE_ERROR, "no random bytes: %s", strerror(errno));
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

bool share_probe_start(struct share_probe *probe, struct err *err)
{
    share_probe_end(probe);
    bool ok = random_text(probe->question_text, err) && random_text(probe->answer_text, err) &&
              private_dir_create(probe->dir, (const uint8_t *)probe->question_text, TEXT_LENGTH,
                                 &probe->question, err) &&
              private_dir_create(probe->dir, NULL, 0, &probe->answer, err);
    if (!ok) {
        share_probe_end(probe);
    }
    return ok;
}

static void append_path(const struct share_probe *probe, const struct private_file *file,
                        struct strbuf *script)
{
    struct strbuf path = STRBUF_INIT;
    private_dir_append_path(probe->dir, file, &path);
    tcl_quote(script, path.data, path.length);
    strbuf_fini(&path);
}

/* Whatever stands there on another host must not make OpenOCD wait. */
void share_probe_read_script(const struct share_probe *probe, struct strbuf *script)
{
    strbuf_append_text(script, "apply {p {if {![file isfile $p]} {return {}};set f [open $p rb];"
                               "set d [$f read 100];$f close;return $d}} ");
    append_path(probe, &probe->question, script);
}

bool share_probe_was_read(const struct share_probe *probe, const struct ocd_reply *reply)
{
    return ocd_reply_ok(reply) && reply->result_length == TEXT_LENGTH &&
           memcmp(reply->result, probe->question_text, TEXT_LENGTH) == 0;
}

/* As OpenOCD's own commands write files, but into nothing that was not there. */
void share_probe_write_script(const struct share_probe *probe, struct strbuf *script)
{
    strbuf_append_text(script, "apply {{p d} {if {![file isfile $p]} {error {no file}};set f [open $p wb];"
                               "$f puts -nonewline $d;$f close}} ");
    append_path(probe, &probe->answer, script);
    strbuf_appendf(script, " %s", probe->answer_text);
}

bool share_probe_was_written(const struct share_probe *probe, const struct ocd_reply *reply)
{
    struct strbuf found = STRBUF_INIT;
    struct err err;
    err_reset(&err);
    bool same = ocd_reply_ok(reply) &&
                private_dir_read(probe->dir, &probe->answer, TEXT_LENGTH, &found, &err) &&
                found.length == TEXT_LENGTH && memcmp(found.data, probe->answer_text, TEXT_LENGTH) == 0;
    strbuf_fini(&found);
    return same;
}

void share_probe_end(struct share_probe *probe)
{
    if (probe->dir != NULL) {
        private_dir_remove(probe->dir, &probe->question);
        private_dir_remove(probe->dir, &probe->answer);
    }
}
