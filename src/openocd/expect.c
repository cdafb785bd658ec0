/* What the board is asked, and what it must answer. */
#include "openocd/expect.h"

#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "openocd/tcl.h"

#define LEAD "the board is not shown to be the one that is expected: "

/* One answer: {IDCODE...} CODE TEXT. A chain without TAPs (SWD) has no such command, or none to tell. */
void ocd_expect_script(const struct ocd_expect *expect, struct strbuf *script)
{
    strbuf_append_text(script, "apply {s {set ids {}; catch {foreach t [jtag names] {"
                               "lappend ids [format 0x%08x [expr {[jtag cget $t -idcode] & 0xffffffff}]]}};"
                               "set c [catch {uplevel #0 $s} r]; list $ids $c $r}} ");
    tcl_quote_text(script, expect->command != NULL ? expect->command : "");
}

static bool has_idcode(const struct strbuf *idcodes, uint32_t wanted)
{
    struct strbuf word = STRBUF_INIT;
    struct tcl_list list;
    bool found = false;
    tcl_list_init(&list, strbuf_text(idcodes), idcodes->length);
    while (!found && tcl_list_next(&list, &word) == TCL_LIST_ELEMENT) {
        found = strtoul(strbuf_text(&word), NULL, 16) == wanted;
    }
    strbuf_fini(&word);
    return found;
}

static bool idcodes_are_met(const struct ocd_expect *expect, const struct strbuf *idcodes, struct err *err)
{
    for (size_t i = 0; i < expect->idcode_count; i++) {
        if (!has_idcode(idcodes, expect->idcodes[i])) {
            return err_set(err, ERR_OPENOCD_ERROR,
                           LEAD "no TAP has the IDCODE 0x%08" PRIx32 ", there is %.100s", expect->idcodes[i],
                           idcodes->length > 0 ? strbuf_text(idcodes) : "none");
        }
    }
    return true;
}

static bool command_is_met(const struct ocd_expect *expect, bool worked, const struct ocd_reply *reply,
                           struct strbuf *text, struct err *err)
{
    if (!worked && text->length == 0) {
        strbuf_append(text, reply->log, reply->log_length); /* where OpenOCD says why something failed */
    }
    while (text->length > 0 && isspace((unsigned char)text->data[text->length - 1])) {
        strbuf_truncate(text, text->length - 1);
    }
    if (expect->command == NULL) {
        return true;
    }
    if (!worked) {
        return err_set(err, ERR_OPENOCD_ERROR, LEAD "\"%.60s\" fails: %.100s", expect->command,
                       text->length > 0 ? strbuf_text(text) : "no reason is given");
    }
    return fnmatch(expect->matches, strbuf_text(text), 0) == 0 ||
           err_set(err, ERR_OPENOCD_ERROR, LEAD "\"%.60s\" says \"%.60s\", not \"%.60s\"", expect->command,
                   strbuf_text(text), expect->matches);
}

bool ocd_expect_is_met(const struct ocd_expect *expect, const struct ocd_reply *reply, struct err *err)
{
    struct strbuf idcodes = STRBUF_INIT;
    struct strbuf code = STRBUF_INIT;
    struct strbuf text = STRBUF_INIT;
    struct tcl_list list;
    tcl_list_init(&list, reply->result, reply->result_length);
    bool ok = ocd_reply_ok(reply) && tcl_list_next(&list, &idcodes) == TCL_LIST_ELEMENT &&
              tcl_list_next(&list, &code) == TCL_LIST_ELEMENT &&
              tcl_list_next(&list, &text) == TCL_LIST_ELEMENT;
    if (!ok) {
        err_set(err, ERR_OPENOCD_ERROR, LEAD "OpenOCD does not answer as it should");
    }
    ok = ok && idcodes_are_met(expect, &idcodes, err) &&
         command_is_met(expect, strcmp(strbuf_text(&code), "0") == 0, reply, &text, err);
    strbuf_fini(&idcodes);
    strbuf_fini(&code);
    strbuf_fini(&text);
    return ok;
}
