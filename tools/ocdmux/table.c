/* Aligned tables. */
#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "color.h"
#include "print.h"

void table_init(struct table *table, size_t columns, const char *const *header)
{
    assert(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns};
    for (size_t i = 0; i < columns; i++) {
        table_add(table, header[i]);
    }
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
}

void table_add(struct table *table, const char *text)
{
    struct strbuf cell = STRBUF_INIT;
    text = text == NULL || text[0] == '\0' ? "-" : text;
    print_escape(&cell, text, strlen(text), true);
    table->cells = xrealloc(table->cells, (table->cell_count + 1) * sizeof(*table->cells));
    table->cells[table->cell_count++] = strbuf_steal(&cell);
}

void table_addf(struct table *table, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list values;
    va_start(values, format);
    strbuf_appendv(&text, format, values);
    va_end(values);
    table_add(table, strbuf_text(&text));
    strbuf_fini(&text);
}

/* Characters, not bytes. */
static size_t table_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

static void table_print_cell(const char *text, size_t width, bool right, bool last, enum color color)
{
    size_t own = table_width(text);
    int padding = (int)(width > own ? width - own : 0);
    printf("%*s", right ? padding : 0, "");
    color_begin(stdout, color);
    fputs(text, stdout);
    color_end(stdout, color);
    printf("%*s%s", right || last ? 0 : padding, "", last ? "\n" : "  ");
}

/* Headings are bold, and words that say how something is have their colour. */
static enum color table_color(const struct table *table, size_t cell)
{
    const char *heading = table->cells[cell % table->columns];
    if (cell < table->columns) {
        return COLOR_BOLD;
    }
    bool state = strcmp(heading, "state") == 0 || strcmp(heading, "link") == 0;
    return state ? color_of_state(table->cells[cell]) : COLOR_NONE;
}

void table_print(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    bool right[TABLE_COLUMNS_MAX];
    for (size_t column = 0; column < table->columns; column++) {
        right[column] = table->cells[column][0] == '>';
        for (size_t i = column; i < table->cell_count; i += table->columns) {
            size_t width = table_width(table->cells[i]) - (i == column && right[column] ? 1 : 0);
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->columns;
        const char *text = table->cells[i] + (i < table->columns && right[column] ? 1 : 0);
        table_print_cell(text, widths[column], right[column], column == table->columns - 1,
                         table_color(table, i));
    }
}
