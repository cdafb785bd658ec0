/* Writing and reading what is kept of a lease. */
#include "board/lease_file.h"

#include <string.h>

#include "rpc/json.h"
#include "rpc/json_write.h"

#define VERSION 1u
#define MEMBERS 9u

void lease_file_encode(struct strbuf *out, const struct lease_holder *holder, uint64_t remaining_ms)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_open_object(&json, NULL);
    json_u64(&json, "version", VERSION);
    json_text(&json, "digest", holder->digest);
    json_text(&json, "identity", holder->terms.identity);
    json_text(&json, "client", holder->terms.client);
    json_text(&json, "reason", holder->terms.reason);
    json_text(&json, "since", holder->since);
    json_bool(&json, "detached", holder->terms.detached);
    json_u64(&json, "ttl_ms", holder->terms.ttl_ms);
    json_u64(&json, "remaining_ms", remaining_ms);
    json_close_object(&json);
    strbuf_append_byte(out, '\n');
}

static bool take_text(struct json_span object, const char *name, char *text, size_t size)
{
    struct json_span value;
    struct strbuf taken = STRBUF_INIT;
    if (!json_find_member(object, name, &value) || json_span_kind(value) != JSON_STRING) {
        return false;
    }
    json_span_string(value, &taken);
    bool ok = taken.length < size && memchr(strbuf_text(&taken), '\0', taken.length) == NULL;
    if (ok) {
        memcpy(text, strbuf_text(&taken), taken.length + 1);
    }
    strbuf_fini(&taken);
    return ok;
}

static bool take_number(struct json_span object, const char *name, uint64_t minimum, uint64_t maximum,
                        uint64_t *ret_value)
{
    struct json_span value;
    uint64_t number = 0;
    bool ok = json_find_member(object, name, &value) && json_span_kind(value) == JSON_NUMBER &&
              json_span_u64(value, &number) == JSON_INTEGER_OK;
    if (ok) {
        *ret_value = number;
    }
    return ok && number >= minimum && number <= maximum;
}

static bool take_bool(struct json_span object, const char *name, bool *ret_value)
{
    struct json_span value;
    if (!json_find_member(object, name, &value)) {
        return false;
    }
    enum json_kind kind = json_span_kind(value);
    *ret_value = kind == JSON_TRUE;
    return kind == JSON_TRUE || kind == JSON_FALSE;
}

static bool has_members(struct json_span object, size_t count)
{
    struct json_cursor cursor;
    struct json_span key;
    struct json_span value;
    size_t found = 0;
    json_cursor_init(&cursor, object);
    while (json_next_member(&cursor, &key, &value)) {
        found++;
    }
    return found == count;
}

/* Made by the daemon: nothing else is what it wrote. */
static bool is_digest(const char *digest)
{
    return strlen(digest) == SHA256_TEXT_SIZE - 1 &&
           strspn(digest, "0123456789abcdef") == SHA256_TEXT_SIZE - 1;
}

static bool is_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    size_t i = 0;
    while (text[i] != '\0' && form[i] != '\0' &&
           (form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i])) {
        i++;
    }
    return text[i] == '\0' && form[i] == '\0';
}

bool lease_file_decode(const char *text, size_t length, struct lease_holder *ret_holder,
                       uint64_t *ret_remaining_ms)
{
    struct json_problem problem;
    struct lease_holder holder;
    uint64_t version = 0;
    uint64_t remaining_ms = 0;
    memset(&holder, 0, sizeof holder);
    if (length > LEASE_FILE_MOST_BYTES || !json_check(text, length, &problem)) {
        return false;
    }
    struct json_span object = json_span_of(text, length);
    struct lease_terms *terms = &holder.terms;
    bool ok = json_span_kind(object) == JSON_OBJECT && has_members(object, MEMBERS) &&
              take_number(object, "version", VERSION, VERSION, &version) &&
              take_text(object, "digest", holder.digest, sizeof holder.digest) &&
              take_text(object, "identity", terms->identity, sizeof terms->identity) &&
              take_text(object, "client", terms->client, sizeof terms->client) &&
              take_text(object, "reason", terms->reason, sizeof terms->reason) &&
              take_text(object, "since", holder.since, sizeof holder.since) &&
              take_bool(object, "detached", &terms->detached) &&
              take_number(object, "ttl_ms", LEASE_TTL_LEAST_MS, LEASE_TTL_MOST_MS, &terms->ttl_ms) &&
              take_number(object, "remaining_ms", 1, terms->ttl_ms, &remaining_ms) &&
              is_digest(holder.digest) && is_time(holder.since) && terms->identity[0] != '\0';
    if (ok) {
        *ret_holder = holder;
        *ret_remaining_ms = remaining_ms;
    }
    return ok;
}
