/* The limits by table. */
#include "server/config_limits.h"

#include "rpc/json.h"
#include "server/config_members.h"

#define LIMIT(member) #member, offsetof(struct config_limits, member)

struct limit {
    const char *name;
    size_t offset; /* of its uint64_t in struct config_limits */
    uint64_t preset;
    uint64_t minimum;
    uint64_t maximum;
};

/* As the schema and struct config_limits say. */
static const struct limit limit_table[] = {
    {LIMIT(max_line_bytes), 8u << 20, 1024, 64u << 20},
    {LIMIT(max_in_flight), 256, 1, 10000},
    {LIMIT(max_queued_bytes), 16u << 20, 1024, 1u << 30},
    {LIMIT(max_total_queued_bytes), 256u << 20, 1024, 64ull << 30},
    {LIMIT(max_identity_operations), 32768, 1, 1000000},
    {LIMIT(max_board_operations), 65536, 1, 1000000},
    {LIMIT(max_output_bytes), 1u << 20, 1024, 1u << 30},
    {LIMIT(max_inline_bytes), 4u << 20, 1, 16u << 20},
    {LIMIT(max_clients), 16384, 1, 100000},
    {LIMIT(slow_reader_ms), 30000, 100, 3600000},
    {LIMIT(login_ms), 10000, 100, 600000},
    {LIMIT(max_stage_bytes), 256u << 20, 1, 1ull << 40},
    {LIMIT(max_total_stage_bytes), 1u << 30, 1, 1ull << 40},
    {LIMIT(max_stages), 256, 1, 10000},
    {LIMIT(stage_expiry_ms), 3600000, 100, 604800000},
    {LIMIT(max_image_bytes), 64u << 20, 1, 1u << 30},
    {LIMIT(max_watches), 32, 1, 10000},
    {LIMIT(max_watch_bytes), 64u << 10, 64, 1u << 20},
    {LIMIT(max_board_watches), 4096, 1, 100000},
    {LIMIT(max_board_watch_bytes), 1u << 20, 64, 64u << 20},
    {LIMIT(min_watch_interval_ms), 10, 1, 60000},
};

#define LIMIT_COUNT (sizeof limit_table / sizeof limit_table[0])

static uint64_t *place_of(struct config_limits *limits, size_t index)
{
    return (uint64_t *)(void *)((char *)limits + limit_table[index].offset);
}

void config_limits_init(struct config_limits *limits)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        *place_of(limits, i) = limit_table[i].preset;
    }
}

bool config_limits_take(struct config_limits *limits, struct json_span root, const char *path,
                        struct err *err)
{
    const char *names[LIMIT_COUNT + 1] = {NULL};
    struct json_span object;
    if (!json_find_member(root, "limits", &object)) {
        return true;
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        names[i] = limit_table[i].name;
    }
    if (!config_check_members(object, names, path, "limits", err)) {
        return false;
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        struct config_number number = {names[i], place_of(limits, i), limit_table[i].minimum,
                                       limit_table[i].maximum};
        if (!config_take_number(object, &number, path, "limits", err)) {
            return false;
        }
    }
    return true;
}
