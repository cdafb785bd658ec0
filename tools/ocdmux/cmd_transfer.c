/* dump and load-bytes: memory to and from files. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/strbuf.h"
#include "cmd_transfer.h"
#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"

/* Larger pieces are no faster, and a cancel between pieces knows exactly how far it came. */
#define CMD_LOAD_PIECE_BYTES ((uint64_t)1 << 20)

const struct option cmd_dump_options[] = {
    {"on-server", "PATH", "the server writes the file, below its directory for dumps", NULL},
    {"to-stage", NULL, "the server keeps the bytes as a stage", NULL},
    {"consistent", NULL, "let nobody change the board meanwhile", NULL},
    {"physical", NULL, "the address is a physical one, past the MMU", NULL},
    {NULL, NULL, NULL, NULL},
};

/* --- dump --- */

/* What went wrong with the data of a dump. */
enum cmd_dump_fault {
    CMD_DUMP_GOOD,
    CMD_DUMP_MALFORMED, /* a piece that the protocol does not allow */
    CMD_DUMP_GAP,
    CMD_DUMP_TOO_MUCH,
    CMD_DUMP_FILE, /* told already */
};

struct cmd_dump {
    uint64_t wanted;
    uint64_t received;
    struct sha256 *sha;
    struct file_output output;
    struct strbuf bytes; /* of one piece */
    enum cmd_dump_fault fault;
    const char *method;
};

static enum cmd_dump_fault cmd_dump_take(struct cmd_dump *dump, const cJSON *params)
{
    uint64_t offset;
    const char *text = field_text(params, "data");
    strbuf_clear(&dump->bytes);
    if (text == NULL || !field_u64(params, "offset", &offset) ||
        !base64_decode(&dump->bytes, text, strlen(text))) {
        return CMD_DUMP_MALFORMED;
    }
    if (offset != dump->received) {
        return CMD_DUMP_GAP;
    }
    if (dump->bytes.length > dump->wanted - dump->received) {
        return CMD_DUMP_TOO_MUCH;
    }
    const uint8_t *bytes = (const uint8_t *)strbuf_text(&dump->bytes);
    sha256_add(dump->sha, bytes, dump->bytes.length);
    dump->received += dump->bytes.length;
    return file_output_write(&dump->output, bytes, dump->bytes.length) ? CMD_DUMP_GOOD : CMD_DUMP_FILE;
}

static bool cmd_dump_data(void *arg, const struct ocdmux_notification *notification)
{
    struct cmd_dump *dump = arg;
    if (dump->fault == CMD_DUMP_GOOD) {
        dump->fault = cmd_dump_take(dump, notification->params);
    }
    return dump->fault == CMD_DUMP_GOOD;
}

/* Reports a fault. Must not be called for CMD_DUMP_GOOD. */
static enum status cmd_dump_report(struct session *session, const struct cmd_dump *dump)
{
    const char *reason = "";
    switch (dump->fault) {
    case CMD_DUMP_MALFORMED:
        reason = "malformed";
        break;
    case CMD_DUMP_GAP:
        reason = "not where the last one ended";
        break;
    case CMD_DUMP_TOO_MUCH:
        reason = "more than was asked for";
        break;
    case CMD_DUMP_GOOD:
    case CMD_DUMP_FILE:
        return STATUS_FAILED;
    }
    return session_report_own(session, "data_corrupted", "a piece of data after %" PRIu64 " bytes is %s",
                              dump->received, reason);
}

/* Whether what has arrived is what the server read. */
static bool cmd_dump_check(struct session *session, struct cmd_dump *dump, const cJSON *result)
{
    char own[SHA256_TEXT_SIZE];
    uint64_t size;
    const char *sha = field_text(result, "sha256");
    if (!field_u64(result, "size", &size) || sha == NULL) {
        (void)session_report_result(session, dump->method);
        return false;
    }
    if (size != dump->wanted || dump->received != dump->wanted) {
        (void)session_report_own(session, "data_corrupted",
                                 "%" PRIu64 " of %" PRIu64 " bytes arrived, and the server read %" PRIu64,
                                 dump->received, dump->wanted, size);
        return false;
    }
    sha256_finish(dump->sha, own);
    if (strcmp(own, sha) != 0) {
        (void)session_report_own(session, "data_corrupted",
                                 "the bytes have the SHA-256 %s, the server read %s", own, sha);
        return false;
    }
    return true;
}

static enum status cmd_dump_request(struct session *session, struct cmd_dump *dump, cJSON *take_params)
{
    struct progress progress;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    progress_init(&progress, false);
    struct session_extra extra = {.progress = &progress, .data = cmd_dump_data, .data_arg = dump};
    bool good = session_call(session, dump->method, take_params, &extra, &result);
    enum status status = good ? STATUS_OK : session->status;
    if (dump->fault != CMD_DUMP_GOOD) {
        status = cmd_dump_report(session, dump);
    } else if (good && !cmd_dump_check(session, dump, result.json)) {
        status = session->status;
    }
    if (status == STATUS_OK) {
        session_note_disturbed(result.json);
        status = file_output_commit(&dump->output) ? STATUS_OK : STATUS_FAILED;
    } else {
        file_output_abort(&dump->output);
    }
    if (status == STATUS_OK && session->json) {
        print_json(stdout, result.text, result.length);
    }
    ocdmux_result_fini(&result);
    return status;
}

enum status transfer_read(struct session *session, const char *method, cJSON *take_params, uint64_t size,
                          const char *path)
{
    struct cmd_dump dump = {.wanted = size, .method = method};
    /* The connection first: where there is none, no file is touched. */
    if (!session_connect(session)) {
        cJSON_Delete(take_params);
        return session->status;
    }
    if (!file_output_open(&dump.output, path)) {
        cJSON_Delete(take_params);
        return STATUS_FAILED;
    }
    cJSON_AddTrueToObject(take_params, "stream");
    dump.sha = sha256_new();
    enum status status = cmd_dump_request(session, &dump, take_params);
    sha256_free(dump.sha);
    strbuf_fini(&dump.bytes);
    return status;
}

bool transfer_show_kept(void *member, const cJSON *result)
{
    uint64_t size;
    const char *path = field_text(result, member);
    const char *sha = field_text(result, "sha256");
    if (path == NULL || sha == NULL || !field_u64(result, "size", &size)) {
        return false;
    }
    print_field(stdout, path);
    printf(": %" PRIu64 " bytes, SHA-256 ", size);
    print_field(stdout, sha);
    putchar('\n');
    fflush(stdout);
    session_note_disturbed(result);
    return true;
}

enum status cmd_dump(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    const char *on_server = options_value(arguments, "on-server");
    static char stage[] = "stage";
    static char path[] = "path";
    uint64_t address = 0;
    uint64_t size = 0;
    if (!options_word_number(arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !options_word_number(arguments, 1, NUMBER_SIZE, 1, UINT64_MAX, &size)) {
        return STATUS_USAGE;
    }
    bool to_stage = options_has(arguments, "to-stage");
    int places = (arguments->count > 2 ? 1 : 0) + (on_server != NULL ? 1 : 0) + (to_stage ? 1 : 0);
    if (places != 1) {
        (void)options_complain(arguments, "dump needs one of FILE, --on-server PATH and --to-stage");
        return STATUS_USAGE;
    }
    bool here = arguments->count > 2;
    if (session->json && here && strcmp(arguments->words[2], "-") == 0) {
        (void)options_complain(arguments, "--json and '-' both want standard output");
        return STATUS_USAGE;
    }
    cJSON *params = session_long_params(session);
    ocdmux_json_add_address(params, "address", address);
    ocdmux_json_add_u64(params, "size", size);
    if (options_has(arguments, "physical")) {
        cJSON_AddTrueToObject(params, "physical");
    }
    if (options_has(arguments, "consistent")) {
        cJSON_AddTrueToObject(params, "consistent");
    }
    if (here) {
        return transfer_read(session, "memory.read_bytes", params, size, arguments->words[2]);
    }
    struct progress progress;
    progress_init(&progress, false);
    struct session_extra extra = {.progress = &progress};
    if (on_server != NULL) {
        cJSON_AddStringToObject(params, "path", on_server);
    }
    return session_show(session, "memory.dump", params, &extra, transfer_show_kept, to_stage ? stage : path);
}

/* --- load-bytes --- */

struct cmd_load {
    uint64_t address;
    const uint8_t *bytes;
    size_t length;
    struct progress progress;
};

/* Writes the piece at `offset`. */
static enum status cmd_load_piece(struct session *session, struct cmd_load *load, uint64_t offset,
                                  uint64_t length)
{
    struct strbuf data = STRBUF_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.progress = &load->progress};
    uint64_t written;
    base64_encode(&data, load->bytes + offset, (size_t)length);
    cJSON *params = session_long_params(session);
    ocdmux_json_add_address(params, "address", load->address + offset);
    cJSON_AddStringToObject(params, "data", strbuf_text(&data));
    strbuf_fini(&data);
    if (options_has(session->arguments, "physical")) {
        cJSON_AddTrueToObject(params, "physical");
    }
    load->progress.piece_base = offset;
    if (!session_call(session, "memory.write_bytes", params, &extra, &result)) {
        return session->status;
    }
    enum status status = STATUS_OK;
    if (!field_u64(result.json, "size", &written) || written != length) {
        status = session_report_result(session, "memory.write_bytes");
    } else if (session->json) {
        print_json(stdout, result.text, result.length);
    }
    ocdmux_result_fini(&result);
    return status;
}

static enum status cmd_load_pieces(struct session *session, struct cmd_load *load)
{
    uint64_t total = load->length;
    if (!session_connect(session)) {
        return session->status;
    }
    uint64_t piece = ocdmux_inline_room(session->connection);
    piece = piece < CMD_LOAD_PIECE_BYTES ? piece : CMD_LOAD_PIECE_BYTES;
    if (piece == 0) {
        return session_report_own(session, OCDMUX_KIND_LINE_TOO_LONG,
                                  "the server's lines are too short for any data");
    }
    for (uint64_t offset = 0; offset < total; offset += piece) {
        uint64_t length = total - offset < piece ? total - offset : piece;
        enum status status = session->interrupted ? session_report_own(session, OCDMUX_KIND_CANCELLED,
                                                                       "stopped between two requests")
                                                  : cmd_load_piece(session, load, offset, length);
        if (status != STATUS_OK) {
            fprintf(stderr, "  written before that: %" PRIu64 " of %" PRIu64 " bytes\n", offset, total);
            return status;
        }
    }
    return STATUS_OK;
}

enum status transfer_write(struct session *session, uint64_t address, const uint8_t *bytes, size_t length)
{
    struct cmd_load load = {.address = address, .bytes = bytes, .length = length};
    progress_init(&load.progress, false);
    load.progress.piece_total = length;
    return cmd_load_pieces(session, &load);
}

enum status cmd_load_bytes(struct session *session)
{
    struct strbuf bytes = STRBUF_INIT;
    uint64_t address = 0;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !file_read(session->arguments->words[1], &bytes)) {
        strbuf_fini(&bytes);
        return STATUS_USAGE;
    }
    enum status status = STATUS_USAGE;
    if (bytes.length - 1 > UINT64_MAX - address) {
        (void)options_complain(session->arguments, "FILE does not fit behind ADDRESS");
    } else {
        status = transfer_write(session, address, (const uint8_t *)bytes.data, bytes.length);
    }
    if (status == STATUS_OK && !session->json) {
        printf("%zu bytes written at 0x%08" PRIx64 "\n", bytes.length, address);
    }
    strbuf_fini(&bytes);
    return status;
}
