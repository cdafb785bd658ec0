/* Files of commands: through a directory that daemon and OpenOCD share, or over the link. */
#include "board/exchange.h"

#include "base/log.h"
#include "board/wrap.h"

void exchange_init(struct exchange *exchange, struct private_dir *dir)
{
    *exchange = (struct exchange){.dir = dir, .content = STRBUF_INIT};
}

void exchange_fini(struct exchange *exchange)
{
    exchange_drop(exchange);
    exchange_sweep(exchange);
}

static bool begin_shared(struct exchange *exchange, struct strbuf *script, struct envelope_data *ret_data,
                         const struct ocd_info *info, const struct op_command *command, struct err *err)
{
    struct strbuf path = STRBUF_INIT;
    if (!private_dir_create(exchange->dir, command->file_bytes, command->file_size, &exchange->file, err)) {
        return false;
    }
    private_dir_append_path(exchange->dir, &exchange->file, &path);
    wrap_command(script, ret_data, info, command, strbuf_text(&path));
    strbuf_fini(&path);
    return true;
}

bool exchange_begin(struct exchange *exchange, struct strbuf *script, struct envelope_data *ret_data,
                    const struct ocd_info *info, const struct op_command *command, struct err *err)
{
    exchange_drop(exchange);
    if (command->file == OP_FILE_NONE) {
        wrap_command(script, ret_data, info, command, NULL);
        return true;
    }
    if (info->files == OCD_FILES_NONE) {
        return err_set(err, ERR_STAGE_ERROR,
                       "OpenOCD has no directory for the temporary files that this takes");
    }
    if (info->files == OCD_FILES_SHARED) {
        if (begin_shared(exchange, script, ret_data, info, command, err)) {
            return true;
        }
        if (info->stage_template[0] == '\0') {
            return false;
        }
        log_warn("%s: this file goes over the link", err->message);
        err_reset(err);
    }
    wrap_command(script, ret_data, info, command, NULL);
    return true;
}

bool exchange_end(struct exchange *exchange, const struct op_command *command, struct ocd_reply *reply,
                  struct err *err)
{
    struct strbuf words = STRBUF_INIT;
    if (command->file == OP_FILE_NONE) {
        return true;
    }
    if (reply->code == WRAP_CODE_FILE) {
        ocd_reply_words(reply, &words);
        err_set(err, ERR_STAGE_ERROR, "OpenOCD cannot use a temporary file: %s", strbuf_text(&words));
        strbuf_fini(&words);
        return false;
    }
    if (command->file != OP_FILE_GET || exchange->file.name[0] == '\0' || !ocd_reply_ok(reply)) {
        return true;
    }
    /* As much as OpenOCD might have sent over the link. */
    if (!private_dir_read(exchange->dir, &exchange->file, ENVELOPE_MAX_REPLY, &exchange->content, err)) {
        return false;
    }
    reply->result = strbuf_text(&exchange->content);
    reply->result_length = exchange->content.length;
    return true;
}

void exchange_remove(struct exchange *exchange)
{
    if (exchange->dir != NULL) {
        private_dir_remove(exchange->dir, &exchange->file);
    }
}

void exchange_drop(struct exchange *exchange)
{
    exchange_remove(exchange);
    strbuf_fini(&exchange->content);
}

void exchange_lose(struct exchange *exchange)
{
    if (exchange->file.name[0] != '\0') {
        exchange_sweep(exchange);
        exchange->lost = exchange->file;
    }
    exchange_drop(exchange);
}

void exchange_sweep(struct exchange *exchange)
{
    if (exchange->dir != NULL) {
        private_dir_remove(exchange->dir, &exchange->lost);
    }
}
