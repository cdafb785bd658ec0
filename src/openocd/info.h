/*
 * What the handshake learned of an OpenOCD and its board. One owner: the link, which fills it anew at each
 * handshake.
 */
#ifndef OCDMUX_OPENOCD_INFO_H
#define OCDMUX_OPENOCD_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "openocd/parse.h"

enum ocd_knowledge { OCD_UNKNOWN, OCD_YES, OCD_NO };

/* How a file for one command gets to OpenOCD and back. */
enum ocd_files {
    OCD_FILES_NONE,   /* not at all: it finds no place for one */
    OCD_FILES_LINK,   /* through the link, into a file that it makes by `stage_template` */
    OCD_FILES_SHARED, /* through a directory that both see */
};

struct ocd_target {
    char name[OCD_NAME_SIZE];
    char type[OCD_NAME_SIZE];
    char state[OCD_NAME_SIZE];    /* OpenOCD's word: "running", "halted", ... */
    char gdb_port[OCD_NAME_SIZE]; /* `cget -gdb-port`: a number, "disabled", "undefined", "pipe", ...; "" if
                                   * OpenOCD does not say */
    bool big_endian;
    unsigned address_bits; /* 32 or 64 */
    bool missing; /* OpenOCD does not find it, although its TAP is on and nobody deferred the look at it */
    enum ocd_knowledge takes_width64; /* learned by the first access that tells */
};

struct ocd_info {
    char version[OCD_NAME_SIZE]; /* first line of `version` */
    struct ocd_target *targets;
    size_t target_count;
    size_t current_target; /* index; target_count if there are no targets */
    struct ocd_bank *banks;
    size_t bank_count;
    enum ocd_files files;
    char stage_template[OCD_NAME_SIZE]; /* for `file tempfile` on OpenOCD's host; "" if no directory there
                                           works */
};

/* As in the protocol: "none", "link", "shared". */
const char *ocd_files_name(enum ocd_files files);

void ocd_info_fini(struct ocd_info *info);
/* NULL if there is none; an empty name means the current target. */
struct ocd_target *ocd_info_find_target(const struct ocd_info *info, const char *name);
/* The first that is missing; NULL if none is. */
const struct ocd_target *ocd_info_missing_target(const struct ocd_info *info);
/* The highest address of a target. */
uint64_t ocd_target_last_address(const struct ocd_target *target);

/*
 * Reads the answer of the survey script (ocd_info_survey_script): targets with types, byte orders and states,
 * banks. What a target had learned by itself is kept where a target of the same name and type was there
 * before.
 */
void ocd_info_survey_script(struct strbuf *script);
bool ocd_info_read_survey(struct ocd_info *info, const char *text, size_t length, struct err *err)
    __attribute__((warn_unused_result));

#endif
