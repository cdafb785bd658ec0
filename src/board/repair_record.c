/* The text of a record of kept bytes. */
#include "board/repair_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"

#define FIRST_LINE "ocdmux kept bytes 1"
#define LINE_SIZE 256
#define MOST_RANGES (1024u * 1024u)

static void digest_of(const void *head, size_t head_length, const void *data, size_t data_length,
                      char text[SHA256_TEXT_SIZE])
{
    struct sha256 *sha = sha256_new();
    sha256_add(sha, head, head_length);
    sha256_add(sha, data, data_length);
    sha256_finish(sha, text);
    sha256_free(sha);
}

void repair_record_encode(struct strbuf *out, const struct repair_head *head,
                          const struct keeper_record *record)
{
    struct strbuf data = STRBUF_INIT;
    char digest[SHA256_TEXT_SIZE];
    strbuf_appendf(out,
                   FIRST_LINE "\nbank %s\nbase 0x%" PRIx64 "\nsector 0x%" PRIx64 " 0x%" PRIx64 "\nsince %s\n",
                   head->bank, head->base, head->sector_offset, head->sector_size, head->since);
    for (size_t i = 0; i < record->range_count; i++) {
        const struct keeper_range *range = &record->ranges[i];
        strbuf_appendf(out, "range 0x%" PRIx64 " 0x%" PRIx64 "\n", range->offset, range->size);
        strbuf_append(&data, range->bytes, range->size);
    }
    digest_of(strbuf_text(out), out->length, strbuf_text(&data), data.length, digest);
    strbuf_appendf(out, "data %zu %s\n", data.length, digest);
    strbuf_append(out, strbuf_text(&data), data.length);
    strbuf_fini(&data);
}

/* What is left to be read. */
struct reader {
    const char *at;
    const char *end;
};

/* The rest of the next line, if it begins with `word` and a blank. */
static bool next_line(struct reader *reader, const char *word, char line[LINE_SIZE])
{
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    size_t skip = strlen(word) + 1;
    if (newline == NULL) {
        return false;
    }
    size_t length = (size_t)(newline - reader->at);
    bool fits = length > skip && length - skip < LINE_SIZE && memcmp(reader->at, word, skip - 1) == 0 &&
                reader->at[skip - 1] == ' ' && memchr(reader->at, '\0', length) == NULL;
    if (!fits) {
        return false;
    }
    memcpy(line, reader->at + skip, length - skip);
    line[length - skip] = '\0';
    reader->at = newline + 1;
    return true;
}

/* "0x..." or digits as they were printed, up to a blank or the end. */
static bool take_number(const char **text, uint64_t *ret_value)
{
    char *end = NULL;
    if (**text < '0' || **text > '9') {
        return false;
    }
    errno = 0;
    *ret_value = strtoull(*text, &end, 0);
    if (errno != 0 || (*end != '\0' && *end != ' ')) {
        return false;
    }
    *text = *end == ' ' ? end + 1 : end;
    return true;
}

static bool take_pair(struct reader *reader, const char *word, uint64_t *ret_first, uint64_t *ret_second)
{
    char line[LINE_SIZE];
    const char *text = line;
    return next_line(reader, word, line) && take_number(&text, ret_first) && take_number(&text, ret_second) &&
           *text == '\0';
}

static bool take_text(struct reader *reader, const char *word, char *out, size_t size)
{
    char line[LINE_SIZE];
    if (!next_line(reader, word, line) || strlen(line) >= size) {
        return false;
    }
    memcpy(out, line, strlen(line) + 1);
    return true;
}

static bool take_head(struct reader *reader, struct repair_head *head)
{
    char line[LINE_SIZE];
    const char *text = line;
    return next_line(reader, "ocdmux", line) && strcmp(line, &FIRST_LINE[sizeof "ocdmux"]) == 0 &&
           take_text(reader, "bank", head->bank, sizeof head->bank) && next_line(reader, "base", line) &&
           take_number(&text, &head->base) && *text == '\0' &&
           take_pair(reader, "sector", &head->sector_offset, &head->sector_size) &&
           take_text(reader, "since", head->since, sizeof head->since) && head->sector_size > 0 &&
           head->sector_size <= UINT64_MAX - head->sector_offset;
}

/* Inside the sector, and behind the range before. */
static bool add_range(struct keeper_record *record, uint64_t offset, uint64_t size)
{
    uint64_t from = record->sector_offset;
    if (record->range_count > 0) {
        const struct keeper_range *last = &record->ranges[record->range_count - 1];
        from = last->offset + last->size;
    }
    uint64_t end = record->sector_offset + record->sector_size;
    if (record->range_count == MOST_RANGES || size == 0 || offset < from || offset >= end ||
        size > end - offset) {
        return false;
    }
    if ((record->range_count & (record->range_count - 1)) == 0) {
        size_t room = record->range_count == 0 ? 1 : record->range_count * 2;
        record->ranges = xrealloc(record->ranges, room * sizeof *record->ranges);
    }
    record->ranges[record->range_count++] = (struct keeper_range){.offset = offset, .size = size};
    return true;
}

static bool take_ranges(struct reader *reader, struct keeper_record *record, uint64_t *ret_total)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    *ret_total = 0;
    while (take_pair(reader, "range", &offset, &size)) {
        if (!add_range(record, offset, size)) {
            return false;
        }
        *ret_total += size;
    }
    return record->range_count > 0;
}

static bool take_data(struct reader *reader, const char *begin, struct keeper_record *record, uint64_t total)
{
    char line[LINE_SIZE];
    char expected[LINE_SIZE];
    char digest[SHA256_TEXT_SIZE];
    const char *head_end = reader->at;
    if (!next_line(reader, "data", line) || total != (uint64_t)(reader->end - reader->at)) {
        return false;
    }
    digest_of(begin, (size_t)(head_end - begin), reader->at, (size_t)total, digest);
    snprintf(expected, sizeof expected, "%" PRIu64 " %s", total, digest);
    if (strcmp(line, expected) != 0) {
        return false;
    }
    record->storage = xmalloc((size_t)total);
    memcpy(record->storage, reader->at, (size_t)total);
    const uint8_t *bytes = record->storage;
    for (size_t i = 0; i < record->range_count; i++) {
        record->ranges[i].bytes = bytes;
        bytes += record->ranges[i].size;
    }
    return true;
}

bool repair_record_decode(const uint8_t *bytes, size_t length, struct repair_head *ret_head,
                          struct keeper_record *ret_record)
{
    const char *begin = (const char *)bytes;
    struct reader reader = {begin, begin + length};
    struct repair_head head;
    struct keeper_record record = {0};
    uint64_t total = 0;
    if (length > REPAIR_RECORD_MOST_BYTES || !take_head(&reader, &head)) {
        return false;
    }
    record.sector_offset = head.sector_offset;
    record.sector_size = head.sector_size;
    if (!take_ranges(&reader, &record, &total) || !take_data(&reader, begin, &record, total)) {
        keeper_record_fini(&record);
        return false;
    }
    *ret_head = head;
    *ret_record = record;
    return true;
}
