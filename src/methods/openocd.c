/* openocd.command: raw Tcl, for admins. */
#include "methods/handlers_gen.h"
#include "ops/target_ops.h"
#include "server/request.h"

static void write_answer(struct request *request, struct op *op, struct json_writer *json)
{
    const struct raw_op *raw = (const struct raw_op *)op;
    (void)request;
    json_i64(json, "code", raw->code);
    json_text_bytes(json, "text", strbuf_text(&raw->text), raw->text.length);
    json_text_bytes(json, "log", strbuf_text(&raw->log), raw->log.length);
}

bool method_openocd_command(struct request *request, struct params_openocd_command *params, struct err *err)
{
    struct strbuf command = STRBUF_INIT;
    (void)err;
    strbuf_append(&command, params->command.text, params->command.length);
    return request_run(request, raw_new(request->target, &command), write_answer);
}
