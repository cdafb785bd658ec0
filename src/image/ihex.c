/*
 * Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A, 1988). Offsets of a segmented
 * file wrap within 64 KiB there; tools disagree about such records, and they are refused. Of the two kinds of
 * base address the one that came last counts, as there.
 */
#include "image/formats.h"

#include <inttypes.h>
#include <string.h>

#include "image/records.h"

/* ":", length, address and type make 9 characters; with the checksum there are 10 digits at least. */
#define DIGITS_MIN 10u
#define EXTRA 5u
#define SEGMENT_SIZE 0x10000u

enum ihex_type {
    IHEX_DATA,
    IHEX_END_OF_FILE,
    IHEX_SEGMENT_BASE,
    IHEX_SEGMENT_START,
    IHEX_LINEAR_BASE,
    IHEX_LINEAR_START,
};

struct ihex {
    struct parts *parts;
    struct records records;
    uint8_t *decoded; /* where the next data bytes go: in the file's own storage, before the current line */
    uint64_t base;
    bool linear; /* after an extended linear address */
    bool ended;
    uint8_t record[RECORD_MAX];
    size_t size; /* of the record's data */
};

bool ihex_detect(const uint8_t *bytes, size_t length)
{
    return length > 0 && bytes[0] == ':' && records_detect(bytes, length, 1, DIGITS_MIN);
}

static bool fault(const struct ihex *self, struct err *err, const char *reason)
{
    return parts_fault(self->parts, err, self->records.line, "%s", reason);
}

static const uint8_t *data_of(const struct ihex *self)
{
    return self->record + 4;
}

static uint32_t number_at(const uint8_t *bytes, size_t size)
{
    uint32_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static bool check_sum(const struct ihex *self, size_t count, struct err *err)
{
    uint8_t sum = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        sum = (uint8_t)(sum + self->record[i]);
    }
    const uint8_t expected = (uint8_t)(0x100u - sum);
    if (self->record[count - 1] == expected) {
        return true;
    }
    return parts_fault(self->parts, err, self->records.line, "the checksum is 0x%02x and should be 0x%02x",
                       self->record[count - 1], expected);
}

static bool take_data(struct ihex *self, struct err *err)
{
    const uint32_t offset = number_at(self->record + 1, 2);
    const uint64_t limit = self->linear ? UINT64_C(1) << 32 : self->base + SEGMENT_SIZE;
    const uint64_t address = self->base + offset;
    if (address + self->size > limit) {
        parts_fault(self->parts, err, self->records.line,
                    "%zu bytes at 0x%08" PRIx64 " run over the end of the %s at 0x%08" PRIx64, self->size,
                    address, self->linear ? "32-bit addresses" : "64 KiB segment", limit);
        err_add_address(err, "address", address);
        return false;
    }
    memcpy(self->decoded, data_of(self), self->size);
    if (!parts_add(self->parts, address, self->decoded, self->size, self->records.line, err)) {
        return false;
    }
    self->decoded += self->size;
    return true;
}

static bool check_size(const struct ihex *self, size_t size, const char *name, struct err *err)
{
    return self->size == size || parts_fault(self->parts, err, self->records.line,
                                             "%s has %zu bytes of data, not %zu", name, size, self->size);
}

static bool take_base(struct ihex *self, bool linear, struct err *err)
{
    if (!check_size(self, 2, linear ? "an extended linear address" : "an extended segment address", err)) {
        return false;
    }
    self->base = (uint64_t)number_at(data_of(self), 2) << (linear ? 16 : 4);
    self->linear = linear;
    return true;
}

static bool take_start(struct ihex *self, bool linear, struct err *err)
{
    if (!check_size(self, 4, linear ? "a start linear address" : "a start segment address", err)) {
        return false;
    }
    const uint64_t segment = number_at(data_of(self), 2);
    const uint64_t offset = number_at(data_of(self) + 2, 2);
    parts_set_entry(self->parts, (segment << (linear ? 16 : 4)) + offset);
    return true;
}

static bool take_record(struct ihex *self, struct err *err)
{
    switch (self->record[3]) {
    case IHEX_DATA:
        return take_data(self, err);
    case IHEX_END_OF_FILE:
        self->ended = true;
        return check_size(self, 0, "an end-of-file record", err);
    case IHEX_SEGMENT_BASE:
        return take_base(self, false, err);
    case IHEX_SEGMENT_START:
        return take_start(self, false, err);
    case IHEX_LINEAR_BASE:
        return take_base(self, true, err);
    case IHEX_LINEAR_START:
        return take_start(self, true, err);
    default: /* a byte from outside */
        return parts_fault(self->parts, err, self->records.line, "there is no record type 0x%02x",
                           self->record[3]);
    }
}

static bool take_line(struct ihex *self, struct err *err)
{
    size_t count = 0;
    if (self->ended) {
        return fault(self, err, "there is something behind the end-of-file record");
    }
    if (self->records.text[0] != ':') {
        return fault(self, err, "the line does not begin with \":\"");
    }
    if (!records_decode(&self->records, 1, EXTRA, self->record, &count, err) ||
        !check_sum(self, count, err)) {
        return false;
    }
    self->size = count - EXTRA;
    return take_record(self, err);
}

bool ihex_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
{
    struct ihex self = {
        .parts = parts, .records = {.parts = parts, .bytes = bytes, .length = length}, .decoded = bytes};
    while (records_next(&self.records)) {
        if (!take_line(&self, err)) {
            return false;
        }
    }
    return self.ended || fault(&self, err, "the file ends without an end-of-file record: it is cut off");
}
