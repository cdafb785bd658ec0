/*
 * The reader of records of kept bytes. What is refused must leave the outputs alone; what is read must lie
 * inside its sector, and encoded again give the same bytes. The first byte chooses: as it is, or with a
 * SHA-256 that is made to fit, so that what stands behind it is reached.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "base/sha256.h"
#include "board/repair_record.h"

static void check_record(const struct repair_head *head, const struct keeper_record *record)
{
    uint64_t from = record->sector_offset;
    require(record->sector_offset == head->sector_offset && record->sector_size == head->sector_size);
    require(record->sector_size > 0 && record->range_count > 0);
    require(strlen(head->bank) > 0 && strlen(head->since) > 0);
    for (size_t i = 0; i < record->range_count; i++) {
        const struct keeper_range *range = &record->ranges[i];
        require(range->size > 0 && range->offset >= from);
        require(range->offset - record->sector_offset <= record->sector_size - range->size);
        from = range->offset + range->size;
    }
}

static void check(const uint8_t *bytes, size_t length, bool canonical)
{
    struct repair_head head;
    struct keeper_record record;
    struct strbuf again = STRBUF_INIT;
    memset(&head, 0x55, sizeof head);
    memset(&record, 0x55, sizeof record);
    if (!repair_record_decode(bytes, length, &head, &record)) {
        require(is_filled(&head, sizeof head) && is_filled(&record, sizeof record));
        return;
    }
    check_record(&head, &record);
    repair_record_encode(&again, &head, &record);
    struct repair_head second;
    struct keeper_record copy;
    require(repair_record_decode((const uint8_t *)again.data, again.length, &second, &copy));
    require(strcmp(second.bank, head.bank) == 0 && copy.range_count == record.range_count);
    require(!canonical || (again.length == length && memcmp(again.data, bytes, length) == 0));
    keeper_record_fini(&copy);
    keeper_record_fini(&record);
    strbuf_fini(&again);
}

/* `bytes` are a head, a NUL, and the data; in between comes the line that fits. */
static void check_with_digest(const uint8_t *bytes, size_t length)
{
    const uint8_t *nul = memchr(bytes, 0, length);
    char digest[SHA256_TEXT_SIZE];
    if (nul == NULL) {
        return;
    }
    size_t head = (size_t)(nul - bytes);
    size_t data = length - head - 1;
    struct strbuf text = STRBUF_INIT;
    struct sha256 *sha = sha256_new();
    sha256_add(sha, bytes, head);
    sha256_add(sha, nul + 1, data);
    sha256_finish(sha, digest);
    sha256_free(sha);
    strbuf_append(&text, bytes, head);
    strbuf_appendf(&text, "data %zu %s\n", data, digest);
    strbuf_append(&text, nul + 1, data);
    check((const uint8_t *)text.data, text.length, false);
    strbuf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if ((data[0] & 1) == 0) {
        check(data + 1, size - 1, true);
    } else {
        check_with_digest(data + 1, size - 1);
    }
    return 0;
}
