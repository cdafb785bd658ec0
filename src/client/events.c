/* Subscriptions to events. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "client/job.h"

/* Words separated by spaces, as an array. */
static void events_add_topics(cJSON *params, const char *topics)
{
    cJSON *array = cJSON_AddArrayToObject(params, "topics");
    while (*(topics += strspn(topics, " ")) != '\0') {
        size_t length = strcspn(topics, " ");
        char *topic = xstrndup(topics, length);
        cJSON_AddItemToArray(array, cJSON_CreateString(topic));
        free(topic);
        topics += length;
    }
}

bool ocdmux_subscribe(struct ocdmux *connection, const struct ocdmux_job *job, const char *topics,
                      struct ocdmux_result *ret_result, struct ocdmux_error *error)
{
    struct job_call call = {.method = "events.subscribe", .take_params = job_board(job)};
    events_add_topics(call.take_params, topics);
    return job_run(connection, job, &call, ret_result, error);
}

bool ocdmux_unsubscribe(struct ocdmux *connection, const struct ocdmux_job *job, const char *topics,
                        struct ocdmux_error *error)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct job_call call = {.method = "events.unsubscribe", .take_params = cJSON_CreateObject()};
    if (topics != NULL) {
        events_add_topics(call.take_params, topics);
    }
    bool good = job_run(connection, job, &call, &result, error);
    ocdmux_result_fini(&result);
    return good;
}
