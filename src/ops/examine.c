/* One command; OpenOCD does the same for a target that it lost, and for those that it finds at its start. */
#include "ops/examine.h"

#include <stdlib.h>

#include "base/alloc.h"

static enum op_verdict examine_send(struct op *op, const struct op_context *context,
                                    struct op_command *command, struct err *err)
{
    (void)op;
    (void)context;
    (void)err;
    strbuf_append_text(&command->script,
                       "apply {{} {foreach t [target names] {"
                       "if {![$t was_examined] && [lsearch {unknown reset} [$t curstate]] >= 0} {"
                       "catch {$t arp_examine}}}}}");
    return OP_SEND;
}

static enum op_verdict examine_reply(struct op *op, const struct op_context *context,
                                     const struct ocd_reply *reply, struct err *err)
{
    (void)op;
    (void)context;
    return ocd_reply_ok(reply) ? OP_DONE
                               : op_fail_openocd(reply, err, ERR_OPENOCD_ERROR, "cannot examine the targets");
}

static void examine_free(struct op *op)
{
    free(op);
}

static const struct op_step examine_steps[] = {{"examine", examine_send, examine_reply}};
static const struct op_class examine_class = {
    .name = "examine", .steps = examine_steps, .free = examine_free};

struct op *examine_new(void)
{
    struct op *op = xcalloc(1, sizeof *op);
    op_init(op, &examine_class, NULL);
    return op;
}
