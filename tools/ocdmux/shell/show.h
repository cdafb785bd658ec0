/*
 * Values and strings as gdb's print and x show them. Nothing of what the target holds reaches the output
 * raw: whatever is not printable ASCII is an escape. Pure.
 */
#ifndef OCDMUX_SHELL_SHOW_H
#define OCDMUX_SHELL_SHOW_H

#include "shell/value.h"

/* gdb's `print elements` and `print repeats`. */
#define SHOW_ELEMENTS_MAX 200u
#define SHOW_REPEATS_MAX 10u

/* Whether there is such a format; 0, which is none, is one. */
bool show_is_format(char format);

/*
 * Appends a value as `print/FORMAT` shows it, 0 for plain `print`. Reads arrays, and the strings that plain
 * pointers to chars point to.
 */
bool show_value(const struct value_access *access, const struct value *value, char format, struct strbuf *out,
                struct err *err) __attribute__((warn_unused_result));

/* Appends one unit as `x/FORMAT` shows it: the same, and padded where x pads. `value` is no array. */
void show_unit(const struct value_access *access, const struct value *value, char format, struct strbuf *out);

/*
 * Appends `count` characters of `width` bytes (1, 2 or 4) as a quoted string: runs as `'x' <repeats N
 * times>`, and "..." where `cut` says that there is more, or where it is too long to show. A NUL at its end
 * is not shown.
 */
void show_string(const struct machine *machine, const uint8_t *bytes, size_t count, unsigned width, bool cut,
                 struct strbuf *out);

/*
 * Reads the string at `address` and appends it, with the prefix of its width, "", "u" or "U". `ret_length`
 * is how many characters of it were read, its NUL included.
 */
bool show_string_at(const struct value_access *access, uint64_t address, unsigned width, uint64_t *ret_length,
                    struct strbuf *out, struct err *err) __attribute__((warn_unused_result));

#endif
