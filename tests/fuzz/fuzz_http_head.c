/*
 * The reader of HTTP requests: lines that LF ends, as the stream cuts them. What it takes is a path of
 * visible characters, and nothing beyond its bounds is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "server/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ready(const struct http_head *head)
{
    require(head->begun && head->allowed && head->bytes <= HTTP_HEAD_MAX_BYTES);
    require(head->lines <= HTTP_HEAD_MAX_LINES && (head->path[0] == '/' || head->path[0] == '\0'));
    for (const char *at = head->path; *at != '\0'; at++) {
        require(*at > ' ' && *at <= '~' && *at != '?');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head = {0};
    const char *text = (const char *)data;
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        char *line = malloc(length + 1); /* of its own, so that reading beyond it is seen */
        require(line != NULL);
        memcpy(line, text, length);
        enum http_verdict verdict = http_head_line(&head, line, length);
        free(line);
        if (verdict == HTTP_READY) {
            check_ready(&head);
            return 0;
        }
        if (verdict == HTTP_REFUSED) {
            require(http_status_text(head.status)[0] != '\0' && head.status >= 400);
            return 0;
        }
        text += length + (end != NULL);
        size -= length + (end != NULL);
    }
    return 0;
}
