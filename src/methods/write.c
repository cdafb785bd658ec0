/* Targets, banks and boards as JSON. */
#include "methods/write.h"

#include "server/gdb.h"
#include "server/request.h"
#include "server/watch.h"

#define SHOWN_OPERATIONS 64u

static void write_target(const struct ocd_info *info, size_t index, bool with_bits, struct json_writer *json)
{
    const struct ocd_target *target = &info->targets[index];
    json_open_object(json, NULL);
    json_text(json, "target", target->name);
    json_text(json, "type", target->type);
    json_text(json, "state", target->state);
    json_text(json, "endian", target->big_endian ? "big" : "little");
    json_bool(json, "current", index == info->current_target);
    if (with_bits) {
        json_u64(json, "address_bits", target->address_bits);
    }
    json_close_object(json);
}

static void write_targets(const struct ocd_info *info, bool with_bits, struct json_writer *json)
{
    json_open_array(json, "targets");
    for (size_t i = 0; i < info->target_count; i++) {
        write_target(info, i, with_bits, json);
    }
    json_close_array(json);
}

void write_target_list(const struct ocd_info *info, struct json_writer *json)
{
    write_targets(info, false, json);
}

void write_target_name(struct request *request, struct op *op, struct json_writer *json)
{
    const struct ocd_target *target = ocd_info_find_target(board_info(request->board), op->target);
    json_text(json, "target", target != NULL ? target->name : op->target);
}

void write_bank(const struct ocd_bank *bank, struct json_writer *json)
{
    json_u64(json, "index", bank->index);
    json_text(json, "name", bank->name);
    json_text(json, "driver", bank->driver);
    json_address(json, "base", bank->base);
    json_u64(json, "size", bank->size);
    json_u64(json, "bus_width", bank->bus_width);
    json_u64(json, "chip_width", bank->chip_width);
    json_text(json, "target", bank->target);
}

void write_bank_list(const struct ocd_info *info, struct json_writer *json)
{
    json_open_array(json, "banks");
    for (size_t i = 0; i < info->bank_count; i++) {
        json_open_object(json, NULL);
        write_bank(&info->banks[i], json);
        json_close_object(json);
    }
    json_close_array(json);
}

static void write_protection(struct json_writer *json, enum ocd_protection protection)
{
    switch (protection) {
    case OCD_PROTECTION_OFF:
        json_bool(json, "protected", false);
        break;
    case OCD_PROTECTION_ON:
        json_bool(json, "protected", true);
        break;
    case OCD_PROTECTION_UNKNOWN:
        json_null(json, "protected");
        break;
    }
}

void write_flash_row(struct json_writer *json, size_t index, const struct ocd_block *block,
                     enum ocd_protection protection)
{
    json_open_object(json, NULL);
    json_u64(json, "index", index);
    json_u64(json, "offset", block->offset);
    json_u64(json, "size", block->size);
    write_protection(json, protection);
    json_close_object(json);
}

static void write_who(const char *identity, const char *client, struct json_writer *json)
{
    json_text(json, "identity", identity);
    if (client[0] != '\0') {
        json_text(json, "client", client);
    }
}

static void write_running(const struct op *op, struct json_writer *json)
{
    const struct request *request = op != NULL && op->state != OP_ENDING ? request_of(op) : NULL;
    if (request == NULL) {
        return;
    }
    json_open_object(json, "running");
    if (request->operation != NULL) {
        json_text(json, "operation", request->operation->id);
    }
    json_text(json, "method", request->method->name);
    write_who(request->client->identity, request->client->name, json);
    if (op->progress.phase != NULL) {
        operation_write_progress(json, "progress", &op->progress);
    }
    json_close_object(json);
}

/* Those with an id that have not ended, oldest first; what everybody may see of them. */
static void write_operations(struct server *server, const struct board *board, struct json_writer *json)
{
    size_t count = 0;
    json_open_array(json, "operations");
    list_for_each (node, &server->operations.active) {
        const struct operation *operation = list_entry(node, const struct operation, node);
        if (operation->board != board_name(board)) {
            continue;
        }
        if (++count > SHOWN_OPERATIONS) {
            break;
        }
        json_open_object(json, NULL);
        json_text(json, "operation", operation->id);
        json_text(json, "method", operation->method);
        write_who(operation->identity, operation->client, json);
        json_text(json, "state", operation_state_name(operation->state));
        json_text(json, "created", operation->created);
        if (operation->progress.phase != NULL) {
            operation_write_progress(json, "progress", &operation->progress);
        }
        json_close_object(json);
    }
    json_close_array(json);
}

static void write_repairs(const struct repairs *repairs, struct json_writer *json)
{
    json_open_array(json, "pending_repairs");
    list_for_each (node, &repairs->pending) {
        const struct repair *repair = list_entry(node, struct repair, node);
        json_open_object(json, NULL);
        json_text(json, "bank", repair->head.bank);
        json_address(json, "base", repair->head.base);
        json_u64(json, "offset", repair->head.sector_offset);
        json_u64(json, "size", repair->head.sector_size);
        json_text(json, "since", repair->head.since);
        json_close_object(json);
    }
    json_close_array(json);
}

void write_board_status(struct server *server, struct board *board, struct json_writer *json)
{
    const struct watch_board *watches = watch_board_of(server, board);
    struct ocd_link *link = board_link(board);
    const struct ocd_info *info = board_info(board);
    json_text(json, "board", board_name(board));
    json_text(json, "openocd", ocd_link_address(link));
    json_text(json, "link", ocd_link_state_name(ocd_link_get_state(link)));
    if (info->version[0] != '\0') {
        json_text(json, "version", info->version);
    }
    if (board_connected_since(board)[0] != '\0') {
        json_text(json, "connected_since", board_connected_since(board));
    }
    if (!board_is_up(board) && ocd_link_last_error(link)[0] != '\0') {
        json_text(json, "last_error", ocd_link_last_error(link));
        json_u64(json, "retry_in_ms", ocd_link_retry_in_ms(link));
    }
    write_process(board, json);
    write_targets(info, true, json);
    write_bank_list(info, json);
    write_running(board_running(board), json);
    write_operations(server, board, json);
    event_feeds_write_queue(server, board, json);
    write_repairs(board_repairs(board), json);
    write_lease(board, json);
    watch_write_status(watches, json);
    gdb_write_status(server->gdbs[server_board_index(server, board)], json);
    json_text(json, "staging", ocd_files_name(info->files));
    json_open_array(json, "features");
    if (info->files != OCD_FILES_NONE) {
        json_text(json, NULL, "flash_files");
    }
    json_close_array(json);
}
