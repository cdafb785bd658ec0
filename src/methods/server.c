/* server.hello, server.stats, rpc.discover and request.cancel. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "memory/search.h"
#include "methods/handlers_gen.h"
#include "rpc/discover_gen.h"
#include "rpc/json.h"
#include "server/identity.h"
#include "server/login.h"
#include "server/request.h"
#include "server/request_take.h"
#include "server/watch.h"

static void write_limits(const struct config_limits *limits, struct json_writer *json)
{
    json_open_object(json, "limits");
    json_u64(json, "max_line_bytes", limits->max_line_bytes);
    json_u64(json, "max_in_flight", limits->max_in_flight);
    json_u64(json, "max_queued_bytes", limits->max_queued_bytes);
    json_u64(json, "max_output_bytes", limits->max_output_bytes);
    json_u64(json, "max_inline_bytes", limits->max_inline_bytes);
    json_u64(json, "max_stage_bytes", limits->max_stage_bytes);
    json_u64(json, "max_stages", limits->max_stages);
    json_u64(json, "stage_expiry_ms", limits->stage_expiry_ms);
    json_u64(json, "max_image_bytes", limits->max_image_bytes);
    json_u64(json, "max_watches", limits->max_watches);
    json_u64(json, "max_watch_ranges", WATCH_MAX_RANGES);
    json_u64(json, "max_watch_bytes", limits->max_watch_bytes);
    json_u64(json, "max_board_watches", limits->max_board_watches);
    json_u64(json, "max_board_watch_bytes", limits->max_board_watch_bytes);
    json_u64(json, "min_watch_interval_ms", limits->min_watch_interval_ms);
    json_u64(json, "max_batch", REQUEST_MAX_BATCH);
    json_u64(json, "max_pattern_bytes", MEMORY_SEARCH_MAX_PATTERN);
    json_u64(json, "max_elements", 65536);
    json_u64(json, "max_tokens", JSON_MAX_TOKENS);
    json_u64(json, "max_depth", JSON_MAX_DEPTH);
    json_close_object(json);
}

static void write_features(const struct client *client, struct json_writer *json)
{
    static const char *const always[] = {
        "memory",     "watch",  "flash", "target", "register", "breakpoint", "stage",
        "operations", "events", "lease", "step",   "wait",     "load_image", "write_changed",
    };
    json_open_array(json, "features");
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        json_text(json, NULL, always[i]);
    }
    if (client->server->config->identities.token_count > 0) {
        json_text(json, NULL, "token");
    }
    if (client->server->tls != NULL) {
        json_text(json, NULL, "tls");
    }
    if (client->server->config->image_root_count > 0) {
        json_text(json, NULL, "image_from_path");
    }
    if (client->server->config->dump_root != NULL) {
        json_text(json, NULL, "dump_to_path");
    }
    if (client->role == RPC_ROLE_ADMIN) {
        json_text(json, NULL, "openocd.command");
    }
    json_close_array(json);
}

/* The boards that the client may at least look at. */
static void write_boards(const struct client *client, struct json_writer *json)
{
    const struct server *server = client->server;
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        if (client_role(client, server->boards[i]) > RPC_ROLE_NONE) {
            json_text(json, NULL, board_name(server->boards[i]));
        }
    }
    json_close_array(json);
    if (server->board_count < 2) {
        return;
    }
    json_open_object(json, "roles");
    for (size_t i = 0; i < server->board_count; i++) {
        enum rpc_role role = client_role(client, server->boards[i]);
        if (role > RPC_ROLE_NONE) {
            json_text(json, board_name(server->boards[i]), identity_role_word(role));
        }
    }
    json_close_object(json);
}

static void answer_hello(struct request *request)
{
    const struct client *client = request->client;
    const struct server *server = request->server;
    struct json_writer *json = request_reply_begin(request);
    json_text(json, "server", "ocdmux");
    json_text(json, "version", OCDMUX_VERSION);
    json_u64(json, "protocol", SERVER_PROTOCOL);
    json_text(json, "identity", client->identity);
    json_text(json, "role", identity_role_word(client->role));
    write_boards(client, json);
    write_limits(&server->config->limits, json);
    write_features(client, json);
    request_reply_end(request);
}

bool method_server_hello(struct request *request, struct params_server_hello *params, struct err *err)
{
    struct client *client = request->client;
    if (params->token.text != NULL) {
        switch (login_by_token(request, params->token.text, params->token.length, err)) {
        case LOGIN_REFUSED:
            return false;
        case LOGIN_DELAYED:
            return true;
        case LOGIN_DONE:
            break;
        }
    }
    if (params->client.text != NULL) {
        snprintf(client->name, sizeof client->name, "%s", params->client.text);
    }
    answer_hello(request);
    return true;
}

static void write_board_stats(struct server *server, struct board *board, struct json_writer *json)
{
    const struct ocd_link_counters *link = ocd_link_counters(board_link(board));
    const struct board_counters *counters = board_counters(board);
    json_open_object(json, NULL);
    json_text(json, "board", board_name(board));
    json_text(json, "link", ocd_link_state_name(ocd_link_get_state(board_link(board))));
    json_u64(json, "commands", link->envelopes + counters->joined);
    json_u64(json, "envelopes", link->envelopes);
    json_u64(json, "shared_reads", counters->shared_reads);
    json_u64(json, "reconnects", link->connects > 0 ? link->connects - 1 : 0);
    json_u64(json, "queued", server_queued(server, board));
    json_u64(json, "running", board_running(board) != NULL);
    json_u64(json, "bytes_read", counters->bytes_read);
    json_u64(json, "bytes_written", counters->bytes_written);
    json_u64(json, "link_busy_ms", link->busy_us / 1000);
    json_u64(json, "strays", link->strays);
    json_close_object(json);
}

bool method_server_stats(struct request *request, struct params_server_stats *params, struct err *err)
{
    struct server *server = request->server;
    const struct server_counters *counters = &server->counters;
    (void)params;
    (void)err;
    struct json_writer *json = request_reply_begin(request);
    json_u64(json, "uptime_ms", (clock_now_us() - server->started_us) / 1000);
    json_u64(json, "clients", counters->clients);
    json_u64(json, "clients_total", counters->clients_total);
    json_u64(json, "requests", counters->requests);
    json_u64(json, "errors", counters->errors);
    json_u64(json, "notifications", counters->notifications);
    json_u64(json, "events_lost", counters->events_lost);
    json_u64(json, "lines_refused", counters->lines_refused);
    json_open_array(json, "boards");
    for (size_t i = 0; i < server->board_count; i++) {
        if (client_role(request->client, server->boards[i]) > RPC_ROLE_NONE) {
            write_board_stats(server, server->boards[i], json);
        }
    }
    json_close_array(json);
    request_reply_end(request);
    return true;
}

bool method_request_cancel(struct request *request, struct params_request_cancel *params, struct err *err)
{
    struct request *other = request_find(request->client, params->id.text);
    bool was_found = other != NULL && other != request;
    (void)err;
    if (was_found) {
        request_cancel(other, NULL);
    }
    json_bool(request_reply_begin(request), "found", was_found);
    request_reply_end(request);
    return true;
}

bool method_rpc_discover(struct request *request, struct params_rpc_discover *params, struct err *err)
{
    struct strbuf document = STRBUF_INIT;
    (void)params;
    (void)err;
    discover_gen_append(&document);
    request_reply_whole(request, &document);
    return true;
}
