/* flash.read and read_to_file. */
#include <inttypes.h>
#include <stdio.h>

#include "methods/handlers_gen.h"
#include "methods/range.h"

bool method_flash_read(struct request *request, struct params_flash_read *params, struct err *err)
{
    struct range_read_source source = {.address = params->offset,
                                       .size = params->size,
                                       .consistent = params->consistent,
                                       .from_flash = true,
                                       .bank = (unsigned)params->bank};
    return range_bytes_run(request, &source, params->stream, params->encoding == RPC_ENCODING_HEX, err);
}

bool method_flash_read_to_file(struct request *request, struct params_flash_read_to_file *params,
                               struct err *err)
{
    char name[64];
    struct range_read_source source = {.address = params->offset,
                                       .size = params->size,
                                       .to_end = !params->size_given,
                                       .consistent = params->consistent,
                                       .from_flash = true,
                                       .bank = (unsigned)params->bank};
    snprintf(name, sizeof name, "flash-%" PRIu64 "-0x%08" PRIx64 ".bin", params->bank, params->offset);
    return range_file_run(request, &source, &params->path, name, err);
}
