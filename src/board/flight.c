/* The slots of an envelope, and who rides on them. */
#include "board/flight.h"

#include <string.h>

#include "board/sched.h"

void flight_init(struct flight *flight)
{
    memset(flight, 0, sizeof *flight);
    list_init(&flight->ops);
}

void flight_clear(struct flight *flight)
{
    while (!flight_is_empty(flight)) {
        flight_drop(flight_first(flight));
    }
    for (size_t i = 0; i < flight->count; i++) {
        strbuf_fini(&flight->slots[i].command.script);
    }
    flight->count = 0;
    flight->words = 0;
}

bool flight_is_empty(const struct flight *flight)
{
    return list_is_empty(&flight->ops);
}

struct op *flight_first(const struct flight *flight)
{
    return flight_is_empty(flight) ? NULL : list_entry(flight->ops.next, struct op, flight_node);
}

struct op *flight_last(const struct flight *flight)
{
    return flight_is_empty(flight) ? NULL : list_entry(flight->ops.prev, struct op, flight_node);
}

struct op *flight_last_change(const struct flight *flight)
{
    struct op *last = NULL;
    list_for_each (node, &flight->ops) {
        struct op *op = list_entry(node, struct op, flight_node);
        last = op->class->changes ? op : last;
    }
    return last;
}

bool flight_changes(const struct flight *flight)
{
    list_for_each (node, &flight->ops) {
        if (flight_slot_of(flight, list_entry(node, struct op, flight_node))->command.changes) {
            return true;
        }
    }
    return false;
}

bool flight_takes(const struct flight *flight, const struct op_command *command, uint64_t room)
{
    if (flight->count == 0) {
        return true;
    }
    return command->words > 0 && flight->slots[0].command.words > 0 && flight->count < BUNDLE_MOST &&
           flight->words + command->words <= room && (!command->changes || command->ends);
}

static void take(struct flight *flight, struct op *op, const struct op_command *command, size_t slot)
{
    op->in_flight = true;
    op->ends = command->ends;
    op->slot = slot;
    flight->slots[slot].riders++;
    list_append(&flight->ops, &op->flight_node);
}

void flight_add(struct flight *flight, struct op *op, struct op_command *take_command, uint64_t change_count)
{
    struct flight_slot *slot = &flight->slots[flight->count];
    *slot = (struct flight_slot){.command = *take_command, .leader = op, .change_count = change_count};
    strbuf_init(&take_command->script);
    flight->words += take_command->words;
    take(flight, op, &slot->command, flight->count++);
}

/* The first slot that nothing behind it keeps `op` from riding on. */
static size_t first_open_slot(const struct flight *flight, const struct op *op)
{
    size_t first = 0;
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->slots[i].command.changes) {
            first = i + 1;
        }
    }
    list_for_each (node, &op->queue->ops) {
        const struct op *other = list_entry(node, struct op, queue_node);
        if (!other->in_flight) {
            break;
        }
        first = other->slot > first ? other->slot : first;
    }
    return first;
}

static bool is_same(const struct op_command *a, const struct op_command *b)
{
    bool same_target =
        a->current_target == b->current_target || (a->current_target != NULL && b->current_target != NULL &&
                                                   strcmp(a->current_target, b->current_target) == 0);
    return a->shareable && b->shareable && a->file == b->file && a->bytes == b->bytes && same_target &&
           a->script.length == b->script.length &&
           memcmp(strbuf_text(&a->script), strbuf_text(&b->script), a->script.length) == 0;
}

bool flight_find(const struct flight *flight, const struct op *op, const struct op_command *command,
                 size_t *ret_slot)
{
    for (size_t i = first_open_slot(flight, op); command->shareable && i < flight->count; i++) {
        if (is_same(&flight->slots[i].command, command)) {
            *ret_slot = i;
            return true;
        }
    }
    return false;
}

void flight_ride(struct flight *flight, struct op *op, const struct op_command *command, size_t slot)
{
    take(flight, op, command, slot);
}

void flight_drop(struct op *op)
{
    list_remove(&op->flight_node);
    op->in_flight = false;
}

const struct flight_slot *flight_slot_of(const struct flight *flight, const struct op *op)
{
    return &flight->slots[op->slot];
}

uint64_t flight_slot_us(const struct flight *flight, const struct flight_slot *slot, uint64_t used_us)
{
    return flight->count > 1 ? used_us * slot->command.words / flight->words : used_us;
}

uint64_t flight_share_us(const struct flight *flight, const struct flight_slot *slot, uint64_t used_us)
{
    return flight_slot_us(flight, slot, used_us) / slot->riders;
}
