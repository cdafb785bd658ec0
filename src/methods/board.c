/* board.list and board.status. */
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "server/request.h"

bool method_board_list(struct request *request, struct params_board_list *params, struct err *err)
{
    const struct server *server = request->server;
    (void)params;
    (void)err;
    struct json_writer *json = request_reply_begin(request);
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        struct board *board = server->boards[i];
        if (client_role(request->client, board) == RPC_ROLE_NONE) {
            continue;
        }
        json_open_object(json, NULL);
        json_text(json, "board", board_name(board));
        json_text(json, "openocd", ocd_link_address(board_link(board)));
        json_text(json, "link", ocd_link_state_name(ocd_link_get_state(board_link(board))));
        if (board_info(board)->version[0] != '\0') {
            json_text(json, "version", board_info(board)->version);
        }
        json_close_object(json);
    }
    json_close_array(json);
    request_reply_end(request);
    return true;
}

bool method_board_status(struct request *request, struct params_board_status *params, struct err *err)
{
    struct board *board = NULL;
    if (!request_find_board(request, params->board.text, &board, err)) {
        return false;
    }
    write_board_status(request->server, board, request_reply_begin(request));
    request_reply_end(request);
    return true;
}
