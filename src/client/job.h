/* What the usual jobs share: the parameters that say where, and calls that show progress and can be stopped.
 */
#ifndef OCDMUX_CLIENT_JOB_H
#define OCDMUX_CLIENT_JOB_H

#include "client/ocdmux.h"

/* Parameters of a method that runs on a board: `board`, `target`, `lease` and `timeout_ms`; of one that only
 * knows boards: `board`. `job` may be NULL. The caller owns them. */
cJSON *job_params(const struct ocdmux_job *job);
cJSON *job_board(const struct ocdmux_job *job);

/* Gets the `data` notifications of a call; false cancels it. */
typedef bool job_data_fn(void *arg, const cJSON *params);

/* Calls a method. With `board` it asks for progress where the job wants to know. `data` may be NULL;
 * `take_params` is freed. `ret_result` NULL: nobody wants it. */
struct job_call {
    const char *method;
    cJSON *take_params;
    bool board;
    job_data_fn *data;
    void *data_arg;
};
bool job_run(struct ocdmux *connection, const struct ocdmux_job *job, const struct job_call *call,
             struct ocdmux_result *ret_result, struct ocdmux_error *error)
    __attribute__((warn_unused_result));

/* Fails because a result is not what the protocol says. */
bool job_fail_result(struct ocdmux_error *error, const char *method);
/* Tells the job's owner; false where he wants it to stop. */
bool job_tell(const struct ocdmux_job *job, const char *phase, uint64_t done, uint64_t total);

/* A member of a result. */
const cJSON *job_member(const cJSON *object, const char *name);
/* Copies a text of 1 to OCDMUX_ID_SIZE - 1 bytes; false for anything else. */
bool job_take_id(const cJSON *object, const char *name, char id[OCDMUX_ID_SIZE])
    __attribute__((warn_unused_result));

/* Adds bytes as base64. */
void job_add_data(cJSON *params, const void *bytes, size_t size);

#endif
