/*
 * What is on the link: one envelope, and the operations that want an answer out of it. Each command has a
 * slot; several operations may ride on one, which all get its answer. An operation whose answer nobody wants
 * any more is dropped, the others' stay.
 *
 *   add, ride ---> (envelope on the link) ---> first, drop ... ---> clear
 *
 * Pure.
 */
#ifndef OCDMUX_BOARD_FLIGHT_H
#define OCDMUX_BOARD_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "openocd/bundle.h"
#include "ops/op.h"

struct flight_slot {
    struct op_command command; /* with its script until it is sent */
    const struct op *leader;   /* whose command it is; until the envelope is sent */
    size_t riders;             /* that it set out with */
    uint64_t change_count;     /* the board's, behind this command */
};

struct flight {
    struct list ops; /* struct op by flight_node, in the order in which they are answered */
    struct flight_slot slots[BUNDLE_MOST];
    size_t count;
    uint64_t words;        /* of all commands together */
    uint64_t sent_us;      /* when it set out */
    uint64_t change_count; /* the board's, at that moment */
};

void flight_init(struct flight *flight);
/* Drops everything. */
void flight_clear(struct flight *flight);
/* Nobody wants an answer. */
bool flight_is_empty(const struct flight *flight);
/* The operation that is answered next; NULL if it is empty. */
struct op *flight_first(const struct flight *flight);
/* The one that would be answered last; NULL if it is empty. */
struct op *flight_last(const struct flight *flight);
/* The last that changes the board; NULL if none does. */
struct op *flight_last_change(const struct flight *flight);
/* One of those that are wanted changes the board. */
bool flight_changes(const struct flight *flight);

/* Whether the command fits beside those that are there, of all together `room` words. */
bool flight_takes(const struct flight *flight, const struct op_command *command, uint64_t room);
/* A command of its own; its script is taken over. `change_count` is the board's behind it. */
void flight_add(struct flight *flight, struct op *op, struct op_command *take_command, uint64_t change_count);
/*
 * The slot whose answer is as good for `op` as that of its own `command`: the same, shareable, with no change
 * behind it and no command of the same queue. False where there is none.
 */
bool flight_find(const struct flight *flight, const struct op *op, const struct op_command *command,
                 size_t *ret_slot) __attribute__((warn_unused_result));
/* It rides on that slot instead of sending its own `command`. */
void flight_ride(struct flight *flight, struct op *op, const struct op_command *command, size_t slot);
/* The operation, which is in flight, wants no answer any more. */
void flight_drop(struct op *op);

/* The command that an operation in flight waits for. */
const struct flight_slot *flight_slot_of(const struct flight *flight, const struct op *op);
/* What one rider of a slot has used of the envelope's time. */
uint64_t flight_share_us(const struct flight *flight, const struct flight_slot *slot, uint64_t used_us);
/* What the slot's command has used of it. */
uint64_t flight_slot_us(const struct flight *flight, const struct flight_slot *slot, uint64_t used_us);

#endif
