/*
 * Motorola S-record (srec(5) of SRecord, "Motorola S-Record File Format"). A start address of 0 is how the
 * format says that there is none.
 */
#include "image/formats.h"

#include <inttypes.h>
#include <string.h>

#include "image/records.h"

/* Length, 16 bits of address, checksum. */
#define DIGITS_MIN 8u
#define EXTRA 1u

struct srec {
    struct parts *parts;
    struct records records;
    uint8_t *decoded; /* where the next data bytes go: in the file's own storage, before the current line */
    uint64_t data_records;
    bool ended;
    uint8_t record[RECORD_MAX];
    size_t address_size;
    uint64_t address; /* or the count, of S5 and S6 */
    size_t size;      /* of the record's data */
};

bool srec_detect(const uint8_t *bytes, size_t length)
{
    return length > 1 && bytes[0] == 'S' && bytes[1] >= '0' && bytes[1] <= '9' &&
           records_detect(bytes, length, 2, DIGITS_MIN);
}

static bool fault(const struct srec *self, struct err *err, const char *reason)
{
    return parts_fault(self->parts, err, self->records.line, "%s", reason);
}

/* Bytes of address in each type of record; there is no S4. */
static const uint8_t address_sizes[] = {2, 2, 3, 4, 0, 2, 3, 4, 3, 2};

static bool check_sum(const struct srec *self, size_t count, struct err *err)
{
    uint8_t sum = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        sum = (uint8_t)(sum + self->record[i]);
    }
    const uint8_t expected = (uint8_t)(0xffu - sum);
    if (self->record[count - 1] == expected) {
        return true;
    }
    return parts_fault(self->parts, err, self->records.line, "the checksum is 0x%02x and should be 0x%02x",
                       self->record[count - 1], expected);
}

/* Fills record, address and size. */
static bool read_record(struct srec *self, char type, struct err *err)
{
    size_t count = 0;
    self->address_size = address_sizes[type - '0'];
    if (!records_decode(&self->records, 2, EXTRA, self->record, &count, err)) {
        return false;
    }
    if (count < 1 + self->address_size + 1) {
        return parts_fault(
            self->parts, err, self->records.line,
            "the length 0x%02x of the record has no room for the address and checksum of an S%c",
            self->record[0], type);
    }
    if (!check_sum(self, count, err)) {
        return false;
    }
    self->address = 0;
    for (size_t i = 0; i < self->address_size; i++) {
        self->address = self->address << 8 | self->record[1 + i];
    }
    self->size = count - 1 - self->address_size - 1;
    return true;
}

static bool take_data(struct srec *self, struct err *err)
{
    self->data_records++;
    if (self->address + self->size > UINT64_C(1) << (8 * self->address_size)) {
        parts_fault(self->parts, err, self->records.line,
                    "%zu bytes at 0x%08" PRIx64 " run over the end of the %zu-bit addresses", self->size,
                    self->address, 8 * self->address_size);
        err_add_address(err, "address", self->address);
        return false;
    }
    memcpy(self->decoded, self->record + 1 + self->address_size, self->size);
    if (!parts_add(self->parts, self->address, self->decoded, self->size, self->records.line, err)) {
        return false;
    }
    self->decoded += self->size;
    return true;
}

static bool check_empty(const struct srec *self, char type, struct err *err)
{
    return self->size == 0 ||
           parts_fault(self->parts, err, self->records.line,
                       "an S%c holds no data, and this one has %zu bytes", type, self->size);
}

static bool take_count(const struct srec *self, char type, struct err *err)
{
    if (!check_empty(self, type, err)) {
        return false;
    }
    return self->address == self->data_records ||
           parts_fault(self->parts, err, self->records.line,
                       "the count says %" PRIu64 " data records, and there are %" PRIu64 " before it",
                       self->address, self->data_records);
}

static bool take_end(struct srec *self, char type, struct err *err)
{
    self->ended = true;
    if (self->address != 0) {
        parts_set_entry(self->parts, self->address);
    }
    return check_empty(self, type, err);
}

static bool take_line(struct srec *self, struct err *err)
{
    if (self->ended) {
        return fault(self, err, "there is something behind the termination record");
    }
    const uint8_t *text = self->records.text;
    if (self->records.text_length < 2 || text[0] != 'S' || text[1] < '0' || text[1] > '9') {
        return fault(self, err, "the line does not begin with S0 to S9");
    }
    const char type = (char)text[1];
    if (type == '4') {
        return fault(self, err, "S4 is reserved, and has no meaning here");
    }
    if (!read_record(self, type, err)) {
        return false;
    }
    if (type == '0') {
        return true; /* a header, for people */
    }
    if (type <= '3') {
        return take_data(self, err);
    }
    return type <= '6' ? take_count(self, type, err) : take_end(self, type, err);
}

bool srec_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
{
    struct srec self = {
        .parts = parts, .records = {.parts = parts, .bytes = bytes, .length = length}, .decoded = bytes};
    while (records_next(&self.records)) {
        if (!take_line(&self, err)) {
            return false;
        }
    }
    return self.ended ||
           fault(&self, err, "the file ends without a termination record (S7, S8 or S9): it is cut off");
}
