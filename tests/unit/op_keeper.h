/* A keeper in memory for operations under test. It fails when it is told to, and counts its calls. */
#ifndef OCDMUX_TESTS_OP_KEEPER_H
#define OCDMUX_TESTS_OP_KEEPER_H

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ops/keeper.h"

#define FAKE_KEEPER_RECORDS 128

struct fake_record {
    uint64_t base; /* of the bank */
    struct keeper_record record;
};

struct fake_keeper {
    struct op_keeper keeper;
    struct fake_record records[FAKE_KEEPER_RECORDS];
    size_t count;
    size_t saves; /* calls */
    size_t finds;
    size_t forgets;
    size_t saves_that_work; /* after so many it fails */
    size_t finds_that_work;
};

static inline void fake_keeper_copy(const struct keeper_record *from, struct keeper_record *to)
{
    uint64_t total = 0;
    *to = *from;
    for (size_t i = 0; i < from->range_count; i++) {
        total += from->ranges[i].size;
    }
    to->storage = xmalloc(total + 1);
    to->ranges = xcalloc(from->range_count + 1, sizeof *to->ranges);
    uint8_t *at = to->storage;
    for (size_t i = 0; i < from->range_count; i++) {
        to->ranges[i] = from->ranges[i];
        to->ranges[i].bytes = at;
        memcpy(at, from->ranges[i].bytes, from->ranges[i].size);
        at += from->ranges[i].size;
    }
}

static inline struct keeper_record *fake_keeper_look(struct fake_keeper *self, uint64_t base,
                                                     uint64_t sector_offset)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->records[i].base == base && self->records[i].record.sector_offset == sector_offset) {
            return &self->records[i].record;
        }
    }
    return NULL;
}

static inline void fake_keeper_drop(struct fake_keeper *self, size_t index)
{
    keeper_record_fini(&self->records[index].record);
    self->count--;
    self->records[index] = self->records[self->count];
}

static inline bool fake_keeper_save(void *context, const struct ocd_bank *bank,
                                    const struct keeper_record *record, struct err *err)
{
    struct fake_keeper *self = context;
    struct keeper_record copy;
    if (self->saves++ >= self->saves_that_work) {
        return err_set(err, ERR_STAGE_ERROR, "the disk is full");
    }
    fake_keeper_copy(record, &copy);
    struct keeper_record *old = fake_keeper_look(self, bank->base, record->sector_offset);
    if (old != NULL) {
        keeper_record_fini(old);
        *old = copy;
        return true;
    }
    if (self->count == FAKE_KEEPER_RECORDS) {
        abort();
    }
    self->records[self->count++] = (struct fake_record){.base = bank->base, .record = copy};
    return true;
}

static inline bool fake_keeper_find(void *context, const struct ocd_bank *bank, uint64_t sector_offset,
                                    struct keeper_record *ret_record, struct err *err)
{
    struct fake_keeper *self = context;
    if (self->finds++ >= self->finds_that_work) {
        return err_set(err, ERR_STAGE_ERROR, "the record cannot be read");
    }
    const struct keeper_record *record = fake_keeper_look(self, bank->base, sector_offset);
    if (record == NULL) {
        return false;
    }
    fake_keeper_copy(record, ret_record);
    return true;
}

static inline void fake_keeper_forget(void *context, const struct ocd_bank *bank, uint64_t offset,
                                      uint64_t size)
{
    struct fake_keeper *self = context;
    self->forgets++;
    for (size_t i = self->count; i-- > 0;) {
        uint64_t at = self->records[i].record.sector_offset;
        if (self->records[i].base == bank->base && at >= offset && at - offset < size) {
            fake_keeper_drop(self, i);
        }
    }
}

static inline void fake_keeper_init(struct fake_keeper *self)
{
    memset(self, 0, sizeof *self);
    self->saves_that_work = SIZE_MAX;
    self->finds_that_work = SIZE_MAX;
    self->keeper = (struct op_keeper){
        .context = self, .save = fake_keeper_save, .find = fake_keeper_find, .forget = fake_keeper_forget};
}

static inline void fake_keeper_fini(struct fake_keeper *self)
{
    while (self->count > 0) {
        fake_keeper_drop(self, 0);
    }
}

#endif
