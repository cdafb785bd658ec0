/* Ranges and tables of sectors. */
#include "sectors.h"

#include <inttypes.h>
#include <string.h>

#include "base/strbuf.h"
#include "fields.h"
#include "table.h"

bool sectors_take(const struct arguments *arguments, const char *text, uint64_t *ret_first,
                  uint64_t *ret_last)
{
    uint64_t first;
    uint64_t last;
    const char *dash = strchr(text, '-');
    struct strbuf head = STRBUF_INIT;
    strbuf_append(&head, text, dash == NULL ? strlen(text) : (size_t)(dash - text));
    bool good = number_parse(strbuf_text(&head), NUMBER_PLAIN, &first) &&
                number_parse(dash == NULL ? strbuf_text(&head) : dash + 1, NUMBER_PLAIN, &last);
    strbuf_fini(&head);
    if (!good) {
        return options_complain(arguments, "sectors are FIRST or FIRST-LAST, not '%s'", text);
    }
    if (last > SECTORS_MAX || first > last) {
        return options_complain(arguments, "sectors are from 0 to %u, the first before the last, not '%s'",
                                SECTORS_MAX, text);
    }
    *ret_first = first;
    *ret_last = last;
    return true;
}

/* One row: `count` of them that follow each other. */
struct sectors_run {
    const cJSON *first;
    uint64_t count;
    bool readable; /* the next three */
    uint64_t index;
    uint64_t offset;
    uint64_t size;
    const char *protection;
};

static const char *sectors_protection(const cJSON *block)
{
    const cJSON *protected = field_get(block, "protected");
    if (!cJSON_IsBool(protected)) {
        return "unknown";
    }
    return cJSON_IsTrue(protected) ? "yes" : "no";
}

static struct sectors_run sectors_read(const cJSON *block)
{
    struct sectors_run run = {.first = block, .count = 1, .protection = sectors_protection(block)};
    run.readable = field_u64(block, "index", &run.index) && field_u64(block, "offset", &run.offset) &&
                   field_u64(block, "size", &run.size);
    return run;
}

/* Adds `next` to the run, if it is more of the same. */
static bool sectors_extend(struct sectors_run *run, const struct sectors_run *next)
{
    bool same = run->readable && next->readable && next->size == run->size && run->size > 0 &&
                next->index == run->index + run->count &&
                next->offset == run->offset + run->size * run->count &&
                strcmp(next->protection, run->protection) == 0;
    run->count += same ? 1 : 0;
    return same;
}

static void sectors_add_row(struct table *table, const struct sectors_view *view,
                            const struct sectors_run *run)
{
    char text[24];
    uint64_t offset = 0;
    field_format_number(run->first, "index", text);
    if (run->count > 1) {
        table_addf(table, "%s-%" PRIu64, text, run->index + run->count - 1);
    } else {
        table_add(table, text);
    }
    if (view->has_base && field_u64(run->first, "offset", &offset)) {
        table_addf(table, "0x%08" PRIx64, view->base + offset);
    } else if (view->has_base) {
        table_add(table, "-");
    }
    field_format_number(run->first, "offset", text);
    table_add(table, text);
    field_format_number(run->first, "size", text);
    if (run->count > 1) {
        table_addf(table, "%" PRIu64 " x %s", run->count, text);
    } else {
        table_add(table, text);
    }
    table_add(table, run->protection);
}

void sectors_print(const struct sectors_view *view, const cJSON *blocks)
{
    const char *with_address[] = {view->name, "address", ">offset", ">size", "protected"};
    const char *without[] = {view->name, ">offset", ">size", "protected"};
    const cJSON *block = NULL;
    struct sectors_run run = {.count = 0};
    struct table table;
    table_init(&table, view->has_base ? 5 : 4, view->has_base ? with_address : without);
    cJSON_ArrayForEach(block, blocks)
    {
        struct sectors_run next = sectors_read(block);
        if (view->join && run.count > 0 && sectors_extend(&run, &next)) {
            continue;
        }
        if (run.count > 0) {
            sectors_add_row(&table, view, &run);
        }
        run = next;
    }
    if (run.count > 0) {
        sectors_add_row(&table, view, &run);
    }
    table_print(&table);
    table_fini(&table);
}
