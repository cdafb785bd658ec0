/* read, write and hexdump: memory as numbers and as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "print.h"

#define CMD_READ_MAX_COUNT 65536u

static const char *const cmd_widths[] = {"8", "16", "32", "64", NULL};

#define CMD_WIDTH                                                          \
    {                                                                      \
        "width", "8|16|32|64", "bits of one unit; default: 32", cmd_widths \
    }
#define CMD_PHYSICAL                                                          \
    {                                                                         \
        "physical", NULL, "the address is a physical one, past the MMU", NULL \
    }
#define CMD_END                \
    {                          \
        NULL, NULL, NULL, NULL \
    }

const struct option cmd_read_options[] = {
    CMD_WIDTH,
    CMD_PHYSICAL,
    {"cacheable", NULL, "others who read the same may share the read", NULL},
    CMD_END,
};
const struct option cmd_write_options[] = {CMD_WIDTH, CMD_PHYSICAL, CMD_END};
const struct option cmd_physical_options[] = {CMD_PHYSICAL, CMD_END};
const struct option cmd_hexdump_options[] = {
    CMD_PHYSICAL,
    {"consistent", NULL, "let nobody change the board meanwhile", NULL},
    CMD_END,
};

static unsigned cmd_width(const struct session *session)
{
    const char *text = options_value(session->arguments, "width");
    return text == NULL ? 32 : (unsigned)strtoul(text, NULL, 10);
}

/* Adds an option that is a flag of the method's, by the same name. */
static void cmd_add_flag(const struct session *session, cJSON *params, const char *name)
{
    if (options_has(session->arguments, name)) {
        cJSON_AddTrueToObject(params, name);
    }
}

static void cmd_add_physical(const struct session *session, cJSON *params)
{
    cmd_add_flag(session, params, "physical");
}

/* What read was asked for. */
struct cmd_read_request {
    uint64_t address;
    uint64_t count;
    unsigned width;
};

/* As many units a line as gdb's x prints. */
static uint64_t cmd_read_columns(unsigned width)
{
    switch (width) {
    case 8:
    case 16:
        return 8;
    case 32:
        return 4;
    default:
        return 2;
    }
}

static bool cmd_read_show(void *arg, const cJSON *result)
{
    const struct cmd_read_request *request = arg;
    const cJSON *values = field_array(result, "values");
    uint64_t bytes = request->width / 8;
    if (values == NULL || (uint64_t)cJSON_GetArraySize(values) != request->count) {
        return false;
    }
    int address_digits = request->address + (request->count - 1) * bytes > UINT32_MAX ? 16 : 8;
    uint64_t columns = cmd_read_columns(request->width);
    uint64_t index = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, values)
    {
        uint64_t value;
        if (!ocdmux_json_u64(item, &value) || (request->width < 64 && value >> request->width != 0)) {
            return false;
        }
        if (index % columns == 0) {
            printf("%s0x%0*" PRIx64 ":", index == 0 ? "" : "\n", address_digits,
                   request->address + index * bytes);
        }
        printf(" 0x%0*" PRIx64, (int)request->width / 4, value);
        index++;
    }
    putchar('\n');
    return true;
}

enum status cmd_read(struct session *session)
{
    char method[32];
    struct cmd_read_request request = {.count = 1, .width = cmd_width(session)};
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &request.address) ||
        !options_word_number(session->arguments, 1, NUMBER_SIZE, 1, CMD_READ_MAX_COUNT, &request.count)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_address(params, "address", request.address);
    ocdmux_json_add_u64(params, "count", request.count);
    cmd_add_physical(session, params);
    cmd_add_flag(session, params, "cacheable");
    (void)snprintf(method, sizeof(method), "memory.read_u%u", request.width);
    return session_show(session, method, params, NULL, cmd_read_show, &request);
}

static bool cmd_write_show(void *arg, const cJSON *result)
{
    uint64_t *expected = arg;
    uint64_t count;
    if (!field_u64(result, "count", &count) || count != *expected) {
        return false;
    }
    printf("%" PRIu64 " %s written\n", count, count == 1 ? "value" : "values");
    return true;
}

enum status cmd_write(struct session *session)
{
    char method[32];
    unsigned width = cmd_width(session);
    uint64_t address = 0;
    uint64_t count = session->arguments->count - 1;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address)) {
        return STATUS_USAGE;
    }
    cJSON *values = cJSON_CreateArray();
    for (size_t i = 1; i < session->arguments->count; i++) {
        uint64_t value = 0;
        if (!options_word_number(session->arguments, i, NUMBER_PLAIN, 0, UINT64_MAX >> (64 - width),
                                 &value)) {
            cJSON_Delete(values);
            return STATUS_USAGE;
        }
        cJSON_AddItemToArray(values, ocdmux_json_new_u64(value));
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_address(params, "address", address);
    cJSON_AddItemToObject(params, "values", values);
    cmd_add_physical(session, params);
    (void)snprintf(method, sizeof(method), "memory.write_u%u", width);
    return session_show(session, method, params, NULL, cmd_write_show, &count);
}

/* Prints the lines as they arrive. */
static bool cmd_hexdump_data(void *arg, const struct ocdmux_notification *notification)
{
    const char *text = field_text(notification->params, "text");
    (void)arg;
    if (text != NULL) {
        print_block(stdout, text);
        fflush(stdout);
    }
    return true;
}

static bool cmd_hexdump_show(void *arg, const cJSON *result)
{
    const char *text = field_text(result, "text");
    uint64_t *wanted = arg;
    uint64_t size;
    if (!field_u64(result, "size", &size) || size != *wanted) {
        return false;
    }
    if (text != NULL) {
        print_block(stdout, text);
    }
    session_note_disturbed(result);
    return true;
}

enum status cmd_hexdump(struct session *session)
{
    struct session_extra extra = {.data = cmd_hexdump_data};
    uint64_t address = 0;
    uint64_t size = 0;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address) ||
        !options_word_number(session->arguments, 1, NUMBER_SIZE, 1, UINT64_MAX, &size)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_long_params(session);
    ocdmux_json_add_address(params, "address", address);
    ocdmux_json_add_u64(params, "size", size);
    cmd_add_physical(session, params);
    cmd_add_flag(session, params, "consistent");
    /* The result that --json prints has to hold the text. */
    if (!session->json) {
        cJSON_AddTrueToObject(params, "stream");
    }
    return session_show(session, "memory.hexdump", params, &extra, cmd_hexdump_show, &size);
}
