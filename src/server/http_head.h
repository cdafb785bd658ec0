/*
 * The head of an HTTP/1 request (RFC 9112), line by line. Only what asks for a page is taken: no body, no
 * folded lines. Pure.
 *
 *   request line ---> field lines ---> empty line: READY
 *        +----------------+--- anything wrong: REFUSED, with the status to answer
 */
#ifndef OCDMUX_SERVER_HTTP_HEAD_H
#define OCDMUX_SERVER_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX_BYTES 8192u
#define HTTP_HEAD_MAX_LINES 64u
#define HTTP_PATH_SIZE 128

enum http_verdict {
    HTTP_MORE,    /* another line, please */
    HTTP_READY,   /* the head is whole */
    HTTP_REFUSED, /* `status` says why; no more lines */
};

/* Zeros: nothing has come yet. */
struct http_head {
    bool begun;                /* the request line was there */
    bool only_head;            /* HEAD: the answer has no body */
    bool allowed;              /* the method is GET or HEAD */
    char path[HTTP_PATH_SIZE]; /* without its query; "" for one that is too long to be a page */
    bool needs_host;           /* HTTP/1.1 and later */
    unsigned hosts;
    size_t bytes;
    size_t lines;
    unsigned status; /* HTTP_REFUSED: 400, 405, 413, 431 or 505 */
};

/* A line without its CR LF. */
enum http_verdict http_head_line(struct http_head *head, const char *line, size_t length);
/* "Not Found" and so on, for the statuses that this daemon answers. */
const char *http_status_text(unsigned status);

#endif
