/*
 * The proof that OpenOCD sees a directory of the daemon's, as part of the handshake: it must read back random
 * bytes that the daemon wrote there, and the daemon random bytes that it wrote. A directory of the same name
 * on another host holds others. Scripts and replies only; the link sends them.
 */
#ifndef OCDMUX_OPENOCD_SHARE_PROBE_H
#define OCDMUX_OPENOCD_SHARE_PROBE_H

#include <stdbool.h>

#include "base/private_dir.h"
#include "base/strbuf.h"
#include "openocd/envelope.h"

/* 64 hexadecimal digits and a NUL. */
#define SHARE_PROBE_TEXT_SIZE 65

struct share_probe {
    struct private_dir *dir; /* its owner's; NULL: there is none, and nothing is proven */
    struct private_file question;
    struct private_file answer;
    char question_text[SHARE_PROBE_TEXT_SIZE];
    char answer_text[SHARE_PROBE_TEXT_SIZE];
};

void share_probe_init(struct share_probe *probe, struct private_dir *dir);
/* Makes the files; those of an earlier try are removed. Fails with stage_error. */
bool share_probe_start(struct share_probe *probe, struct err *err) __attribute__((warn_unused_result));
/* First: what the question holds. */
void share_probe_read_script(const struct share_probe *probe, struct strbuf *script);
bool share_probe_was_read(const struct share_probe *probe, const struct ocd_reply *reply);
/* Then, only where it was read, so that nothing is written into a stranger's file. */
void share_probe_write_script(const struct share_probe *probe, struct strbuf *script);
bool share_probe_was_written(const struct share_probe *probe, const struct ocd_reply *reply);
/* Removes the files. */
void share_probe_end(struct share_probe *probe);

#endif
