/* Tcl text: quoting any bytes as one word, and reading Tcl lists (Tcl(n), rules of list syntax). Pure. */
#ifndef OCDMUX_OPENOCD_TCL_H
#define OCDMUX_OPENOCD_TCL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/*
 * Appends `length` bytes as exactly one double-quoted word that every OpenOCD from 0.10 on reads back
 * unchanged: a backslash before backslash, quote, bracket and dollar; NUL and 0x1a as \x00 and \x1a; the rest
 * raw.
 */
void tcl_quote(struct strbuf *out, const char *bytes, size_t length);
void tcl_quote_text(struct strbuf *out, const char *text);

/* A list that is being read; `text` stays the caller's and must outlive it. */
struct tcl_list {
    const char *text;
    size_t length;
    size_t position;
};

void tcl_list_init(struct tcl_list *list, const char *text, size_t length);
enum tcl_list_step { TCL_LIST_ELEMENT, TCL_LIST_END, TCL_LIST_BROKEN };
/*
 * The next element, with backslashes and braces resolved, replaces what `element` held; TCL_LIST_END and
 * TCL_LIST_BROKEN leave it empty. A list that is broken stays so: further calls say it again.
 */
enum tcl_list_step tcl_list_next(struct tcl_list *list, struct strbuf *element);

/*
 * The value of `key` in a list of key-value pairs ("name vb.flash base 134217728 ...") replaces what
 * `ret_value` held; of a key that is there twice, the last, as in Tcl. False, with `ret_value` untouched, if
 * the key is missing, the list is broken, or its last key has no value.
 */
bool tcl_dict_get(const char *text, size_t length, const char *key, struct strbuf *ret_value)
    __attribute__((warn_unused_result));

#endif
