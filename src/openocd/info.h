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

struct ocd_target {
    char name[OCD_NAME_SIZE];
    char type[OCD_NAME_SIZE];
    char state[OCD_NAME_SIZE]; /* OpenOCD's word: "running", "halted", ... */
    bool big_endian;
    unsigned address_bits;            /* 32 or 64 */
    enum ocd_knowledge takes_width64; /* learned by the first access that tells */
};

struct ocd_info {
    char version[OCD_NAME_SIZE]; /* first line of `version` */
    struct ocd_target *targets;
    size_t target_count;
    size_t current_target; /* index; target_count if there are no targets */
    struct ocd_bank *banks;
    size_t bank_count;
    char stage_template[OCD_NAME_SIZE]; /* for `file tempfile` on OpenOCD's host; "" if no directory there
                                           works */
};

void ocd_info_fini(struct ocd_info *info);
/* NULL if there is none; an empty name means the current target. */
struct ocd_target *ocd_info_find_target(const struct ocd_info *info, const char *name);
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
