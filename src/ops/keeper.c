/* Records of what an erase would lose. */
#include "ops/keeper.h"

#include <stdlib.h>
#include <string.h>

void keeper_record_fini(struct keeper_record *record)
{
    free(record->ranges);
    free(record->storage);
    memset(record, 0, sizeof *record);
}
