/* What the files of the link share. For nobody else. */
#ifndef OCDMUX_OPENOCD_LINK_PRIVATE_H
#define OCDMUX_OPENOCD_LINK_PRIVATE_H

#include "openocd/link.h"
#include "openocd/share_probe.h"

/* The handshake's steps, in their order. */
enum handshake_step {
    STEP_VERSION,
    STEP_EXPECT, /* only where a certain board is expected; nothing before it changes anything */
    STEP_NOTIFICATIONS,
    STEP_STAGING,
    STEP_SHARE_READ, /* these two only where there is a directory to share */
    STEP_SHARE_WRITE,
    STEP_SURVEY,
    STEP_COUNT
};

struct ocd_link {
    struct loop *loop;
    struct net_address address;
    char *name;
    char *stage_dir;
    uint32_t limit_ms;
    const struct ocd_expect *expect;
    const struct ocd_link_handler *handler;
    void *context;

    enum ocd_link_state state;
    struct net_stream *stream; /* NULL while DOWN */
    struct envelope_decoder *decoder;
    struct loop_timer *timer; /* DOWN: next try; else: the limit of what is under way */
    uint64_t timer_at_us;
    unsigned failures; /* in a row */
    bool held;         /* only while DOWN: no try is made */
    bool eager;        /* since it was released it was not up */
    bool silent;       /* why it is DOWN: see the header */
    bool refused;
    enum handshake_step step;
    struct share_probe probe;

    char nonce[ENVELOPE_NONCE_SIZE]; /* of the command in flight; "" if there is none */
    uint64_t nonce_prefix;
    uint64_t nonce_counter;
    uint64_t sent_us;
    bool patient;   /* the command in flight: a stray does not cut its limit */
    bool saw_stray; /* a stray has cut its limit */

    struct ocd_info info;
    struct ocd_link_counters counters;
    char last_error[256];
};

/* link.c */

/* The only place that changes the state. Coming up and going down is news; one command after the other is
 * not. */
void link_set_state(struct ocd_link *link, enum ocd_link_state state, const char *reason);
void link_set_timer(struct ocd_link *link, uint64_t delay_ms);
/* Puts a script on the wire, without touching the state. */
bool link_transmit(struct ocd_link *link, const struct strbuf *script, const struct envelope_data *data,
                   struct err *err) __attribute__((warn_unused_result));
void link_go_down(struct ocd_link *link, uint64_t retry_ms, const char *reason);
/* The same, with the back-off's pause. */
void link_fail(struct ocd_link *link, const char *reason);

/* link_handshake.c */

/* Connected, or to be learned anew. */
void link_handshake_start(struct ocd_link *link);
void link_handshake_reply(struct ocd_link *link, const struct ocd_reply *reply);

#endif
