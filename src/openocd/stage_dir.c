/* OpenOCD's own place for temporary files. */
#include "openocd/stage_dir.h"

#include <stdio.h>
#include <string.h>

#include "openocd/tcl.h"

/*
 * Finds a directory on OpenOCD's host in which it can create files, and answers with the template for them,
 * which holds OpenOCD's process id. What an OpenOCD that was killed in the middle of a command left there is
 * removed: files of processes that are no more, and of nobody else's last hour, for the process may be one of
 * another container; but at once where it is the one that this link spoke to before.
 */
void stage_dir_script(const char *dir, const char *template_before, struct strbuf *script)
{
    strbuf_append_text(
        script,
        "apply {{dirs o} {set n 0; catch {set n [pid]}; foreach d $dirs {set t $d/ocdmux-$n-XXXXXX;"
        "if {[catch {set p [file tempfile $t]; set f [open $p wb]; $f puts -nonewline ocdmux; $f close;"
        "file delete -force $p}]} {continue};"
        "catch {foreach f [glob -nocomplain $d/ocdmux-*-*] {"
        "if {[regexp {/ocdmux-([0-9]+)-[^/]*$} $f -> q] && ![file exists /proc/$q] &&"
        "([string match /ocdmux-$q-* $o] || [file mtime $f] < [clock seconds] - 3600)} {"
        "file delete -force $f}}};"
        "return $t}; return {}}} ");
    struct strbuf dirs = STRBUF_INIT;
    if (dir != NULL) {
        tcl_quote_text(&dirs, dir);
        /* A list of one element, quoted once more as a word. */
        strbuf_append_text(script, "[list ");
        strbuf_append(script, dirs.data, dirs.length);
        strbuf_append_byte(script, ']');
    } else {
        strbuf_append_text(script, "{/dev/shm /tmp}");
    }
    strbuf_fini(&dirs);
    const char *before = strrchr(template_before, '/');
    strbuf_append_byte(script, ' ');
    tcl_quote_text(script, before != NULL ? before : "");
}

bool stage_dir_take(const struct ocd_reply *reply, char *ret_template, size_t size)
{
    bool found = ocd_reply_ok(reply) && reply->result_length > 0 && reply->result_length < size;
    snprintf(ret_template, size, "%s", found ? reply->result : "");
    return found;
}
