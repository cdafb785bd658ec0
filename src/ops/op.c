/* What all operations share. */
#include "ops/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CODE_NOT_HALTED (-304)

void op_init(struct op *op, const struct op_class *class, const char *target)
{
    memset(op, 0, sizeof *op);
    op->class = class;
    if (target != NULL) {
        snprintf(op->target, sizeof op->target, "%s", target);
    }
    list_init(&op->queue_node);
    list_init(&op->flight_node);
    op->budget = class->first_budget;
    op->command_ms = class->command_ms;
}

void op_free(struct op *op)
{
    op->class->free(op);
}

void op_progress_set(struct op *op, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    op->progress = (struct op_progress){.phase = phase, .done = done, .total = total, .unit = unit};
}

/* The kinds of errors that the protocol lets say how far the work came. */
static bool kind_has_progress(enum err_kind kind)
{
    static const enum err_kind kinds[] = {
        ERR_TARGET_ERROR,        ERR_FLASH_ERROR,     ERR_TARGET_NOT_HALTED, ERR_VERIFY_MISMATCH,
        ERR_OPENOCD_UNAVAILABLE, ERR_OUTCOME_UNKNOWN, ERR_TIMEOUT,           ERR_CANCELLED,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i] == kind) {
            return true;
        }
    }
    return false;
}

void op_describe_progress(struct err *err, const struct op_progress *progress)
{
    if (progress->phase == NULL || !kind_has_progress(err->kind)) {
        return;
    }
    err_add_text(err, "phase", progress->phase);
    err_add_integer(err, "done", progress->done);
    if (progress->total > 0) {
        err_add_integer(err, "total", progress->total);
    }
    err_add_text(err, "unit", progress->unit);
}

static bool says_not_halted(const struct ocd_reply *reply, const char *words)
{
    return reply->code == CODE_NOT_HALTED || strcasestr(words, "not halted") != NULL;
}

/*
 * The line for the message: the result's first, if it says something; else the one before the log's last, for
 * that is mostly a mere summary ("error writing to flash at address ..."), and the lines before those are
 * often no more than warnings.
 */
static const char *telling_line(const struct ocd_reply *reply, const char *words)
{
    const char *last = words;
    const char *before = words;
    if (reply->result_length > 0) {
        return words;
    }
    for (const char *at = strchr(words, '\n'); at != NULL; at = strchr(at + 1, '\n')) {
        before = last;
        last = at + 1;
    }
    return before;
}

enum op_verdict op_fail_openocd(const struct ocd_reply *reply, struct err *err, enum err_kind kind,
                                const char *format, ...)
{
    struct strbuf words = STRBUF_INIT;
    char what[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    ocd_reply_words(reply, &words);
    if (says_not_halted(reply, strbuf_text(&words))) {
        kind = ERR_TARGET_NOT_HALTED;
    }
    const char *reason = telling_line(reply, strbuf_text(&words));
    size_t line = strcspn(reason, "\n");
    err_set(err, kind, "%s%s%.*s", what, line > 0 ? ": " : "", (int)(line < 200 ? line : 200), reason);
    err_set_openocd(err, reply->code, strbuf_text(&words), words.length);
    strbuf_fini(&words);
    return OP_FAILED;
}

void op_add_driver_reason(struct err *err)
{
    if (err->kind == ERR_FLASH_ERROR) {
        err_add_text(err, "reason", "driver");
    }
}

bool op_check_range(const struct ocd_target *target, uint64_t address, uint64_t size, struct err *err)
{
    uint64_t last = ocd_target_last_address(target);
    if (address <= last && size - 1 <= last - address) {
        return true;
    }
    err_set(err, ERR_INVALID_RANGE,
            "address: %" PRIu64 " bytes at 0x%08" PRIx64 " reach beyond 0x%" PRIx64
            ", the last address of %s",
            size, address, last, target->name);
    err_add_address(err, "address", address);
    err_add_integer(err, "size", size);
    err_add_integer(err, "address_bits", target->address_bits);
    return false;
}
