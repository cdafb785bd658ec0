/* search: where bytes are in memory. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/strbuf.h"
#include "commands.h"
#include "fields.h"

#define CMD_SEARCH_MAX_LIMIT 200000u
#define CMD_SEARCH_MAX_ALIGN ((uint64_t)1 << 32)

const struct option cmd_search_options[] = {
    {"text", NULL, "PATTERN is text", NULL},
    {"hex", NULL, "PATTERN is hex digits, as it is by default", NULL},
    {"mask", "HEX", "as many bytes as PATTERN: compare only the bits that are set", NULL},
    {"align", "N", "only at addresses that are multiples of N; default: 1", NULL},
    {"limit", "N", "stop after N matches; default: 10000", NULL},
    {"consistent", NULL, "let nobody change the board meanwhile", NULL},
    {"physical", NULL, "the addresses are physical ones, past the MMU", NULL},
    {NULL, NULL, NULL, NULL},
};

/* Reads hex digits with spaces between them. */
static bool cmd_search_read_hex(const char *text, struct strbuf *out)
{
    struct strbuf digits = STRBUF_INIT;
    for (; *text != '\0'; text++) {
        if (*text != ' ') {
            strbuf_append_byte(&digits, *text);
        }
    }
    bool good = digits.length > 0 && hex_decode(out, strbuf_text(&digits), digits.length);
    strbuf_fini(&digits);
    return good;
}

static void cmd_search_add_bytes(cJSON *params, const char *name, const struct strbuf *bytes)
{
    struct strbuf hex = STRBUF_INIT;
    hex_encode(&hex, (const uint8_t *)bytes->data, bytes->length);
    cJSON_AddStringToObject(params, name, strbuf_text(&hex));
    strbuf_fini(&hex);
}

/* The pattern and the mask; `mask` stays empty where there is none. */
static bool cmd_search_read_bytes(const struct arguments *arguments, struct strbuf *pattern,
                                  struct strbuf *mask)
{
    const char *mask_text = options_value(arguments, "mask");
    bool text = options_has(arguments, "text");
    if (text && options_has(arguments, "hex")) {
        return options_complain(arguments, "--text and --hex exclude each other");
    }
    if (text) {
        strbuf_append_text(pattern, arguments->words[0]);
        if (pattern->length == 0) {
            return options_complain(arguments, "PATTERN is empty");
        }
    } else if (!cmd_search_read_hex(arguments->words[0], pattern)) {
        return options_complain(arguments,
                                "PATTERN is pairs of hex digits, not '%s' (--text searches for text)",
                                arguments->words[0]);
    }
    if (mask_text == NULL) {
        return true;
    }
    if (!cmd_search_read_hex(mask_text, mask)) {
        return options_complain(arguments, "--mask is pairs of hex digits, not '%s'", mask_text);
    }
    if (mask->length != pattern->length) {
        return options_complain(arguments, "--mask has %zu bytes and PATTERN %zu", mask->length,
                                pattern->length);
    }
    return true;
}

/* All the parameters; NULL after a message. */
static cJSON *cmd_search_params(const struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct strbuf pattern = STRBUF_INIT;
    struct strbuf mask = STRBUF_INIT;
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t align = 0;
    uint64_t limit = 0;
    cJSON *params = NULL;
    if (cmd_search_read_bytes(arguments, &pattern, &mask) &&
        options_word_number(arguments, 1, NUMBER_PLAIN, 0, UINT64_MAX, &start) &&
        options_word_number(arguments, 2, NUMBER_PLAIN, 0, UINT64_MAX, &end) &&
        options_number(arguments, "align", NUMBER_SIZE, 1, CMD_SEARCH_MAX_ALIGN, &align) &&
        options_number(arguments, "limit", NUMBER_PLAIN, 1, CMD_SEARCH_MAX_LIMIT, &limit)) {
        params = session_long_params(session);
        cmd_search_add_bytes(params, "pattern", &pattern);
        if (mask.length > 0) {
            cmd_search_add_bytes(params, "mask", &mask);
        }
        cJSON_AddStringToObject(params, "encoding", "hex");
        ocdmux_json_add_address(params, "start", start);
        ocdmux_json_add_address(params, "end", end);
        if (align != 0) {
            ocdmux_json_add_u64(params, "align", align);
        }
        if (limit != 0) {
            ocdmux_json_add_u64(params, "limit", limit);
        }
        if (options_has(arguments, "consistent")) {
            cJSON_AddTrueToObject(params, "consistent");
        }
        if (options_has(arguments, "physical")) {
            cJSON_AddTrueToObject(params, "physical");
        }
    }
    strbuf_fini(&pattern);
    strbuf_fini(&mask);
    return params;
}

static bool cmd_search_show(void *arg, const cJSON *result)
{
    const cJSON *matches = field_array(result, "matches");
    const cJSON *match = NULL;
    uint64_t scanned;
    (void)arg;
    if (matches == NULL || !field_u64(result, "scanned", &scanned)) {
        return false;
    }
    cJSON_ArrayForEach(match, matches)
    {
        uint64_t address;
        if (!ocdmux_json_u64(match, &address)) {
            return false;
        }
        printf("0x%08" PRIx64 "\n", address);
    }
    fflush(stdout);
    if (cJSON_GetArraySize(matches) == 0) {
        fputs("no match\n", stderr);
    }
    if (field_true(result, "truncated")) {
        fprintf(stderr,
                "note: stopped at the limit of %d matches after %" PRIu64 " bytes; there may be more\n",
                cJSON_GetArraySize(matches), scanned);
    }
    session_note_disturbed(result);
    return true;
}

enum status cmd_search(struct session *session)
{
    struct progress progress;
    cJSON *params = cmd_search_params(session);
    if (params == NULL) {
        return STATUS_USAGE;
    }
    progress_init(&progress, false);
    struct session_extra extra = {.progress = &progress};
    return session_show(session, "memory.search", params, &extra, cmd_search_show, NULL);
}
