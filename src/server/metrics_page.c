/*
 * /metrics for Prometheus; /healthz, which is 200 as long as the loop runs; /readyz, which is 200 while every
 * board's link is up, and else 503 and a JSON object that names the others.
 */
#include "server/metrics_page.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "board/board_lease.h"
#include "server/client.h"
#include "server/metrics_text.h"
#include "server/watch.h"

/* One number of each board. */
struct board_metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(struct server *server, struct board *board);
    bool seconds; /* the value is in microseconds */
};

static uint64_t link_up(struct server *server, struct board *board)
{
    (void)server;
    return board_is_up(board);
}

static uint64_t link_restarts(struct server *server, struct board *board)
{
    uint64_t connects = ocd_link_counters(board_link(board))->connects;
    (void)server;
    return connects > 0 ? connects - 1 : 0;
}

static uint64_t link_busy(struct server *server, struct board *board)
{
    (void)server;
    return ocd_link_counters(board_link(board))->busy_us;
}

static uint64_t link_strays(struct server *server, struct board *board)
{
    (void)server;
    return ocd_link_counters(board_link(board))->strays;
}

static uint64_t link_late(struct server *server, struct board *board)
{
    (void)server;
    return ocd_link_counters(board_link(board))->late;
}

static uint64_t envelopes(struct server *server, struct board *board)
{
    (void)server;
    return ocd_link_counters(board_link(board))->envelopes;
}

static uint64_t joined(struct server *server, struct board *board)
{
    (void)server;
    return board_counters(board)->joined;
}

static uint64_t shared_reads(struct server *server, struct board *board)
{
    (void)server;
    return board_counters(board)->shared_reads;
}

static uint64_t ended(struct server *server, struct board *board)
{
    (void)server;
    return board_counters(board)->ended;
}

static uint64_t bytes_read(struct server *server, struct board *board)
{
    (void)server;
    return board_counters(board)->bytes_read;
}

static uint64_t bytes_written(struct server *server, struct board *board)
{
    (void)server;
    return board_counters(board)->bytes_written;
}

static uint64_t is_running(struct server *server, struct board *board)
{
    (void)server;
    return board_running(board) != NULL;
}

static uint64_t queued(struct server *server, struct board *board)
{
    return server_queued(server, board);
}

static uint64_t watches(struct server *server, struct board *board)
{
    return watch_board_of(server, board)->count;
}

static uint64_t lease_held(struct server *server, struct board *board)
{
    (void)server;
    return board_lease(board)->state != LEASE_FREE;
}

static uint64_t lease_waiting(struct server *server, struct board *board)
{
    (void)server;
    return board_lease(board)->waiting;
}

static uint64_t repairs_pending(struct server *server, struct board *board)
{
    uint64_t count = 0;
    (void)server;
    list_for_each (node, &board_repairs(board)->pending) {
        count++;
    }
    return count;
}

static const struct board_metric board_metrics[] = {
    {"ocdmux_link_up", "gauge", "Whether the link to OpenOCD is up.", link_up, false},
    {"ocdmux_link_restarts_total", "counter", "Connections to OpenOCD after the first.", link_restarts,
     false},
    {"ocdmux_link_busy_seconds_total", "counter", "Time that OpenOCD took to answer.", link_busy, true},
    {"ocdmux_link_stray_frames_total", "counter", "Frames of OpenOCD that answered nothing.", link_strays,
     false},
    {"ocdmux_link_late_replies_total", "counter", "Replies that nobody wanted any more.", link_late, false},
    {"ocdmux_envelopes_total", "counter", "Envelopes sent to OpenOCD, those of handshakes too.", envelopes,
     false},
    {"ocdmux_joined_commands_total", "counter", "Commands that travelled in another's envelope.", joined,
     false},
    {"ocdmux_shared_reads_total", "counter", "Reads answered by another's command.", shared_reads, false},
    {"ocdmux_operations_ended_total", "counter", "Operations that have ended, the daemon's own too.", ended,
     false},
    {"ocdmux_read_bytes_total", "counter", "Bytes read from the board.", bytes_read, false},
    {"ocdmux_written_bytes_total", "counter", "Bytes written to the board.", bytes_written, false},
    {"ocdmux_board_running", "gauge", "Whether an operation runs on the board.", is_running, false},
    {"ocdmux_queue_depth", "gauge", "Operations of clients that wait or run.", queued, false},
    {"ocdmux_watches", "gauge", "Watches of memory.", watches, false},
    {"ocdmux_lease_held", "gauge", "Whether somebody holds the lease.", lease_held, false},
    {"ocdmux_lease_waiting", "gauge", "How many wait for the lease.", lease_waiting, false},
    {"ocdmux_pending_repairs", "gauge", "Flash sectors that a crash left to be mended.", repairs_pending,
     false},
};

static void write_board_metric(struct server *server, struct strbuf *out, const struct board_metric *metric)
{
    metrics_text_family(out, metric->name, metric->type, metric->help);
    for (size_t i = 0; i < server->board_count; i++) {
        struct board *board = server->boards[i];
        const struct metrics_label labels[] = {{"board", board_name(board)}, {NULL, NULL}};
        uint64_t value = metric->value(server, board);
        if (metric->seconds) {
            metrics_text_seconds(out, metric->name, labels, value);
        } else {
            metrics_text_sample(out, metric->name, labels, value);
        }
    }
}

static void write_histograms(const struct server *server, struct strbuf *out, const char *name,
                             const char *help, const struct histogram *(*histogram)(struct board *board))
{
    metrics_text_family(out, name, "histogram", help);
    for (size_t i = 0; i < server->board_count; i++) {
        const struct metrics_label labels[] = {{"board", board_name(server->boards[i])}, {NULL, NULL}};
        metrics_text_histogram(out, name, labels, histogram(server->boards[i]));
    }
}

static const struct histogram *wait_of(struct board *board)
{
    return &board_counters(board)->wait;
}

static const struct histogram *latency_of(struct board *board)
{
    return &ocd_link_counters(board_link(board))->latency;
}

static void write_boards(struct server *server, struct strbuf *out)
{
    for (size_t i = 0; i < sizeof board_metrics / sizeof board_metrics[0]; i++) {
        write_board_metric(server, out, &board_metrics[i]);
    }
    write_histograms(server, out, "ocdmux_queue_wait_seconds",
                     "How long operations of clients waited for their first command.", wait_of);
    write_histograms(server, out, "ocdmux_command_duration_seconds",
                     "How long OpenOCD took to answer an envelope.", latency_of);
}

static void write_leases(const struct server *server, struct strbuf *out)
{
    static const char name[] = "ocdmux_lease_events_total";
    metrics_text_family(out, name, "counter", "What happened to leases: granted, expired, broken and so on.");
    for (size_t i = 0; i < server->board_count; i++) {
        for (unsigned event = 0; event < LEASE_EVENT_COUNT; event++) {
            const struct metrics_label labels[] = {{"board", board_name(server->boards[i])},
                                                   {"event", lease_event_name((enum lease_event)event)},
                                                   {NULL, NULL}};
            metrics_text_sample(out, name, labels, server->metrics.lease_events[i][event]);
        }
    }
}

static void write_requests(const struct server *server, struct strbuf *out)
{
    static const char name[] = "ocdmux_requests_total";
    metrics_text_family(out, name, "counter",
                        "Answered requests by method and outcome: ok, or an error's kind.");
    for (size_t row = 0; row <= RPC_METHOD_COUNT; row++) {
        for (unsigned kind = 0; kind < ERR_KIND_COUNT; kind++) {
            uint64_t count = server->metrics.requests[row][kind];
            const char *method = row < RPC_METHOD_COUNT ? rpc_methods[row].name : "unknown";
            const char *outcome = kind == ERR_NONE ? "ok" : err_kind_name((enum err_kind)kind);
            const struct metrics_label labels[] = {{"method", method}, {"outcome", outcome}, {NULL, NULL}};
            if (count > 0) {
                metrics_text_sample(out, name, labels, count);
            }
        }
    }
}

static void write_clients(const struct server *server, struct strbuf *out)
{
    static const char name[] = "ocdmux_clients";
    metrics_text_family(out, name, "gauge", "Connected clients.");
    for (unsigned i = 0; i < CLIENT_TRANSPORT_COUNT; i++) {
        const char *transport = client_transport_name((enum client_transport)i);
        const struct metrics_label labels[] = {{"transport", transport}, {NULL, NULL}};
        metrics_text_sample(out, name, labels, server->counters.connected[i]);
    }
}

static uint64_t count_stages(const struct server *server)
{
    uint64_t count = 0;
    list_for_each (node, &server->stages.owners) {
        count += list_entry(node, struct stage_owner, node)->count;
    }
    return count;
}

static void write_server(const struct server *server, struct strbuf *out)
{
    const struct server_counters *counters = &server->counters;
    const struct {
        const char *name;
        const char *type;
        const char *help;
        uint64_t value;
    } rows[] = {
        {"ocdmux_clients_limit", "gauge",
         "Clients that are taken at a time: max_clients, or fewer where descriptors are short.",
         server->places},
        {"ocdmux_clients_seen_total", "counter", "Clients that have connected.", counters->clients_total},
        {"ocdmux_notifications_total", "counter", "Notifications sent to clients.", counters->notifications},
        {"ocdmux_events_dropped_total", "counter", "Events that clients had no room for.",
         counters->events_lost},
        {"ocdmux_lines_refused_total", "counter", "Lines that were no JSON, or too long.",
         counters->lines_refused},
        {"ocdmux_queued_bytes", "gauge", "Bytes of parameters that requests hold.", server->queued_bytes},
        {"ocdmux_stages", "gauge", "Stages.", count_stages(server)},
        {"ocdmux_stage_bytes", "gauge", "Bytes of all stages, by the size that they will have.",
         server->stages.bytes},
        {"ocdmux_audit_lines_missing_total", "counter", "Lines that the audit file did not take.",
         audit_missing(server->audit)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_text_family(out, rows[i].name, rows[i].type, rows[i].help);
        metrics_text_sample(out, rows[i].name, NULL, rows[i].value);
    }
}

void metrics_page_write(struct server *server, struct strbuf *out)
{
    const struct metrics_label version[] = {{"version", OCDMUX_VERSION}, {NULL, NULL}};
    metrics_text_family(out, "ocdmux_build_info", "gauge", "The daemon's version.");
    metrics_text_sample(out, "ocdmux_build_info", version, 1);
    metrics_text_family(out, "ocdmux_uptime_seconds", "gauge", "Time since the daemon began.");
    metrics_text_seconds(out, "ocdmux_uptime_seconds", NULL, clock_now_us() - server->started_us);
    write_server(server, out);
    write_clients(server, out);
    write_requests(server, out);
    write_boards(server, out);
    write_leases(server, out);
}

static void write_unready_board(struct board *board, struct json_writer *json)
{
    const struct ocd_link *link = board_link(board);
    const char *reason = ocd_link_last_error(link);
    json_open_object(json, NULL);
    json_text(json, "board", board_name(board));
    json_text(json, "link", ocd_link_state_name(ocd_link_get_state(link)));
    json_text(json, "reason", reason[0] != '\0' ? reason : "it has not answered yet");
    json_close_object(json);
}

static void write_readiness(const struct server *server, struct http_reply *reply)
{
    struct json_writer json;
    bool ready = server->stop_timer == NULL;
    for (size_t i = 0; i < server->board_count; i++) {
        ready = ready && board_is_up(server->boards[i]);
    }
    reply->status = ready ? 200 : 503;
    reply->content_type = "application/json";
    json_writer_init(&json, &reply->body);
    json_open_object(&json, NULL);
    json_bool(&json, "ready", ready);
    json_bool(&json, "stopping", server->stop_timer != NULL);
    json_open_array(&json, "boards_not_ready");
    for (size_t i = 0; i < server->board_count; i++) {
        if (!board_is_up(server->boards[i])) {
            write_unready_board(server->boards[i], &json);
        }
    }
    json_close_array(&json);
    json_close_object(&json);
    strbuf_append_byte(&reply->body, '\n');
}

static void answer(void *context, const char *path, struct http_reply *reply)
{
    struct server *server = context;
    if (strcmp(path, "/metrics") == 0) {
        reply->status = 200;
        reply->content_type = METRICS_TEXT_TYPE;
        metrics_page_write(server, &reply->body);
    } else if (strcmp(path, "/healthz") == 0) {
        reply->status = 200; /* who can answer is alive */
    } else if (strcmp(path, "/readyz") == 0) {
        write_readiness(server, reply);
    }
}

bool metrics_page_open(struct server *server, struct err *err)
{
    const struct config *config = server->config;
    if (!config->metrics_given) {
        return true;
    }
    if (!http_new(&server->http, server->loop, &config->metrics, answer, server, err)) {
        err_prefix(err, "metrics");
        return false;
    }
    log_info("metrics and health at http://%s", http_address(server->http));
    return true;
}
