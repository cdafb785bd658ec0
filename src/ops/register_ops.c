/*
 * Registers. OpenOCD 0.12 answers with what it knew last while a target runs, takes any rubbish as a value
 * and calls an unknown register a success; so names and sizes come from its own list first, and what reads or
 * writes looks at the target's state in the same command. `get_reg -force` is of no use here: it reads the
 * core again, and forgets what was written and waits in OpenOCD for the target to go on. Nor does `get_reg`
 * without it do: it says 0 for a register that OpenOCD has not read yet, which are all of a core that was
 * halted already when OpenOCD was started. `reg NAME` reads those, and those alone.
 */
#include "ops/register_ops.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "openocd/tcl.h"
#include "ops/script.h"

/* A first group that is larger holds more than the core's own registers: RISC-V lists all in one. */
#define CORE_MOST 64u
/* OpenOCD lists what it knows: that costs the time of its words only. */
#define LIST_WORDS 8u

enum register_step { REGISTER_LIST, REGISTER_ACCESS };

static struct register_op *of(struct op *op)
{
    return (struct register_op *)op;
}

/* The list. */

static enum op_verdict list_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    (void)op;
    (void)err;
    command->repeatable = true;
    command->words = LIST_WORDS;
    script_on_target(&command->script, context->info, context->target->name, "reg");
    return OP_SEND;
}

static bool take_list(struct register_op *registers, const struct op_context *context,
                      const struct ocd_reply *reply, struct err *err)
{
    if (!ocd_reply_ok(reply)) {
        op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot list the registers of %s",
                        context->target->name);
        return false;
    }
    free(registers->known);
    registers->known = NULL;
    registers->known_count = 0;
    return ocd_parse_registers(reply->result, reply->result_length, &registers->known,
                               &registers->known_count, err);
}

static enum op_verdict list_reply(struct op *op, const struct op_context *context,
                                  const struct ocd_reply *reply, struct err *err)
{
    return take_list(of(op), context, reply, err) ? OP_DONE : OP_FAILED;
}

/* What is asked for. */

static bool fits(struct register_entry *entry, struct err *err)
{
    bool ok = entry->wanted == NULL ||
              ocd_register_value(entry->wanted, strlen(entry->wanted), entry->bits, &entry->value);
    if (!ok) {
        err_set(err, ERR_INVALID_PARAMS, "values: what %s is to hold does not fit its %u bits", entry->name,
                entry->bits);
        err_add_text(err, "parameter", "values");
    }
    return ok;
}

static bool match(struct register_op *registers, struct register_entry *entry, const char *target,
                  struct err *err)
{
    for (size_t i = 0; i < registers->known_count; i++) {
        if (strcmp(registers->known[i].name, entry->name) == 0) {
            entry->bits = registers->known[i].bits;
            return fits(entry, err);
        }
    }
    err_set(err, ERR_NOT_FOUND, "%s has no register \"%s\"", target, entry->name);
    err_add_text(err, "parameter", "names");
    err_add_text(err, "name", entry->name);
    return false;
}

/* How many of the first group are the core's own. */
static size_t count_core(const struct register_op *registers)
{
    const struct ocd_register *known = registers->known;
    size_t count = 0;
    size_t behind_pc = 0;
    while (count < registers->known_count && strcmp(known[count].group, known[0].group) == 0) {
        count++;
        if (behind_pc == 0 && strcmp(known[count - 1].name, "pc") == 0) {
            behind_pc = count;
        }
    }
    if (count > CORE_MOST) {
        return behind_pc > 0 && behind_pc <= CORE_MOST ? behind_pc : CORE_MOST;
    }
    return count;
}

static void ask_for_core(struct register_op *registers)
{
    registers->count = count_core(registers);
    registers->entries = xcalloc(registers->count > 0 ? registers->count : 1, sizeof *registers->entries);
    for (size_t i = 0; i < registers->count; i++) {
        registers->entries[i].name = xstrdup(registers->known[i].name);
    }
}

static enum op_verdict known_reply(struct op *op, const struct op_context *context,
                                   const struct ocd_reply *reply, struct err *err)
{
    struct register_op *registers = of(op);
    if (!take_list(registers, context, reply, err)) {
        return OP_FAILED;
    }
    if (registers->entries == NULL) {
        ask_for_core(registers);
    }
    for (size_t i = 0; i < registers->count; i++) {
        if (!match(registers, &registers->entries[i], context->target->name, err)) {
            return OP_FAILED;
        }
    }
    return op_go(op, REGISTER_ACCESS);
}

/* Reading and writing: the state before, the values, the state behind. */

static void append_list(struct strbuf *script, const struct register_op *registers, bool with_values)
{
    strbuf_append_text(script, " [list");
    for (size_t i = 0; i < registers->count; i++) {
        strbuf_append_byte(script, ' ');
        tcl_quote_text(script, registers->entries[i].name);
        if (with_values) {
            strbuf_appendf(script, " %s", strbuf_text(&registers->entries[i].value));
        }
    }
    strbuf_append_byte(script, ']');
}

/* A register takes two accesses through the debug port. */
static uint32_t read_words(size_t count)
{
    return count < OP_WORDS_MOST / 2 ? (uint32_t)(2 * count + 1) : 0;
}

static enum op_verdict read_send(struct op *op, const struct op_context *context, struct op_command *command,
                                 struct err *err)
{
    struct strbuf body = STRBUF_INIT;
    (void)err;
    command->repeatable = true;
    command->words = read_words(of(op)->count);
    strbuf_append_text(&body, "set u [$t curstate]; set v {}; if {$u eq {halted}} {set n");
    append_list(&body, of(op), false);
    strbuf_append_text(&body, "; foreach i $n {reg $i}; set v [$t get_reg $n]}; list $u $v [$t curstate]");
    script_on_target(&command->script, context->info, context->target->name, strbuf_text(&body));
    strbuf_fini(&body);
    return OP_SEND;
}

static enum op_verdict write_send(struct op *op, const struct op_context *context, struct op_command *command,
                                  struct err *err)
{
    (void)err;
    command->changes = true;
    strbuf_append_text(&command->script, "apply {{t n d} {set s [$t curstate]; set v {};"
                                         " if {$s eq {halted}} {$t set_reg $d; set v [$t get_reg $n]};"
                                         " list $s $v [$t curstate]}} ");
    tcl_quote_text(&command->script, context->target->name);
    append_list(&command->script, of(op), false);
    append_list(&command->script, of(op), true);
    return OP_SEND;
}

static bool take_values(struct register_op *registers, const struct strbuf *values)
{
    struct strbuf value = STRBUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < registers->count && ok; i++) {
        struct register_entry *entry = &registers->entries[i];
        ok = tcl_dict_get(strbuf_text(values), values->length, entry->name, &value) &&
             ocd_register_value(strbuf_text(&value), value.length, entry->bits, &entry->value);
    }
    strbuf_fini(&value);
    return ok;
}

static enum op_verdict not_halted(const struct op_context *context, const char *state, bool wrote,
                                  struct err *err)
{
    err_set(err, ERR_TARGET_NOT_HALTED, "%s is %s: its registers can only be accessed while it is halted%s",
            context->target->name, state, wrote ? "; they were written just before" : "");
    err_add_text(err, "target", context->target->name);
    err_add_text(err, "state", state);
    return OP_FAILED;
}

static bool is_halted(const struct strbuf *state)
{
    return strcmp(strbuf_text(state), "halted") == 0;
}

static bool next(struct tcl_list *list, struct strbuf *element)
{
    return tcl_list_next(list, element) == TCL_LIST_ELEMENT;
}

static enum op_verdict access_reply(struct op *op, const struct op_context *context,
                                    const struct ocd_reply *reply, struct err *err)
{
    struct strbuf before = STRBUF_INIT;
    struct strbuf values = STRBUF_INIT;
    struct strbuf behind = STRBUF_INIT;
    struct tcl_list list;
    enum op_verdict verdict = OP_FAILED;
    if (!ocd_reply_ok(reply)) {
        return op_fail_openocd(reply, err, ERR_TARGET_ERROR, "cannot %s registers of %s",
                               op->class->changes ? "write" : "read", context->target->name);
    }
    tcl_list_init(&list, reply->result, reply->result_length);
    bool whole = next(&list, &before) && next(&list, &values) && next(&list, &behind);
    if (whole && !is_halted(&before)) {
        verdict = not_halted(context, strbuf_text(&before), false, err);
    } else if (whole && !is_halted(&behind)) {
        verdict = not_halted(context, strbuf_text(&behind), op->class->changes, err);
    } else if (whole && take_values(of(op), &values)) {
        verdict = OP_DONE;
    } else {
        err_set(err, ERR_OPENOCD_ERROR, "what OpenOCD says of the registers of %s cannot be read",
                context->target->name);
        err_set_openocd(err, reply->code, reply->result, reply->result_length);
    }
    strbuf_fini(&before);
    strbuf_fini(&values);
    strbuf_fini(&behind);
    return verdict;
}

/* The operations. */

static void free_registers(struct op *op)
{
    struct register_op *registers = of(op);
    for (size_t i = 0; i < registers->count; i++) {
        free(registers->entries[i].name);
        free(registers->entries[i].wanted);
        strbuf_fini(&registers->entries[i].value);
    }
    free(registers->entries);
    free(registers->known);
    free(registers);
}

static const struct op_step list_steps[] = {[REGISTER_LIST] = {"list", list_send, list_reply}};
static const struct op_step read_steps[] = {
    [REGISTER_LIST] = {"list", list_send, known_reply},
    [REGISTER_ACCESS] = {"read", read_send, access_reply},
};
static const struct op_step write_steps[] = {
    [REGISTER_LIST] = {"list", list_send, known_reply},
    [REGISTER_ACCESS] = {"write", write_send, access_reply},
};
static const struct op_class list_class = {.name = "register list",
                                           .steps = list_steps,
                                           .needs_target = true,
                                           .short_commands = true,
                                           .free = free_registers};
static const struct op_class read_class = {.name = "register read",
                                           .steps = read_steps,
                                           .needs_target = true,
                                           .short_commands = true,
                                           .free = free_registers};
static const struct op_class write_class = {.name = "register write",
                                            .steps = write_steps,
                                            .changes = true,
                                            .needs_target = true,
                                            .free = free_registers};

static struct op *new_op(const struct op_class *class, const char *target, const char *const *names,
                         const char *const *values, size_t count)
{
    struct register_op *registers = xcalloc(1, sizeof *registers);
    op_init(&registers->op, class, target);
    if (count > 0) {
        registers->entries = xcalloc(count, sizeof *registers->entries);
    }
    registers->count = count;
    for (size_t i = 0; i < count; i++) {
        registers->entries[i].name = xstrdup(names[i]);
        registers->entries[i].wanted = values != NULL ? xstrdup(values[i]) : NULL;
    }
    return &registers->op;
}

struct op *register_list_new(const char *target)
{
    return new_op(&list_class, target, NULL, NULL, 0);
}

struct op *register_read_new(const char *target, const char *const *names, size_t count)
{
    return new_op(&read_class, target, names, NULL, count);
}

struct op *register_write_new(const char *target, const char *const *names, const char *const *values,
                              size_t count)
{
    return new_op(&write_class, target, names, values, count);
}
