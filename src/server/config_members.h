/* Members of the configuration's objects. Messages begin with `path`, the file, and `place`, what they call
 * the object ("boards[0]"; "" for the root). All fail with invalid_params. */
#ifndef OCDMUX_SERVER_CONFIG_MEMBERS_H
#define OCDMUX_SERVER_CONFIG_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rpc/json.h"

struct config_number {
    const char *name;
    uint64_t *value; /* untouched where the member is missing */
    uint64_t minimum;
    uint64_t maximum;
};

/* Sets the error "PATH: PLACE.MEMBER: RULE", without what is empty of PLACE and MEMBER. Returns false. */
bool config_bad(struct err *err, const char *path, const char *place, const char *member, const char *rule);
/* That it is an object, and has no members but the `allowed` ones, which NULL ends. */
bool config_check_members(struct json_span object, const char *const *allowed, const char *path,
                          const char *place, struct err *err) __attribute__((warn_unused_result));
/* `*ret_text` (free()) is NULL where the member is missing. */
bool config_take_text(struct json_span object, const char *name, char **ret_text, const char *path,
                      const char *place, struct err *err) __attribute__((warn_unused_result));
bool config_take_bool(struct json_span object, const char *name, bool *value, const char *path,
                      const char *place, struct err *err) __attribute__((warn_unused_result));
bool config_take_number(struct json_span object, const struct config_number *number, const char *path,
                        const char *place, struct err *err) __attribute__((warn_unused_result));

#endif
