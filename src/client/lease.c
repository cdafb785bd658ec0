/* Leases of a board. */
#include "client/job.h"

static void lease_add_id(cJSON *params, const struct ocdmux_job *job)
{
    if (job != NULL && job->lease != NULL) {
        cJSON_AddStringToObject(params, "lease", job->lease);
    }
}

bool ocdmux_lease_acquire(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t ttl_ms,
                          uint64_t wait_ms, const char *reason, struct ocdmux_lease *ret_lease,
                          struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_lease lease;
    struct ocdmux_job patient = job == NULL ? (struct ocdmux_job){.board = NULL} : *job;
    struct job_call call = {.method = "lease.acquire", .take_params = job_board(job)};
    /* The answer comes with the grant: the limit of a call begins behind the wait. */
    bool limited = patient.timeout_ms != 0 && wait_ms < UINT64_MAX - patient.timeout_ms;
    patient.timeout_ms = limited ? patient.timeout_ms + wait_ms : 0;
    if (ttl_ms != 0) {
        ocdmux_json_add_u64(call.take_params, "ttl_ms", ttl_ms);
    }
    if (wait_ms != 0) {
        ocdmux_json_add_u64(call.take_params, "wait_ms", wait_ms);
    }
    if (reason != NULL) {
        cJSON_AddStringToObject(call.take_params, "reason", reason);
    }
    if (!job_run(connection, &patient, &call, &result, error)) {
        return false;
    }
    bool good = job_take_id(result.json, "lease", lease.lease) &&
                ocdmux_json_u64(job_member(result.json, "ttl_ms"), &lease.ttl_ms);
    ocdmux_result_fini(&result);
    if (good) {
        *ret_lease = lease;
    }
    return good || job_fail_result(error, call.method);
}

bool ocdmux_lease_renew(struct ocdmux *connection, const struct ocdmux_job *job, uint64_t ttl_ms,
                        struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "lease.renew", .take_params = job_board(job)};
    lease_add_id(call.take_params, job);
    if (ttl_ms != 0) {
        ocdmux_json_add_u64(call.take_params, "ttl_ms", ttl_ms);
    }
    bool good = job_run(connection, job, &call, &result, error);
    ocdmux_result_fini(&result);
    return good;
}

bool ocdmux_lease_release(struct ocdmux *connection, const struct ocdmux_job *job, struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "lease.release", .take_params = job_board(job)};
    lease_add_id(call.take_params, job);
    bool good = job_run(connection, job, &call, &result, error);
    ocdmux_result_fini(&result);
    return good;
}
