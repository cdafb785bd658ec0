/*
 * The reader of the file of a lease. What is refused must leave the outputs alone; what is read must be
 * within its bounds, and written and read again be the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "board/lease_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lease_holder holder;
    struct lease_holder untouched;
    struct lease_holder again;
    struct strbuf text = STRBUF_INIT;
    uint64_t remaining_ms = 7;
    memset(&holder, 0x55, sizeof holder);
    untouched = holder;
    if (!lease_file_decode((const char *)data, size, &holder, &remaining_ms)) {
        require(memcmp(&holder, &untouched, sizeof holder) == 0 && remaining_ms == 7);
        return 0;
    }
    const struct lease_terms *terms = &holder.terms;
    require(remaining_ms >= 1 && remaining_ms <= terms->ttl_ms);
    require(terms->ttl_ms >= LEASE_TTL_LEAST_MS && terms->ttl_ms <= LEASE_TTL_MOST_MS);
    require(terms->connection == NULL && strlen(holder.digest) == SHA256_TEXT_SIZE - 1);
    lease_file_encode(&text, &holder, remaining_ms);
    uint64_t remaining_again = 0;
    require(lease_file_decode(text.data, text.length, &again, &remaining_again));
    require(memcmp(&holder, &again, sizeof again) == 0 && remaining_again == remaining_ms);
    strbuf_fini(&text);
    return 0;
}
