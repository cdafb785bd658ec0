/* Parts of results that several namespaces give. All write into an object that is open. */
#ifndef OCDMUX_METHODS_WRITE_H
#define OCDMUX_METHODS_WRITE_H

#include "openocd/info.h"
#include "rpc/json_write.h"
#include "server/server.h"

/* "targets": [{target, type, state, endian, current}] */
void write_target_list(const struct ocd_info *info, struct json_writer *json);
/* "banks": [{index, name, driver, base, size, bus_width, chip_width, target}] */
void write_bank_list(const struct ocd_info *info, struct json_writer *json);
/* The same members of one bank, into the open object. */
void write_bank(const struct ocd_bank *bank, struct json_writer *json);
/* An element of an array of sectors or protection blocks: {index, offset, size, protected} */
void write_flash_row(struct json_writer *json, size_t index, const struct ocd_block *block,
                     enum ocd_protection protection);
/* "target": the name of the operation's target */
void write_target_name(struct request *request, struct op *op, struct json_writer *json);
/* "lease", where somebody holds it, "lease_queue" and "require_lease". */
void write_lease(const struct board *board, struct json_writer *json);
/* board.status of one board. */
void write_board_status(struct server *server, struct board *board, struct json_writer *json);
/* "topics": those of the bits, by enum rpc_topic. */
void write_topics(uint64_t topics, struct json_writer *json);

/* "problem", where there is one, and "process" of an OpenOCD that the daemon starts. */
void write_process(struct board *board, struct json_writer *json);

#endif
