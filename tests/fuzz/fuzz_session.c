/*
 * Whole sessions: the daemon's core with one board, whose OpenOCD is played here, and some clients. The input
 * says who does what: calls out of the method table, valid and nearly so, and what OpenOCD answers to them.
 * Time does not pass: the loop is turned until nothing happens any more, and what waits for its time goes on
 * waiting. Every call is answered once at the most, and in the end is either answered or still held by its
 * client; limits hold all the time.
 */
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz_check.h"

#include "base/alloc.h"
#include "base/log.h"
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "net/loop_event.h"
#include "server/client.h"
#include "server/config_identity.h"
#include "server/request.h"

#define MOST_ACTIONS 48u
#define MOST_CLIENTS 3u
#define MOST_TURNS 400u
#define MOST_IN_FLIGHT 6u
#define MOST_WATCHES 2u
#define MOST_TOTAL_BYTES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One of ours: `fd` -1 once it is closed on either side. */
struct near_client {
    int fd;
    uint64_t number; /* the daemon's */
    struct strbuf input;
};

/* By id, from 1 on. */
struct sent_call {
    unsigned client; /* MOST_CLIENTS: its connection has gone */
    bool answered;
};

struct session {
    const uint8_t *at;
    const uint8_t *end;
    struct loop *loop;
    struct config config;
    struct server *server;
    struct near_client clients[MOST_CLIENTS];
    struct sent_call calls[MOST_ACTIONS + 1];
    size_t call_count;
    int link;              /* -1: not connected */
    struct strbuf command; /* what came over it and is not answered */
};

static int listener = -1;
static char directory[] = "/tmp/fuzz-session-XXXXXX";
static char link_path[sizeof directory + sizeof "/link"];

static void clean_up(void)
{
    unlink(link_path);
    rmdir(directory);
}

/* One listener for all sessions. */
static void listen_once(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (listener >= 0) {
        return;
    }
    log_set_level(LOG_LEVEL_ERROR);
    require(mkdtemp(directory) != NULL);
    snprintf(link_path, sizeof link_path, "%s/link", directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", link_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    require(listen(listener, 16) == 0 && atexit(clean_up) == 0);
}

static unsigned take(struct session *session)
{
    return session->at < session->end ? *session->at++ : 0;
}

/* The world outside, once around. */

static void take_id(struct session *session, unsigned client, const char *digits)
{
    unsigned long id = strtoul(digits, NULL, 10);
    if (id == 0) {
        return; /* null: of a line that was no call */
    }
    require(id <= session->call_count);
    struct sent_call *call = &session->calls[id];
    require(call->client == client && !call->answered);
    call->answered = true;
}

/* Of a batch all replies: what looks like the start of one inside a text has its quotes escaped. */
static void take_line(struct session *session, unsigned client, const char *line)
{
    static const char reply[] = "{\"jsonrpc\":\"2.0\",\"id\":";
    static const char notification[] = "{\"jsonrpc\":\"2.0\",\"method\":";
    if (strncmp(line, notification, sizeof notification - 1) == 0) {
        return;
    }
    const char *at = line[0] == '[' ? line + 1 : line;
    require(strncmp(at, reply, sizeof reply - 1) == 0);
    while ((at = strstr(at, reply)) != NULL) {
        at += sizeof reply - 1;
        take_id(session, client, at);
    }
}

static void take_lines(struct session *session, unsigned client)
{
    struct strbuf *input = &session->clients[client].input;
    char *line = input->data;
    char *newline;
    if (input->length == 0) {
        return;
    }
    while ((newline = memchr(line, '\n', (size_t)(input->data + input->length - line))) != NULL) {
        *newline = '\0';
        take_line(session, client, line);
        line = newline + 1;
    }
    struct strbuf rest = STRBUF_INIT;
    strbuf_append(&rest, line, (size_t)(input->data + input->length - line));
    strbuf_fini(input);
    *input = rest;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* What is there; true if anything was. */
static bool read_all(int *fd, struct strbuf *into)
{
    char bytes[4096];
    bool any = false;
    while (*fd >= 0) {
        ssize_t count = recv(*fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0) {
            strbuf_append(into, bytes, (size_t)count);
            any = true;
        } else if (count == 0) {
            close_fd(fd);
        } else {
            break;
        }
    }
    return any;
}

static void check_limits(const struct session *session)
{
    require(session->server->queued_bytes <= MOST_TOTAL_BYTES);
    require(session->server->counters.clients <= 64);
    list_for_each (node, &session->server->clients) {
        const struct client *client = list_entry(node, struct client, node);
        require(client->in_flight <= MOST_IN_FLIGHT);
        require(client->watch_count <= MOST_WATCHES);
        require(client->queued_bytes <= session->server->queued_bytes);
    }
}

/* False if nothing came from the daemon. */
static bool turn(struct session *session)
{
    bool any = false;
    require(event_base_loop(loop_event_base(session->loop), EVLOOP_NONBLOCK) >= 0);
    check_limits(session);
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) {
        close_fd(&session->link);
        session->link = fd;
        strbuf_clear(&session->command);
        any = true;
    }
    any = read_all(&session->link, &session->command) || any;
    for (unsigned i = 0; i < MOST_CLIENTS; i++) {
        any = read_all(&session->clients[i].fd, &session->clients[i].input) || any;
        take_lines(session, i);
    }
    return any;
}

/* The side of OpenOCD. */

static void send_link(struct session *session, const struct strbuf *bytes)
{
    if (session->link >= 0) {
        (void)!send(session->link, strbuf_text(bytes), bytes->length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

static void append_values(struct strbuf *out, const char *call)
{
    unsigned count = 0;
    if (sscanf(call, "read_memory %*s %*u %u", &count) != 1 || count > 4096) {
        count = 1;
    }
    for (unsigned i = 0; i < count; i++) {
        strbuf_append_text(out, i > 0 ? " 0x5a" : "0x5a");
    }
}

#define BANKS "{{name f driver stm32f1x base 134217728 size 4096 bus_width 0 chip_width 0 target cpu}}"
#define ROWS                                                                   \
    "{#0 : stm32f1x at 0x08000000, size 0x00001000, buswidth 0, chipwidth 0\n" \
    "\t#  0: 0x00000000 (0x800 2kB) not protected\n\t#  1: 0x00000800 (0x800 2kB) protected\ndriver}"

/* What a healthy OpenOCD might say to such a script. */
static void append_result(struct strbuf *out, const char *script)
{
    static const struct {
        const char *has;
        const char *says;
    } answers[] = {
        {"\"version\"", "Open On-Chip Debugger 0.12.0"},
        {"flash probe", BANKS " " ROWS " " ROWS},
        {"target names", "cpu {{cpu cortex_m little halted 32 3333 1}} " BANKS},
        {"flash list", BANKS},
        {"glob -nocomplain", "/tmp/o-XXXXXX"},
        {"get_reg", "halted {r0 0x1 pc 0x2} halted"},
        {"erase_sector", "erased sectors 0 through 0 on flash bank 0 in 0.1s"},
        {"flash protect", "set protection for blocks 0 through 0 on flash bank 0"},
        {"curstate", "halted"},
        {"\\\"reg\\\"", "===== core\n(0) r0 (/32): 0x0\n(1) pc (/32)\n"},
    };
    const char *read = strstr(script, "read_memory");
    if (read != NULL) {
        append_values(out, read);
        return;
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (strstr(script, answers[i].has) != NULL) {
            strbuf_append_text(out, answers[i].says);
            return;
        }
    }
}

struct answer {
    long code;
    struct strbuf result;
    const char *log;
    const char *options;
};

static void append_answer(struct strbuf *out, const char *script, const struct answer *answer)
{
    size_t lengths[] = {answer->result.length, strlen(answer->log), strlen(answer->options)};
    bool bundle = strstr(script, "foreach s ") != NULL && strstr(script, "incr n;") != NULL;
    if (bundle) { /* of which the first command ran */
        struct strbuf whole = STRBUF_INIT;
        strbuf_appendf(&whole, "1 %ld %zu %zu %zu:", answer->code, lengths[0], lengths[1], lengths[2]);
        strbuf_append(&whole, answer->result.data, lengths[0]);
        strbuf_appendf(&whole, "%c%s%c%s%c", 0, answer->log, 0, answer->options, 0);
        strbuf_appendf(out, " 0 %zu 0 0:", whole.length);
        strbuf_append(out, whole.data, whole.length);
        strbuf_fini(&whole);
        return;
    }
    strbuf_appendf(out, " %ld %zu %zu %zu:", answer->code, lengths[0], lengths[1], lengths[2]);
    strbuf_append(out, answer->result.data, lengths[0]);
    strbuf_appendf(out, "%s%s", answer->log, answer->options);
}

static void choose_answer(struct session *session, unsigned how, const char *script, struct answer *answer)
{
    static const long codes[] = {-4, -107, -304, -902, -908, -909, 5, 7700};
    *answer = (struct answer){.log = "", .options = "", .result = STRBUF_INIT};
    if (how == 1) {
        answer->code = codes[take(session) % 8];
        answer->log = "Target not halted\nfailed\n";
    } else if (how == 2) {
        answer->code = 1;
        answer->options = "-errorcode {OpenOCD -304}";
    } else if (how == 3) {
        unsigned length = take(session) % 32;
        for (unsigned i = 0; i < length; i++) {
            strbuf_append_byte(&answer->result, (char)take(session));
        }
    } else {
        append_result(&answer->result, script);
    }
}

/* To the command that waits, if it is complete. `how` 0: well. */
static bool answer_command(struct session *session, unsigned how)
{
    static const char mark[] = "return \"\\x00";
    struct strbuf out = STRBUF_INIT;
    struct answer answer;
    const char *script = strbuf_text(&session->command);
    const char *nonce = strstr(script, mark);
    if (nonce == NULL || memchr(script, 0x1a, session->command.length) == NULL) {
        return false;
    }
    nonce += sizeof mark - 1;
    choose_answer(session, how, script, &answer);
    strbuf_append_byte(&out, '\0');
    strbuf_append(&out, nonce, strcspn(nonce, " "));
    append_answer(&out, script, &answer);
    strbuf_append_byte(&out, 0x1a);
    strbuf_clear(&session->command);
    send_link(session, &out);
    strbuf_fini(&answer.result);
    strbuf_fini(&out);
    return true;
}

/* What nobody asked for. */
static void disturb_link(struct session *session)
{
    static const char *const frames[] = {"type target_event event halted\r\n\x1a",
                                         "type target_state state running\r\n\x1a", "stray\x1a",
                                         "half a fra"};
    struct strbuf bytes = STRBUF_INIT;
    unsigned which = take(session) % 6;
    if (which < 4) {
        strbuf_append_text(&bytes, frames[which]);
    } else if (which == 4) {
        strbuf_append(&bytes, "line too long\n\0", 15);
    } else {
        close_fd(&session->link);
    }
    send_link(session, &bytes);
    strbuf_fini(&bytes);
}

/* The side of the clients. */

static const char *any_number(struct session *session, const struct rpc_param *param, char text[32])
{
    static const char *const odd[] = {"-1", "1.5", "\"0x20000000\"", "18446744073709551615", "null",
                                      "[]", "{}"};
    unsigned how = take(session);
    if (how >= 0xf0) {
        return odd[how % 7];
    }
    uint64_t span = param->maximum - param->minimum;
    uint64_t value = param->minimum + (span > how ? how : span);
    snprintf(text, 32, "%llu", (unsigned long long)(how >= 0xe0 ? param->maximum : value));
    return text;
}

static void append_text(struct session *session, struct strbuf *line, const struct rpc_param *param)
{
    static const char *const words[] = {"\"b\"",    "\"cpu\"",  "\"f\"",      "\"r0\"",   "\"pc\"",
                                        "\"AAAA\"", "\"00ff\"", "\"halted\"", "\"op-1\"", "\"set x 1\"",
                                        "\"\"",     "7",        "null"};
    unsigned how = take(session);
    if (param->choices != NULL && how < 0xf0) {
        size_t count = 0;
        while (param->choices[count] != NULL) {
            count++;
        }
        strbuf_appendf(line, "\"%s\"", param->choices[how % count]);
        return;
    }
    strbuf_append_text(line, words[how % (sizeof words / sizeof words[0])]);
}

static void append_value(struct session *session, struct strbuf *line, const struct rpc_param *param)
{
    char text[32];
    switch (param->kind) {
    case RPC_PARAM_U64:
        strbuf_append_text(line, any_number(session, param, text));
        break;
    case RPC_PARAM_BOOL:
        strbuf_append_text(line, take(session) % 2 == 0 ? "true" : "false");
        break;
    case RPC_PARAM_INTEGERS:
        strbuf_appendf(line, "[%s]", any_number(session, param, text));
        break;
    case RPC_PARAM_NUMBERS:
        strbuf_append_text(line, "[1]");
        break;
    case RPC_PARAM_RANGES:
        strbuf_appendf(line, "[{\"address\":536870912,\"size\":%s}]", any_number(session, param, text));
        break;
    case RPC_PARAM_TEXTS:
    case RPC_PARAM_CHOICES:
        strbuf_append_byte(line, '[');
        append_text(session, line, param);
        strbuf_append_byte(line, ']');
        break;
    case RPC_PARAM_TOKEN:
    case RPC_PARAM_ID:
        strbuf_appendf(line, "%u", take(session) % MOST_ACTIONS);
        break;
    case RPC_PARAM_TEXT:
    case RPC_PARAM_SCRIPT:
    case RPC_PARAM_CHOICE:
    case RPC_PARAM_BYTES:
    case RPC_PARAM_ANY:
        append_text(session, line, param);
        break;
    }
}

/* What is required always, the rest by the bits of `chosen`. */
static void append_params(struct session *session, struct strbuf *line, const struct rpc_param *params,
                          size_t count, unsigned chosen)
{
    for (size_t i = 0; i < count; i++) {
        if (!params[i].required && (chosen >> i % 8 & 1) == 0) {
            continue;
        }
        bool first = line->data[line->length - 1] == '{';
        strbuf_appendf(line, "%s\"%s\":", first ? "" : ",", params[i].name);
        append_value(session, line, &params[i]);
    }
}

/* Lost where the client has closed that way. Lines are short and few: there is always room. */
static void send_client(const struct near_client *client, const struct strbuf *line)
{
    if (client->fd >= 0) {
        ssize_t sent = send(client->fd, strbuf_text(line), line->length, MSG_DONTWAIT | MSG_NOSIGNAL);
        require(sent < 0 || (size_t)sent == line->length);
    }
}

static void send_call(struct session *session, unsigned index)
{
    struct near_client *client = &session->clients[index];
    const struct rpc_method *method = &rpc_methods[take(session) % RPC_METHOD_COUNT];
    struct strbuf line = STRBUF_INIT;
    unsigned flags = take(session);
    if (client->fd < 0) {
        return;
    }
    bool batch = flags % 16 == 0x0e; /* with something that is no call */
    strbuf_append_text(&line, batch ? "[{},{\"jsonrpc\":\"2.0\"," : "{\"jsonrpc\":\"2.0\",");
    if (flags != 0xff) { /* else a notification: never answered */
        session->calls[++session->call_count] = (struct sent_call){.client = index};
        strbuf_appendf(&line, "\"id\":%zu,", session->call_count);
    }
    strbuf_appendf(&line, "\"method\":\"%s\",\"params\":{", method->name);
    append_params(session, &line, method->params, method->param_count, flags & 0x0f ? flags : 0);
    if (method->board && flags % 4 == 3) {
        append_params(session, &line, rpc_common_params, RPC_COMMON_PARAM_COUNT, take(session));
    }
    strbuf_append_text(&line, batch ? "}}]\n" : "}}\n");
    send_client(client, &line);
    strbuf_fini(&line);
}

static void send_rubbish(struct session *session, unsigned index)
{
    static const char *const lines[] = {"{}\n",
                                        "nonsense\n",
                                        "{\"jsonrpc\":\"2.0\",\"id\":null}\n",
                                        "[]\n",
                                        "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"no.such\"}\n",
                                        "\n"};
    struct strbuf line = STRBUF_INIT;
    strbuf_append_text(&line, lines[take(session) % (sizeof lines / sizeof lines[0])]);
    send_client(&session->clients[index], &line);
    strbuf_fini(&line);
}

static void open_client(struct session *session, unsigned index)
{
    struct near_client *client = &session->clients[index];
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    client->fd = pair[0];
    client->number = client_new(session->server, pair[1], NULL)->number;
    strbuf_clear(&client->input);
    for (size_t id = 1; id <= session->call_count; id++) {
        if (session->calls[id].client == index) {
            session->calls[id].client = MOST_CLIENTS; /* of the connection before */
        }
    }
}

/* Leaves: at once, or with its last answers to come; or comes. */
static void move_client(struct session *session, unsigned index)
{
    struct near_client *client = &session->clients[index];
    if (client->fd < 0) {
        open_client(session, index);
    } else if (take(session) % 2 == 0) {
        close_fd(&client->fd);
    } else {
        shutdown(client->fd, SHUT_WR);
    }
}

static void act(struct session *session)
{
    unsigned what = take(session);
    unsigned client = what / 16 % MOST_CLIENTS;
    switch (what % 16) {
    case 8:
    case 9:
    case 10:
    case 11:
        (void)answer_command(session, what % 16 - 8);
        break;
    case 12:
        disturb_link(session);
        break;
    case 13:
        move_client(session, client);
        break;
    case 14:
        send_rubbish(session, client);
        break;
    case 15:
        break;
    default:
        send_call(session, client);
        break;
    }
    (void)turn(session);
}

/* Beginning and end. */

static void begin(struct session *session)
{
    struct err err;
    char address[sizeof link_path + sizeof "unix:"];
    err_reset(&err);
    snprintf(address, sizeof address, "unix:%s", link_path);
    config_init(&session->config);
    require(config_add_board(&session->config, "b", address, &err));
    session->config.anonymous_role = RPC_ROLE_ADMIN;
    session->config.anonymous_role_given = true;
    session->config.share_dir = xstrdup(CONFIG_NO_SHARE);
    session->config.stage_root = xstrdup(directory);
    session->config.limits.max_in_flight = MOST_IN_FLIGHT;
    session->config.limits.max_watches = MOST_WATCHES;
    session->config.limits.max_total_queued_bytes = MOST_TOTAL_BYTES;
    require(config_identities_complete(&session->config, &err));
    session->loop = loop_new();
    require(server_new(&session->server, session->loop, &session->config, handlers, &err));
    session->server->write_board = write_board_status;
    session->link = -1;
    for (unsigned i = 0; i < MOST_CLIENTS; i++) {
        open_client(session, i);
    }
}

/* Until nothing happens any more; OpenOCD answers everything well. */
static void settle(struct session *session)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < MOST_TURNS && idle < 3; i++) {
        bool any = turn(session);
        any = answer_command(session, 0) || any;
        idle = any ? 0 : idle + 1;
    }
}

static bool holds(const struct client *client, size_t id)
{
    list_for_each (node, &client->requests) {
        const struct request *request = list_entry(node, struct request, node);
        if (request->id != NULL && strtoul(request->id, NULL, 10) == id) {
            return true;
        }
    }
    return false;
}

/* A call is answered or held, and not both. What was not read yet is neither. */
static void check_calls(const struct session *session, const struct client *client, unsigned index)
{
    for (size_t id = 1; id <= session->call_count; id++) {
        const struct sent_call *call = &session->calls[id];
        if (call->client == index) {
            bool held = holds(client, id);
            require(!(held && call->answered));
            require(held || call->answered || client->reading_paused || client->login != NULL);
        }
    }
}

static void check_end(struct session *session)
{
    list_for_each (node, &session->server->clients) {
        const struct client *client = list_entry(node, struct client, node);
        for (unsigned i = 0; i < MOST_CLIENTS && client->state == CLIENT_OPEN; i++) {
            if (session->clients[i].fd >= 0 && session->clients[i].number == client->number) {
                check_calls(session, client, i);
            }
        }
    }
}

static void end(struct session *session)
{
    server_free(session->server);
    loop_free(session->loop);
    config_fini(&session->config);
    close_fd(&session->link);
    for (unsigned i = 0; i < MOST_CLIENTS; i++) {
        close_fd(&session->clients[i].fd);
        strbuf_fini(&session->clients[i].input);
    }
    strbuf_fini(&session->command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session session = {.at = data, .end = data + size};
    listen_once();
    begin(&session);
    if (take(&session) % 8 != 0) { /* else the handshake is the input's too */
        settle(&session);
    }
    for (unsigned i = 0; i < MOST_ACTIONS && session.at < session.end; i++) {
        act(&session);
    }
    settle(&session);
    check_end(&session);
    end(&session);
    return 0;
}
