/*
 * Parameters by table: tools/gen-proto makes, from proto/protocol.json, a struct for each method's parameters
 * and a table of struct rpc_param that says where each goes and what it may be. Every fault names the
 * parameter and the rule.
 */
#ifndef OCDMUX_RPC_PARAMS_H
#define OCDMUX_RPC_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rpc/json.h"

enum rpc_param_kind {
    RPC_PARAM_U64,      /* uint64_t: integer or "0x..." or decimal text, within minimum and maximum */
    RPC_PARAM_BOOL,     /* bool */
    RPC_PARAM_TEXT,     /* struct rpc_text, within minimum and maximum bytes; control characters refused */
    RPC_PARAM_SCRIPT,   /* the same, with control characters */
    RPC_PARAM_CHOICE,   /* int: index into `choices` */
    RPC_PARAM_BYTES,    /* struct rpc_bytes: base64 text, or hex where the parameter `encoding` is "hex" */
    RPC_PARAM_INTEGERS, /* struct rpc_integers: one integer or an array of them, each within minimum and
                           maximum */
    RPC_PARAM_TEXTS,    /* struct rpc_texts: an array of texts, each as RPC_PARAM_TEXT */
    RPC_PARAM_NUMBERS,  /* struct rpc_texts: an array of whole numbers of any width: integers, or text of
                           decimal digits (up to 2^64-1) or of 0x and up to RPC_NUMBER_DIGITS hex digits; kept
                           as "0x" and lower-case digits */
    RPC_PARAM_RANGES,   /* struct rpc_ranges: an array of objects of `address` and `size`, the size within
                           minimum and maximum */
    RPC_PARAM_CHOICES,  /* uint64_t: an array of words out of `choices`, as bits 1 << index */
    RPC_PARAM_TOKEN,    /* struct rpc_text: a string or an integer, kept as its JSON text */
    RPC_PARAM_ID,       /* the same, for the id of a request */
    RPC_PARAM_ANY,      /* struct json_span into the line: gone when the handler returns */
};

/* Of one of RPC_PARAM_NUMBERS: 4,096 bits. */
#define RPC_NUMBER_DIGITS 1024u

/* Each of these is all zero where the parameter was not given. */
struct rpc_text {
    char *text; /* NUL-terminated; NULL if not given */
    size_t length;
};
struct rpc_bytes {
    uint8_t *bytes; /* NULL if not given; else non-NULL even when empty */
    size_t length;
};
struct rpc_integers {
    uint64_t *values;
    size_t count;
};

struct rpc_texts {
    struct rpc_text *items;
    size_t count;
};

struct rpc_range {
    uint64_t address;
    uint64_t size;
};
struct rpc_ranges {
    struct rpc_range *items;
    size_t count;
};

struct rpc_param {
    const char *name;
    enum rpc_param_kind kind;
    bool required;
    uint16_t offset;       /* of the value in the params struct */
    uint16_t given_offset; /* of a bool that says whether it was given; UINT16_MAX: none */
    uint64_t minimum;      /* U64, INTEGERS: value; TEXT, TEXTS, SCRIPT, BYTES, TOKEN, ID: length in bytes;
                              CHOICES: elements */
    uint64_t maximum;
    uint64_t max_count;         /* INTEGERS, TEXTS, NUMBERS, RANGES: most elements; the fewest are 1 */
    uint64_t default_value;     /* U64, BOOL, CHOICE */
    const char *const *choices; /* NULL-terminated */
};

/* Each may do what those before it may. No method needs RPC_ROLE_NONE: it is that of clients that may do
 * nothing. */
enum rpc_role { RPC_ROLE_NONE, RPC_ROLE_OBSERVER, RPC_ROLE_USER, RPC_ROLE_ADMIN };

struct rpc_method {
    const char *name;
    bool immediate; /* answered without the link */
    bool board;     /* begins with struct rpc_common and takes its parameters */
    bool changes;   /* changes the board */
    enum rpc_role role;
    uint32_t default_timeout_ms; /* 0: none */
    size_t params_size;
    const struct rpc_param *params;
    size_t param_count;
};

/* What every method that runs on a board takes; the first member of its params struct. */
struct rpc_common {
    struct rpc_text board;
    struct rpc_text target;
    struct rpc_text lease;    /* the id of one */
    uint64_t timeout_ms;      /* 0: none given, the method's default counts */
    struct rpc_text progress; /* JSON text of the token; NULL: none asked for */
};

/*
 * Fills `params` (params_size bytes, zeroed by this call) from an object span, or from a zero-length span
 * where the call had no `params`. On success the caller gives the memory in it back with rpc_params_fini();
 * on failure nothing is held. Fails with invalid_params, with the detail `parameter`. Positional parameters
 * (an array) are refused.
 */
bool rpc_params_parse(const struct rpc_method *method, struct json_span span, void *params, struct err *err)
    __attribute__((warn_unused_result));
/* Frees what is still in it; a handler that takes a buffer out sets the pointer to NULL. */
void rpc_params_fini(const struct rpc_method *method, void *params);

/*
 * The rule that `span` breaks as a token or an id: a string of at most `maximum` bytes, or a whole number
 * written as digits of at most that length. NULL if it breaks none.
 */
const char *rpc_params_token_fault(struct json_span span, uint64_t maximum);

#endif
