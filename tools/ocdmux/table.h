/* Rows and columns on standard output, each column as wide as its widest cell. */
#ifndef OCDMUX_TOOL_TABLE_H
#define OCDMUX_TOOL_TABLE_H

#include <stddef.h>

#define TABLE_COLUMNS_MAX 10u

struct table {
    size_t columns;
    size_t cell_count;
    char **cells; /* owned, and so is each; row by row, the header first */
};

/* `header` are `columns` names; a name that starts with '>' (which is not shown) aligns its column to the
 * right. */
void table_init(struct table *table, size_t columns, const char *const *header);
void table_fini(struct table *table);
/* Adds the next cell; the text is escaped. NULL is shown as "-". */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table);

#endif
