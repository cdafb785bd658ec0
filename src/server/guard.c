/* Failures by address, in the order of the last one. */
#include "server/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct entry {
    struct list node;
    char address[GUARD_ADDRESS_SIZE];
    uint64_t failures;
    uint64_t last_us;
};

void guard_init(struct guard *guard)
{
    list_init(&guard->entries);
    guard->count = 0;
}

static struct entry *oldest(struct guard *guard)
{
    return list_is_empty(&guard->entries) ? NULL : list_entry(guard->entries.next, struct entry, node);
}

static void drop(struct guard *guard, struct entry *entry)
{
    list_remove(&entry->node);
    guard->count--;
    free(entry);
}

void guard_fini(struct guard *guard)
{
    struct entry *entry;
    while ((entry = oldest(guard)) != NULL) {
        drop(guard, entry);
    }
}

uint64_t guard_delay_ms(uint64_t failures)
{
    uint64_t delay = GUARD_FIRST_DELAY_MS;
    while (failures > 1 && delay < GUARD_MAX_DELAY_MS) {
        delay *= 2;
        failures--;
    }
    return delay < GUARD_MAX_DELAY_MS ? delay : GUARD_MAX_DELAY_MS;
}

static struct entry *find(struct guard *guard, const char *address)
{
    list_for_each (node, &guard->entries) {
        struct entry *entry = list_entry(node, struct entry, node);
        if (strcmp(entry->address, address) == 0) {
            return entry;
        }
    }
    return NULL;
}

uint64_t guard_note_failure(struct guard *guard, const char *address, uint64_t now_us)
{
    struct entry *first;
    while ((first = oldest(guard)) != NULL && now_us - first->last_us > GUARD_FORGET_US) {
        drop(guard, first);
    }
    struct entry *entry = find(guard, address);
    if (entry == NULL) {
        if (guard->count == GUARD_MAX_ADDRESSES) {
            drop(guard, oldest(guard));
        }
        entry = xcalloc(1, sizeof *entry);
        snprintf(entry->address, sizeof entry->address, "%s", address);
        list_append(&guard->entries, &entry->node);
        guard->count++;
    }
    list_move_to_end(&guard->entries, &entry->node);
    entry->failures++;
    entry->last_us = now_us;
    return guard_delay_ms(entry->failures);
}
