/* Request line, field lines, end. */
#include "server/http_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOKEN_BYTES \
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" /* RFC 9110, 5.6.2 */

/* Text that is not terminated. */
struct piece {
    const char *text;
    size_t length;
};

static enum http_verdict refuse(struct http_head *head, unsigned status)
{
    head->status = status;
    return HTTP_REFUSED;
}

static bool is(struct piece piece, const char *word)
{
    return piece.length == strlen(word) && memcmp(piece.text, word, piece.length) == 0;
}

static bool is_name(struct piece piece, const char *name)
{
    return piece.length == strlen(name) && strncasecmp(piece.text, name, piece.length) == 0;
}

static bool is_token(struct piece piece)
{
    for (size_t i = 0; i < piece.length; i++) {
        if (piece.text[i] == '\0' || strchr(TOKEN_BYTES, piece.text[i]) == NULL) {
            return false;
        }
    }
    return piece.length > 0;
}

/* What stands before `byte`; the rest is left behind it. False where there is none. */
static bool cut(struct piece *rest, char byte, struct piece *ret_before)
{
    const char *found = rest->length > 0 ? memchr(rest->text, byte, rest->length) : NULL;
    if (found == NULL) {
        return false;
    }
    *ret_before = (struct piece){rest->text, (size_t)(found - rest->text)};
    rest->length -= ret_before->length + 1;
    rest->text = found + 1;
    return true;
}

/* "/metrics?x=1", or the same behind "http://HOST" as proxies send it. */
static bool take_target(struct http_head *head, struct piece target)
{
    static const char scheme[] = "http://";
    for (size_t i = 0; i < target.length; i++) {
        if (target.text[i] <= ' ' || target.text[i] > '~') {
            return false;
        }
    }
    if (target.length > sizeof scheme - 1 && strncasecmp(target.text, scheme, sizeof scheme - 1) == 0) {
        struct piece host;
        target.text += sizeof scheme - 1;
        target.length -= sizeof scheme - 1;
        if (!cut(&target, '/', &host)) {
            return false;
        }
        target.text--;
        target.length++;
    }
    if (target.length == 0 || target.text[0] != '/') {
        return false;
    }
    const char *query = memchr(target.text, '?', target.length);
    size_t length = query != NULL ? (size_t)(query - target.text) : target.length;
    if (length < sizeof head->path) {
        snprintf(head->path, sizeof head->path, "%.*s", (int)length, target.text);
    }
    return true;
}

static enum http_verdict take_request(struct http_head *head, struct piece line)
{
    static const char version[] = "HTTP/1.";
    struct piece method;
    struct piece target;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method)) {
        return refuse(head, 400);
    }
    if (line.length != sizeof version || memcmp(line.text, "HTTP/", 5) != 0) {
        return refuse(head, 400);
    }
    if (memcmp(line.text, version, sizeof version - 1) != 0) {
        return refuse(head, 505);
    }
    char minor = line.text[sizeof version - 1];
    if (minor < '0' || minor > '9') {
        return refuse(head, 400);
    }
    head->begun = true;
    head->needs_host = minor != '0';
    head->only_head = is(method, "HEAD");
    head->allowed = head->only_head || is(method, "GET");
    /* Of other methods ("OPTIONS *") the target is nobody's business. */
    return !head->allowed || take_target(head, target) ? HTTP_MORE : refuse(head, 400);
}

static enum http_verdict take_field(struct http_head *head, struct piece line)
{
    struct piece name;
    if (!cut(&line, ':', &name) || !is_token(name)) {
        return refuse(head, 400);
    }
    for (size_t i = 0; i < line.length; i++) {
        unsigned char byte = (unsigned char)line.text[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return refuse(head, 400);
        }
    }
    head->hosts += is_name(name, "Host");
    if (is_name(name, "Transfer-Encoding")) {
        return refuse(head, 413);
    }
    if (is_name(name, "Content-Length")) {
        for (size_t i = 0; i < line.length; i++) {
            if (strchr(" \t0", line.text[i]) == NULL) {
                return refuse(head, 413);
            }
        }
    }
    return HTTP_MORE;
}

static enum http_verdict take_end(struct http_head *head)
{
    if (head->hosts > 1 || (head->needs_host && head->hosts == 0)) {
        return refuse(head, 400);
    }
    return head->allowed ? HTTP_READY : refuse(head, 405);
}

enum http_verdict http_head_line(struct http_head *head, const char *line, size_t length)
{
    head->bytes += length + 2;
    head->lines++;
    if (head->bytes > HTTP_HEAD_MAX_BYTES || head->lines > HTTP_HEAD_MAX_LINES) {
        return refuse(head, 431);
    }
    struct piece piece = {line, length};
    if (length == 0) {
        return head->begun ? take_end(head) : HTTP_MORE; /* some send one too many */
    }
    return head->begun ? take_field(head, piece) : take_request(head, piece);
}

const char *http_status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "";
}
