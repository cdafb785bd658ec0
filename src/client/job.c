/* The common part of the usual jobs. */
#include "client/job.h"

#include <string.h>

#include "base/base64.h"
#include "base/strbuf.h"
#include "client/error.h"

/* How much longer than `timeout_ms` to wait for the server's own answer to it. */
#define JOB_GRACE_MS 1000u

cJSON *job_board(const struct ocdmux_job *job)
{
    cJSON *params = cJSON_CreateObject();
    if (job != NULL && job->board != NULL) {
        cJSON_AddStringToObject(params, "board", job->board);
    }
    return params;
}

cJSON *job_params(const struct ocdmux_job *job)
{
    cJSON *params = job_board(job);
    if (job == NULL) {
        return params;
    }
    if (job->target != NULL) {
        cJSON_AddStringToObject(params, "target", job->target);
    }
    if (job->lease != NULL) {
        cJSON_AddStringToObject(params, "lease", job->lease);
    }
    if (job->timeout_ms != 0) {
        ocdmux_json_add_u64(params, "timeout_ms", job->timeout_ms);
    }
    return params;
}

bool job_tell(const struct ocdmux_job *job, const char *phase, uint64_t done, uint64_t total)
{
    return job == NULL || job->progress == NULL || job->progress(job->arg, phase, done, total);
}

/* What the handlers of a call need. */
struct job_handler {
    const struct ocdmux_job *job;
    const struct job_call *call;
};

static bool job_notified(void *arg, const struct ocdmux_notification *notification)
{
    const struct job_handler *handler = arg;
    const char *phase = cJSON_GetStringValue(job_member(notification->params, "phase"));
    uint64_t done = 0;
    uint64_t total = 0;
    if (strcmp(notification->method, "data") == 0) {
        return handler->call->data == NULL ||
               handler->call->data(handler->call->data_arg, notification->params);
    }
    /* What cannot be read of a progress is not shown; the result decides. */
    if (phase == NULL || !ocdmux_json_u64(job_member(notification->params, "done"), &done)) {
        return true;
    }
    (void)!ocdmux_json_u64(job_member(notification->params, "total"), &total);
    return job_tell(handler->job, phase, done, total);
}

static void job_cancelling(void *arg)
{
    const struct ocdmux_job *job = ((const struct job_handler *)arg)->job;
    if (job != NULL && job->cancelling != NULL) {
        job->cancelling(job->arg);
    }
}

bool job_run(struct ocdmux *connection, const struct ocdmux_job *job, const struct job_call *call,
             struct ocdmux_result *ret_result, struct ocdmux_error *error)
{
    struct job_handler handler = {job, call};
    struct ocdmux_call_options options = {.progress = call->board && job != NULL && job->progress != NULL,
                                          .notify = job_notified,
                                          .cancelling = job_cancelling,
                                          .arg = &handler};
    if (job != NULL) {
        options.cancel_wait_ms = job->cancel_wait_ms;
        /* One that is too long to be added to is as good as none. */
        bool limited = job->timeout_ms != 0 && job->timeout_ms < UINT64_MAX - JOB_GRACE_MS;
        options.timeout_ms = limited ? job->timeout_ms + JOB_GRACE_MS : 0;
    }
    struct ocdmux_result own = OCDMUX_RESULT_INIT;
    bool good = ocdmux_call(connection, call->method, call->take_params, &options,
                            ret_result != NULL ? ret_result : &own, error);
    ocdmux_result_fini(&own);
    cJSON_Delete(call->take_params);
    return good;
}

bool job_fail_result(struct ocdmux_error *error, const char *method)
{
    return error_set(error, OCDMUX_KIND_PROTOCOL, "the result of %s is not what the protocol says", method);
}

const cJSON *job_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

bool job_take_id(const cJSON *object, const char *name, char id[OCDMUX_ID_SIZE])
{
    const char *text = cJSON_GetStringValue(job_member(object, name));
    if (text == NULL || text[0] == '\0' || strlen(text) >= OCDMUX_ID_SIZE) {
        return false;
    }
    memcpy(id, text, strlen(text) + 1);
    return true;
}

void job_add_data(cJSON *params, const void *bytes, size_t size)
{
    struct strbuf data = STRBUF_INIT;
    base64_encode(&data, bytes, size);
    cJSON_AddStringToObject(params, "data", strbuf_text(&data));
    strbuf_fini(&data);
}
