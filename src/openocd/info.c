/* What is known of a board, and the script that asks for it. */
#include "openocd/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"

#define MAX_TARGETS 256u

const char *ocd_files_name(enum ocd_files files)
{
    switch (files) {
    case OCD_FILES_NONE:
        return "none";
    case OCD_FILES_LINK:
        return "link";
    case OCD_FILES_SHARED:
        return "shared";
    }
    return "none";
}

void ocd_info_fini(struct ocd_info *info)
{
    free(info->targets);
    free(info->banks);
    memset(info, 0, sizeof *info);
}

struct ocd_target *ocd_info_find_target(const struct ocd_info *info, const char *name)
{
    if (name[0] == '\0') {
        return info->current_target < info->target_count ? &info->targets[info->current_target] : NULL;
    }
    for (size_t i = 0; i < info->target_count; i++) {
        if (strcmp(info->targets[i].name, name) == 0) {
            return &info->targets[i];
        }
    }
    return NULL;
}

const struct ocd_target *ocd_info_missing_target(const struct ocd_info *info)
{
    for (size_t i = 0; i < info->target_count; i++) {
        if (info->targets[i].missing) {
            return &info->targets[i];
        }
    }
    return NULL;
}

uint64_t ocd_target_last_address(const struct ocd_target *target)
{
    return target->address_bits == 64 ? UINT64_MAX : UINT32_MAX;
}

/*
 * One script, so that the survey costs one target poll. `reg` without a name only lists what OpenOCD has
 * cached: it touches no target, and the size of the program counter tells how wide addresses are. It works on
 * the current target, which is put back afterwards. OpenOCD after 0.12 polls a target only when that is due,
 * and does not know the state of one that it has just found: that is asked for here.
 */
void ocd_info_survey_script(struct strbuf *script)
{
    strbuf_append_text(
        script,
        "apply {{} {set r {}; set cur {}; catch {set cur [target current]}; foreach t [target names] {"
        "set regs {}; catch {targets $t; set regs [reg]}; set bits {};"
        "regexp {\\) (?:pc|rip|eip|r15) \\(/([0-9]+)\\)} $regs -> bits;"
        "set endian little; catch {set endian [$t cget -endian]};"
        "set gdb {}; catch {set gdb [$t cget -gdb-port]};"
        "set state [$t curstate]; set on 1;"
        "if {$state eq {unknown}} {catch {if {[$t was_examined]} {$t arp_poll; set state [$t curstate]}}};"
        "if {$state eq {unknown} || $state eq {reset}} {"
        "catch {set on [jtag tapisenabled [$t cget -chain-position]]}};"
        "if {$state eq {reset}} {catch {if {[$t was_examined]} {set on 0}}};"
        "lappend r [list $t [$t cget -type] $endian $state $bits $gdb $on]};"
        "if {$cur ne {}} {targets $cur}; list $cur $r [flash list]}}");
}

/* Where the register list does not tell, the type does: these have 64-bit addresses. */
static unsigned address_bits_of(const char *type, const char *pc_bits)
{
    static const char *const wide[] = {"aarch64", "mips_mips64", "mips64", "riscv"};
    if (pc_bits[0] != '\0') {
        return strcmp(pc_bits, "64") == 0 ? 64 : 32;
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        if (strcmp(type, wide[i]) == 0) {
            return 64;
        }
    }
    return 32;
}

static bool take_word(struct tcl_list *list, struct strbuf *word, char *out, size_t size)
{
    if (tcl_list_next(list, word) != TCL_LIST_ELEMENT || word->length >= size) {
        return false;
    }
    memcpy(out, strbuf_text(word), word->length + 1);
    return true;
}

/* No reason to refuse a target: whatever it is, gdb can only be told so. */
static void take_gdb_port(struct tcl_list *list, struct strbuf *word, char port[OCD_NAME_SIZE])
{
    if (tcl_list_next(list, word) == TCL_LIST_ELEMENT) {
        snprintf(port, OCD_NAME_SIZE, "%s", strbuf_text(word));
    }
}

/* OpenOCD 0.12 does not look again, either, for a target that it did not find in a reset, and calls it reset.
 */
static bool may_be_missing(const char *state)
{
    return strcmp(state, "unknown") == 0 || strcmp(state, "reset") == 0;
}

static bool read_target(const char *text, size_t length, const struct ocd_info *before,
                        struct ocd_target *target)
{
    struct tcl_list list;
    struct strbuf word = STRBUF_INIT;
    char endian[16];
    char bits[16];
    char on[16] = "1";

    memset(target, 0, sizeof *target);
    tcl_list_init(&list, text, length);
    bool ok = take_word(&list, &word, target->name, sizeof target->name) &&
              take_word(&list, &word, target->type, sizeof target->type) &&
              take_word(&list, &word, endian, sizeof endian) &&
              take_word(&list, &word, target->state, sizeof target->state) &&
              take_word(&list, &word, bits, sizeof bits);
    if (ok) {
        take_gdb_port(&list, &word, target->gdb_port);
    }
    bool told = ok && take_word(&list, &word, on, sizeof on);
    strbuf_fini(&word);
    if (!ok || target->name[0] == '\0' || target->type[0] == '\0' || target->state[0] == '\0') {
        return false;
    }
    target->missing = told && strcmp(on, "1") == 0 && may_be_missing(target->state);
    target->big_endian = strcmp(endian, "big") == 0;
    target->address_bits = address_bits_of(target->type, bits);
    const struct ocd_target *old = ocd_info_find_target(before, target->name);
    if (old != NULL && strcmp(old->type, target->type) == 0) {
        target->takes_width64 = old->takes_width64;
    }
    return true;
}

static bool read_targets(const struct strbuf *text, const struct ocd_info *before,
                         struct ocd_target **ret_targets, size_t *ret_count)
{
    struct ocd_target *targets = xcalloc(MAX_TARGETS, sizeof *targets);
    struct strbuf element = STRBUF_INIT;
    struct tcl_list list;
    enum tcl_list_step step;
    size_t count = 0;

    tcl_list_init(&list, strbuf_text(text), text->length);
    while ((step = tcl_list_next(&list, &element)) == TCL_LIST_ELEMENT) {
        if (count == MAX_TARGETS ||
            !read_target(strbuf_text(&element), element.length, before, &targets[count])) {
            step = TCL_LIST_BROKEN;
            break;
        }
        count++;
    }
    strbuf_fini(&element);
    if (step == TCL_LIST_BROKEN) {
        free(targets);
        return false;
    }
    *ret_targets = targets;
    *ret_count = count;
    return true;
}

bool ocd_info_read_survey(struct ocd_info *info, const char *text, size_t length, struct err *err)
{
    struct tcl_list list;
    struct strbuf current = STRBUF_INIT;
    struct strbuf rows = STRBUF_INIT;
    struct strbuf banks_text = STRBUF_INIT;
    struct ocd_target *targets = NULL;
    struct ocd_bank *banks = NULL;
    size_t target_count = 0;
    size_t bank_count = 0;
    bool ok = false;

    tcl_list_init(&list, text, length);
    if (tcl_list_next(&list, &current) != TCL_LIST_ELEMENT ||
        tcl_list_next(&list, &rows) != TCL_LIST_ELEMENT ||
        tcl_list_next(&list, &banks_text) != TCL_LIST_ELEMENT ||
        !read_targets(&rows, info, &targets, &target_count)) {
        err_set(err, ERR_OPENOCD_ERROR, "OpenOCD's list of targets cannot be read");
        goto out;
    }
    if (!ocd_parse_flash_list(strbuf_text(&banks_text), banks_text.length, &banks, &bank_count, err)) {
        free(targets);
        goto out;
    }
    free(info->targets);
    free(info->banks);
    info->targets = targets;
    info->target_count = target_count;
    info->banks = banks;
    info->bank_count = bank_count;
    info->current_target = target_count;
    for (size_t i = 0; i < target_count; i++) {
        if (strcmp(targets[i].name, strbuf_text(&current)) == 0) {
            info->current_target = i;
        }
    }
    ok = true;
out:
    strbuf_fini(&current);
    strbuf_fini(&rows);
    strbuf_fini(&banks_text);
    return ok;
}
