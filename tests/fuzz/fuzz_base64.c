/* base64: what decodes must encode to the same text again, and any bytes must survive the round trip. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "base/base64.h"

static void check_text(const char *text, size_t length)
{
    struct strbuf bytes = STRBUF_INIT;
    struct strbuf again = STRBUF_INIT;
    strbuf_append_text(&bytes, "kept");
    if (base64_decode(&bytes, text, length)) {
        base64_encode(&again, (const uint8_t *)bytes.data + 4, bytes.length - 4);
        require(again.length == length && memcmp(again.data, text, length) == 0);
    } else {
        require(bytes.length == 4);
    }
    require(memcmp(bytes.data, "kept", 4) == 0 && bytes.data[bytes.length] == '\0');
    strbuf_fini(&bytes);
    strbuf_fini(&again);
}

static void check_bytes(const uint8_t *bytes, size_t length)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf back = STRBUF_INIT;
    base64_encode(&text, bytes, length);
    require(text.length == (length + 2) / 3 * 4);
    require(base64_decode(&back, text.data, text.length));
    require(back.length == length && (length == 0 || memcmp(back.data, bytes, length) == 0));
    strbuf_fini(&text);
    strbuf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        check_text((const char *)data, size);
        check_bytes(data, size);
    }
    return 0;
}
