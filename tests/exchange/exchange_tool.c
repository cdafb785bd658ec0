/*
 * The daemon's own code for the files of commands (board/exchange on openocd/link), without clients and
 * targets: for tests of content and size, and for timing.
 *
 *   exchange_tool PORT SHARE_DIRECTORY|none
 *
 * Connects to OpenOCD and says how files go ("shared", "link", "none"). Then it reads lines and answers each:
 *
 *   put FILE OFFSET SIZE SCRIPT    runs SCRIPT with these bytes of FILE in $p
 *   get FILE SCRIPT                runs SCRIPT and writes what it left in $p to FILE
 *
 * with "CODE SECONDS RESULT" (for `get` the length), or "failed MESSAGE" where there was no file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "board/exchange.h"
#include "net/address.h"
#include "net/loop.h"
#include "openocd/link.h"

struct tool {
    struct loop *loop;
    struct ocd_link *link;
    struct exchange exchange;
    struct op_command command;
    const char *get_path;
    uint64_t begun_us;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "exchange_tool: %s: %s\n", what, why);
    exit(1);
}

static void write_result(const char *path, const struct ocd_reply *reply)
{
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(reply->result, 1, reply->result_length, file) != reply->result_length ||
        fclose(file) != 0) {
        die(path, "cannot be written");
    }
}

static void say(const struct tool *tool, const struct ocd_reply *reply, double seconds)
{
    if (tool->command.file == OP_FILE_GET && ocd_reply_ok(reply)) {
        write_result(tool->get_path, reply);
        printf("%ld %.6f %zu\n", reply->code, seconds, reply->result_length);
    } else {
        printf("%ld %.6f %s\n", reply->code, seconds, reply->result);
    }
}

static void on_reply(void *context, const struct ocd_reply *reply)
{
    struct tool *tool = context;
    struct ocd_reply taken = *reply;
    struct err err;
    if (exchange_end(&tool->exchange, &tool->command, &taken, &err)) {
        say(tool, &taken, (double)(clock_now_us() - tool->begun_us) / 1e6);
    } else {
        printf("failed %s\n", err.message);
    }
    exchange_drop(&tool->exchange);
    loop_stop(tool->loop);
}

static void on_changed(void *context, enum ocd_link_state old_state, const char *reason)
{
    struct tool *tool = context;
    if (reason != NULL) {
        die("the link", reason);
    }
    if (old_state == OCD_LINK_HANDSHAKE) {
        puts(ocd_files_name(ocd_link_info(tool->link)->files));
        loop_stop(tool->loop);
    }
}

static void on_lost(void *context, const char *reason)
{
    (void)context;
    die("the link", reason);
}

static void on_notification(void *context, const char *type, const char *value)
{
    (void)context;
    (void)type;
    (void)value;
}

static const struct ocd_link_handler handler = {
    .changed = on_changed, .reply = on_reply, .lost = on_lost, .notification = on_notification};

static void run(struct tool *tool)
{
    struct strbuf script = STRBUF_INIT;
    struct envelope_data data;
    struct err err;
    tool->begun_us = clock_now_us();
    bool sent =
        exchange_begin(&tool->exchange, &script, &data, ocd_link_info(tool->link), &tool->command, &err) &&
        ocd_link_send(tool->link, &script, &data, 0, true, &err);
    strbuf_fini(&script);
    if (sent) {
        loop_run(tool->loop);
    } else {
        printf("failed %s\n", err.message);
    }
}

static void read_piece(const char *path, long offset, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL || fseek(file, offset, SEEK_SET) != 0 || fread(bytes, 1, size, file) != size) {
        die(path, "cannot be read");
    }
    fclose(file);
}

static void put(struct tool *tool, const char *line)
{
    char path[1024];
    long offset = 0;
    size_t size = 0;
    int end = 0;
    if (sscanf(line, "put %1023s %ld %zu %n", path, &offset, &size, &end) != 3) {
        die(line, "is not understood");
    }
    uint8_t *bytes = xmalloc(size + 1);
    read_piece(path, offset, bytes, size);
    tool->command.file = OP_FILE_PUT;
    tool->command.file_bytes = bytes;
    tool->command.file_size = size;
    strbuf_append_text(&tool->command.script, line + end);
    run(tool);
    free(bytes);
}

static void get(struct tool *tool, const char *line)
{
    char path[1024];
    int end = 0;
    if (sscanf(line, "get %1023s %n", path, &end) != 1) {
        die(line, "is not understood");
    }
    tool->command.file = OP_FILE_GET;
    tool->get_path = path;
    strbuf_append_text(&tool->command.script, line + end);
    run(tool);
}

static void serve(struct tool *tool)
{
    char line[8192];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        strbuf_clear(&tool->command.script);
        tool->command.file_bytes = NULL;
        tool->command.file_size = 0;
        if (strncmp(line, "put ", 4) == 0) {
            put(tool, line);
        } else {
            get(tool, line);
        }
        fflush(stdout);
    }
}

static struct private_dir *make_share(const char *parent)
{
    struct private_dir_options options = {.parent = parent, .prefix = "exchange-tool"};
    struct private_dir *share = NULL;
    struct err err;
    if (strcmp(parent, "none") != 0 && !private_dir_new(&share, &options, &err)) {
        die("the directory", err.message);
    }
    return share;
}

int main(int argc, char **argv)
{
    struct tool tool = {.loop = loop_new()};
    struct net_address address;
    struct ocd_link_options options = {.name = "tool", .limit_ms = 60000};
    struct err err;
    char text[64];

    if (argc != 3) {
        die("usage", "exchange_tool PORT SHARE_DIRECTORY|none");
    }
    log_set_level(LOG_LEVEL_WARN);
    snprintf(text, sizeof text, "127.0.0.1:%.8s", argv[1]);
    if (!net_address_parse_host_port(&address, text, &err)) {
        die("the port", err.message);
    }
    options.share = make_share(argv[2]);
    exchange_init(&tool.exchange, options.share);
    tool.link = ocd_link_new(tool.loop, &address, &options, &handler, &tool);
    loop_run(tool.loop);
    fflush(stdout);
    serve(&tool);
    ocd_link_free(tool.link);
    exchange_fini(&tool.exchange);
    private_dir_free(options.share);
    strbuf_fini(&tool.command.script);
    loop_free(tool.loop);
    return 0;
}
