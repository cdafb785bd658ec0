/*
 * Wrapping scripts. The bytes of a file are arguments of their own, which nobody parses but once. `return
 * -code` inside a procedure makes the call end with that code, so that the script's own survives the cleaning
 * up.
 */
#include "board/wrap.h"

#include <inttypes.h>
#include <string.h>

#include "openocd/tcl.h"
#include "ops/script.h"

#define CODE_TEXT_OF(code) #code
#define CODE_TEXT(code) CODE_TEXT_OF(code)
#define CODE_FILE CODE_TEXT(WRAP_CODE_FILE)
/* Each `catch` resets errorCode, where OpenOCD after 0.12 has its own code. */
#define KEEP_CODE ";catch {set ::errorCode $e};return -code $c $r"

/* Closing tells no errors in Jim Tcl 0.81: what was written is counted. */
static const char put_begin[] =
    "set c [catch {set p [file tempfile $m];set f [open $p wb];foreach d $args {$f puts -nonewline $d};"
    "$f close;if {[file size $p] != $n} {error {it is cut short}}} r];"
    "if {$c} {catch {$f close};set c " CODE_FILE "} else {";
static const char put_end[] = "};catch {file delete -force $p}" KEEP_CODE;

static const char get_begin[] = "if {[catch {set p [file tempfile $m]} r]} {return -code " CODE_FILE " $r};";
static const char get_end[] =
    ";if {($c == 0 || $c == 2) && [catch {set f [open $p rb];set r [$f read];set d [$f close];set r} r]} {"
    "catch {$f close};set c " CODE_FILE "};catch {file delete -force $p}" KEEP_CODE;

static const char shared_begin[] =
    "if {[catch {file size $m} r] || $r != $n || ![file readable $m] || ![file writable $m]} {"
    "return -code " CODE_FILE " {it does not see the file that it was given}};set p $m;";
static const char shared_end[] = KEEP_CODE;

/* The name of the current target that has to be put back; "" if it need not. */
static const char *target_to_restore(const struct ocd_info *info, const struct op_command *command)
{
    if (command->current_target == NULL) {
        return "";
    }
    const char *before =
        info->current_target < info->target_count ? info->targets[info->current_target].name : "";
    return strcmp(before, command->current_target) == 0 ? "" : before;
}

static bool must_switch(const struct ocd_info *info, const struct op_command *command)
{
    if (command->current_target == NULL) {
        return false;
    }
    return info->current_target >= info->target_count ||
           strcmp(info->targets[info->current_target].name, command->current_target) != 0;
}

/* Runs the script, which leaves its code in `c` and its result in `r`. */
static void append_run(struct strbuf *out, const struct ocd_info *info, const struct op_command *command)
{
    if (!must_switch(info, command)) {
        strbuf_append_text(out, "set c [catch $s r];set e $::errorCode");
        return;
    }
    strbuf_append_text(out, "set c [catch {targets $t;eval $s} r];set e $::errorCode");
    if (target_to_restore(info, command)[0] != '\0') {
        strbuf_append_text(out, ";catch {targets $b}");
    }
}

static void append_words(struct strbuf *out, const struct ocd_info *info, const struct op_command *command,
                         const char *path)
{
    strbuf_append_text(out, "}} ");
    tcl_quote_text(out, command->current_target != NULL ? command->current_target : "");
    strbuf_append_byte(out, ' ');
    tcl_quote_text(out, target_to_restore(info, command));
    strbuf_append_byte(out, ' ');
    tcl_quote_text(out, path);
    strbuf_append_byte(out, ' ');
    tcl_quote(out, strbuf_text(&command->script), command->script.length);
}

static void wrap_link(struct strbuf *out, struct envelope_data *ret_data, const struct ocd_info *info,
                      const struct op_command *command)
{
    bool put = command->file == OP_FILE_PUT;
    strbuf_append_text(out, put ? "apply {{t b m s n args} {" : "apply {{t b m s} {");
    strbuf_append_text(out, put ? put_begin : get_begin);
    append_run(out, info, command);
    strbuf_append_text(out, put ? put_end : get_end);
    append_words(out, info, command, info->stage_template);
    if (put) {
        strbuf_appendf(out, " %" PRIu64, command->file_size);
        *ret_data = (struct envelope_data){.bytes = command->file_bytes, .size = command->file_size};
    }
}

static void wrap_shared(struct strbuf *out, const struct ocd_info *info, const struct op_command *command,
                        const char *path)
{
    strbuf_append_text(out, "apply {{t b m s n} {");
    strbuf_append_text(out, shared_begin);
    append_run(out, info, command);
    strbuf_append_text(out, shared_end);
    append_words(out, info, command, path);
    strbuf_appendf(out, " %" PRIu64, command->file == OP_FILE_PUT ? command->file_size : 0);
}

void wrap_command(struct strbuf *out, struct envelope_data *ret_data, const struct ocd_info *info,
                  const struct op_command *command, const char *shared_path)
{
    *ret_data = (struct envelope_data){.size = 0};
    if (command->file != OP_FILE_NONE && shared_path != NULL) {
        wrap_shared(out, info, command, shared_path);
    } else if (command->file != OP_FILE_NONE) {
        wrap_link(out, ret_data, info, command);
    } else if (command->current_target != NULL) {
        script_on_target(out, info, command->current_target, strbuf_text(&command->script));
    } else {
        strbuf_append(out, command->script.data, command->script.length);
    }
}
