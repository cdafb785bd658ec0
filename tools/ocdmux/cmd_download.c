/* download: a stage, or a flash bank by way of one, into a file of this machine. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/strbuf.h"
#include "cmd_transfer.h"
#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"
#include "sectors.h"

/* Larger pieces are no faster, and an interrupt waits for the piece to end. */
#define CMD_DOWNLOAD_PIECE_BYTES ((uint64_t)1 << 20)
/* A stage is removed without asking a board. */
#define CMD_DOWNLOAD_DELETE_MS 10000u

const struct option cmd_download_options[] = {
    {"bank", "N", "read flash bank N, 0 to 1023, instead of a stage", NULL},
    {"offset", "OFFSET", "where in the bank to begin, in bytes; default: 0", NULL},
    {"size", "SIZE", "bytes of the bank, 1 or more; default: up to its end", NULL},
    {"on-server", "PATH", "the server writes the bank into a file below its directory for dumps", NULL},
    {"consistent", NULL, "let nobody change the board while the bank is read", NULL},
    {NULL, NULL, NULL, NULL},
};

struct cmd_download {
    struct session *session;
    struct progress progress;
    struct file_output output;
    char stage[OCDMUX_ID_SIZE];
    char sha256[SHA256_TEXT_SIZE]; /* "": the server does not say */
    uint64_t size;
    uint64_t received;
    struct strbuf bytes; /* of one piece */
    struct strbuf json;  /* what --json prints */
};

/* Takes `stage`, `size` and `sha256` of a result; false if they are not what the protocol says. */
static bool cmd_download_take(struct cmd_download *download, const cJSON *object)
{
    const char *stage = field_text(object, "stage");
    const char *sha = field_text(object, "sha256");
    if (stage == NULL || stage[0] == '\0' || strlen(stage) >= sizeof(download->stage) ||
        !field_u64(object, "size", &download->size)) {
        return false;
    }
    if (sha != NULL && strlen(sha) != SHA256_TEXT_SIZE - 1) {
        return false;
    }
    memcpy(download->stage, stage, strlen(stage) + 1);
    (void)snprintf(download->sha256, sizeof(download->sha256), "%s", sha == NULL ? "" : sha);
    return true;
}

/* Takes the next piece of `wanted` bytes or less; false if it is not what the protocol says. */
static bool cmd_download_take_piece(struct cmd_download *download, const cJSON *result, uint64_t wanted)
{
    uint64_t offset;
    uint64_t size;
    const char *data = field_text(result, "data");
    strbuf_clear(&download->bytes);
    return data != NULL && field_u64(result, "offset", &offset) && field_u64(result, "size", &size) &&
           base64_decode(&download->bytes, data, strlen(data)) && offset == download->received &&
           size == download->bytes.length && size > 0 && size <= wanted;
}

static bool cmd_download_piece(struct cmd_download *download, uint64_t wanted, struct sha256 *sha)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.bar = &download->progress};
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "stage", download->stage);
    ocdmux_json_add_u64(params, "offset", download->received);
    ocdmux_json_add_u64(params, "size", wanted);
    if (!session_call(download->session, "stage.read", params, &extra, &result)) {
        return false;
    }
    bool good = cmd_download_take_piece(download, result.json, wanted);
    ocdmux_result_fini(&result);
    if (!good) {
        progress_end(&download->progress);
        (void)session_report_result(download->session, "stage.read");
        return false;
    }
    const uint8_t *bytes = (const uint8_t *)strbuf_text(&download->bytes);
    sha256_add(sha, bytes, download->bytes.length);
    download->received += download->bytes.length;
    if (!file_output_write(&download->output, bytes, download->bytes.length)) {
        download->session->status = STATUS_FAILED;
        return false;
    }
    progress_show(&download->progress, "download", download->received, download->size);
    return true;
}

/* Whether what has arrived is what the server has. */
static bool cmd_download_check(struct cmd_download *download, struct sha256 *sha)
{
    char own[SHA256_TEXT_SIZE];
    sha256_finish(sha, own);
    if (download->sha256[0] != '\0' && strcmp(own, download->sha256) != 0) {
        (void)session_report_own(download->session, "data_corrupted",
                                 "the bytes have the SHA-256 %s, the stage has %s", own, download->sha256);
        return false;
    }
    return true;
}

/* Reads the whole stage into the output. */
static bool cmd_download_read(struct cmd_download *download, struct sha256 *sha)
{
    struct session *session = download->session;
    uint64_t piece = ocdmux_inline_room(session->connection);
    piece = piece < CMD_DOWNLOAD_PIECE_BYTES ? piece : CMD_DOWNLOAD_PIECE_BYTES;
    /* With a piece of no bytes this would never end. */
    piece = piece > 0 ? piece : 1;
    while (download->received < download->size) {
        uint64_t rest = download->size - download->received;
        if (session->interrupted) {
            (void)session_report_own(session, OCDMUX_KIND_CANCELLED, "stopped during the download");
            return false;
        }
        if (!cmd_download_piece(download, rest < piece ? rest : piece, sha)) {
            return false;
        }
    }
    progress_end(&download->progress);
    return cmd_download_check(download, sha);
}

/* --- which stage --- */

/* Finds the stage of that id in a result of stage.list; false after a report. */
static bool cmd_download_find(struct cmd_download *download, const cJSON *result, const char *id)
{
    const cJSON *stages = field_array(result, "stages");
    const cJSON *stage = NULL;
    cJSON_ArrayForEach(stage, stages)
    {
        const char *text = field_text(stage, "stage");
        if (text != NULL && strcmp(text, id) == 0) {
            break;
        }
    }
    if (stages == NULL || (stage != NULL && !cmd_download_take(download, stage))) {
        (void)session_report_result(download->session, "stage.list");
        return false;
    }
    if (stage == NULL) {
        (void)session_report_own(download->session, "not_found", "there is no stage %s", id);
        return false;
    }
    if (!field_true(stage, "complete")) {
        (void)session_report_own(download->session, "stage_error", "stage %s is not complete", id);
        return false;
    }
    char *text = cJSON_PrintUnformatted(stage);
    strbuf_append_text(&download->json, text);
    cJSON_free(text);
    return true;
}

static bool cmd_download_look_up(struct cmd_download *download, const char *id)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!session_call(download->session, "stage.list", cJSON_CreateObject(), NULL, &result)) {
        return false;
    }
    bool good = cmd_download_find(download, result.json, id);
    ocdmux_result_fini(&result);
    return good;
}

/* Has the server read the bank into a stage. */
static bool cmd_download_read_bank(struct cmd_download *download, cJSON *take_params)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct session_extra extra = {.progress = &download->progress};
    if (!session_call(download->session, "flash.read_to_file", take_params, &extra, &result)) {
        return false;
    }
    bool good = cmd_download_take(download, result.json) && download->sha256[0] != '\0';
    if (good) {
        session_note_disturbed(result.json);
        strbuf_append(&download->json, result.text, result.length);
    } else {
        (void)session_report_result(download->session, "flash.read_to_file");
    }
    ocdmux_result_fini(&result);
    return good;
}

/* The copy of the bank has done its work; who may not remove it leaves it to its expiry. */
static void cmd_download_delete(const struct cmd_download *download)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_call_options options = {.timeout_ms = CMD_DOWNLOAD_DELETE_MS};
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "stage", download->stage);
    if (!ocdmux_call(download->session->connection, "stage.delete", params, &options, &result, &error)) {
        fputs("note: stage ", stderr);
        print_field(stderr, download->stage);
        fputs(" stays on the server until it expires: ", stderr);
        print_field(stderr, error.message);
        fputc('\n', stderr);
        ocdmux_error_fini(&error);
    }
    cJSON_Delete(params);
    ocdmux_result_fini(&result);
}

/* --- the command --- */

/* Fetches what `take_bank` (parameters of flash.read_to_file) or the stage `id` names into the open output.
 */
static bool cmd_download_fetch(struct cmd_download *download, cJSON *take_bank, const char *id)
{
    bool from_bank = take_bank != NULL;
    if (from_bank ? !cmd_download_read_bank(download, take_bank) : !cmd_download_look_up(download, id)) {
        file_output_abort(&download->output);
        return false;
    }
    struct sha256 *sha = sha256_new();
    bool good = cmd_download_read(download, sha);
    sha256_free(sha);
    if (!good) {
        file_output_abort(&download->output);
        if (from_bank) {
            fputs("  the server keeps what it read: 'ocdmux download ", stderr);
            print_field(stderr, download->stage);
            fputs(" FILE' tries again\n", stderr);
        }
        return false;
    }
    if (!file_output_commit(&download->output)) {
        download->session->status = STATUS_FAILED;
        return false;
    }
    if (from_bank) {
        cmd_download_delete(download);
    }
    return true;
}

/* Parameters of flash.read_to_file; NULL after a message. */
static cJSON *cmd_download_bank_params(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    uint64_t bank = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
    if (!options_number(arguments, "bank", NUMBER_PLAIN, 0, SECTORS_MAX_BANK, &bank) ||
        !options_number(arguments, "offset", NUMBER_SIZE, 0, UINT64_MAX, &offset) ||
        !options_number(arguments, "size", NUMBER_SIZE, 1, UINT64_MAX, &size)) {
        return NULL;
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_u64(params, "bank", bank);
    if (options_has(arguments, "offset")) {
        ocdmux_json_add_u64(params, "offset", offset);
    }
    if (options_has(arguments, "size")) {
        ocdmux_json_add_u64(params, "size", size);
    }
    if (options_has(arguments, "consistent")) {
        cJSON_AddTrueToObject(params, "consistent");
    }
    return params;
}

/* Whether the words and options fit each other. */
static bool cmd_download_check_usage(const struct session *session, bool from_bank, const char *file)
{
    static const char *const of_banks[] = {"offset", "size",   "on-server", "consistent",
                                           "board",  "target", NULL};
    const struct arguments *arguments = session->arguments;
    size_t most = from_bank ? 1 : 2;
    if (arguments->count > most || (!from_bank && arguments->count == 0)) {
        return options_complain(arguments, "download needs either STAGE or --bank N, and at most one FILE");
    }
    for (const char *const *name = of_banks; !from_bank && *name != NULL; name++) {
        if (options_has(arguments, *name)) {
            return options_complain(arguments, "--%s belongs to --bank", *name);
        }
    }
    if (options_has(arguments, "on-server")) {
        return arguments->count == 0 || options_complain(arguments, "--on-server takes the place of FILE");
    }
    if (strcmp(file, "-") == 0 && session->json) {
        return options_complain(arguments, "--json and the file both want standard output: name a FILE");
    }
    if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO)) {
        return options_complain(arguments, "standard output is a terminal: name a FILE");
    }
    return true;
}

/* The bank into a file of the server. */
static enum status cmd_download_on_server(struct session *session, cJSON *take_params)
{
    struct progress progress;
    struct session_extra extra = {.progress = &progress};
    progress_init(&progress, !session->json);
    cJSON_AddStringToObject(take_params, "path", options_value(session->arguments, "on-server"));
    return session_show(session, "flash.read_to_file", take_params, &extra, transfer_show_kept, "path");
}

enum status cmd_download(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct cmd_download download = {.session = session};
    bool from_bank = options_has(arguments, "bank");
    size_t file_index = from_bank ? 0 : 1;
    const char *file = arguments->count > file_index ? arguments->words[file_index] : "-";
    if (!cmd_download_check_usage(session, from_bank, file)) {
        return STATUS_USAGE;
    }
    cJSON *bank = from_bank ? cmd_download_bank_params(session) : NULL;
    if (from_bank && bank == NULL) {
        return STATUS_USAGE;
    }
    if (options_has(arguments, "on-server")) {
        return cmd_download_on_server(session, bank);
    }
    /* The connection first: where there is none, no file is touched. */
    if (!session_connect(session)) {
        cJSON_Delete(bank);
        return session->status;
    }
    if (!file_output_open(&download.output, file)) {
        cJSON_Delete(bank);
        return STATUS_FAILED;
    }
    progress_init(&download.progress, !session->json);
    bool good = cmd_download_fetch(&download, bank, from_bank ? NULL : arguments->words[0]);
    if (good && session->json) {
        print_json(stdout, strbuf_text(&download.json), download.json.length);
    }
    strbuf_fini(&download.bytes);
    strbuf_fini(&download.json);
    return good ? STATUS_OK : session->status;
}
