/* register.list, read and write. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "ops/register_ops.h"
#include "server/request.h"

static void write_list(struct request *request, struct op *op, struct json_writer *json)
{
    const struct register_op *registers = (const struct register_op *)op;
    write_target_name(request, op, json);
    json_open_array(json, "registers");
    for (size_t i = 0; i < registers->known_count; i++) {
        const struct ocd_register *known = &registers->known[i];
        json_open_object(json, NULL);
        json_text(json, "name", known->name);
        json_u64(json, "size_bits", known->bits);
        json_text(json, "group", known->group);
        json_close_object(json);
    }
    json_close_array(json);
}

static void write_values(struct request *request, struct op *op, struct json_writer *json)
{
    const struct register_op *registers = (const struct register_op *)op;
    write_target_name(request, op, json);
    json_open_array(json, "registers");
    for (size_t i = 0; i < registers->count; i++) {
        const struct register_entry *entry = &registers->entries[i];
        json_open_object(json, NULL);
        json_text(json, "name", entry->name);
        json_u64(json, "size_bits", entry->bits);
        json_text(json, "value", strbuf_text(&entry->value));
        json_close_object(json);
    }
    json_close_array(json);
}

/* Each name once: what is the value of one that is there twice? */
static bool check_names(const struct rpc_texts *names, struct err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names->items[i].text, names->items[k].text) == 0) {
                err_set(err, ERR_INVALID_PARAMS, "names: %s is there twice", names->items[i].text);
                err_add_text(err, "parameter", "names");
                return false;
            }
        }
    }
    return true;
}

/* The texts stay where they are; the array is the caller's. */
static const char **list_texts(const struct rpc_texts *texts)
{
    const char **list = xcalloc(texts->count > 0 ? texts->count : 1, sizeof *list);
    for (size_t i = 0; i < texts->count; i++) {
        list[i] = texts->items[i].text;
    }
    return list;
}

bool method_register_list(struct request *request, struct params_register_list *params, struct err *err)
{
    (void)params;
    (void)err;
    return request_run(request, register_list_new(request->target), write_list);
}

bool method_register_read(struct request *request, struct params_register_read *params, struct err *err)
{
    if (!check_names(&params->names, err)) {
        return false;
    }
    const char **names = list_texts(&params->names);
    struct op *op = register_read_new(request->target, names, params->names.count);
    free(names);
    return request_run(request, op, write_values);
}

bool method_register_write(struct request *request, struct params_register_write *params, struct err *err)
{
    if (!check_names(&params->names, err)) {
        return false;
    }
    if (params->values.count != params->names.count) {
        err_set(err, ERR_INVALID_PARAMS, "values: there must be as many as names: %zu, not %zu",
                params->names.count, params->values.count);
        err_add_text(err, "parameter", "values");
        return false;
    }
    const char **names = list_texts(&params->names);
    const char **values = list_texts(&params->values);
    struct op *op = register_write_new(request->target, names, values, params->names.count);
    free(names);
    free(values);
    return request_run(request, op, write_values);
}
