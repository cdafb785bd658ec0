/* The protocol and the commands, held against each other. A test sees to it that nothing is left out. */
#include "methods.h"

#include <stddef.h>
#include <string.h>

const struct method_row methods_of_commands[] = {
    {"flash", "flash.write_image stage.create stage.write"},
    {"verify", "flash.verify stage.create stage.write"},
    {"load", "memory.load_image stage.create stage.write"},
    {"erase", "flash.erase_sector flash.erase_all"},
    {"protect", "flash.protect"},
    {"banks", "flash.banks"},
    {"info", "flash.info"},
    {"read-bank", "flash.read"},
    {"write-bank", "flash.write stage.create stage.write"},
    {"upload", "stage.create stage.write"},
    {"download", "stage.list stage.read stage.delete flash.read_to_file"},
    {"stages", "stage.list stage.delete"},
    {"read", "memory.read_u8 memory.read_u16 memory.read_u32 memory.read_u64"},
    {"write", "memory.write_u8 memory.write_u16 memory.write_u32 memory.write_u64"},
    {"hexdump", "memory.hexdump"},
    {"search", "memory.search"},
    {"watch", "memory.watch board.status"},
    {"dump", "memory.read_bytes memory.dump"},
    {"load-bytes", "memory.write_bytes"},
    {"write-bytes", "memory.write_bytes"},
    {"halt", "target.halt"},
    {"resume", "target.resume"},
    {"reset", "target.reset"},
    {"step", "target.step"},
    {"wait-for", "target.wait"},
    {"state", "target.state"},
    {"registers", "register.read register.list"},
    {"register", "register.write"},
    {"break", "breakpoint.add"},
    {"unbreak", "breakpoint.remove"},
    {"breakpoints", "breakpoint.list"},
    {"targets", "target.list"},
    {"status", "board.status board.list operation.list client.list server.stats"},
    {"top", "events.subscribe board.status client.list server.stats"},
    {"boards", "board.list"},
    {"stats", "server.stats"},
    {"whoami", "server.hello"},
    {"operations", "operation.list operation.status"},
    {"wait", "operation.wait"},
    {"cancel", "operation.cancel"},
    {"lease", "lease.acquire lease.renew lease.release lease.status lease.break"},
    {"with-lease", "lease.status lease.acquire lease.renew lease.release"},
    {"gdb", "board.status"},
    {"events", "events.subscribe"},
    {"token", ""},
    {"stdio", ""},
    {"shell", "target.list register.list register.read register.write memory.read_u8 memory.read_u16 "
              "memory.read_u32 memory.read_u64 memory.write_u8 memory.write_u16 memory.write_u32 "
              "memory.write_u64 memory.read_bytes memory.write_bytes memory.search memory.load_image "
              "flash.banks flash.write_image stage.create stage.write target.halt target.resume target.step "
              "target.wait breakpoint.add breakpoint.remove breakpoint.list board.status openocd.command"},
    {"call", ""},
    {"discover", "rpc.discover"},
    {"openocd", "openocd.command"},
    {"commands", ""},
    {"complete", ""},
    {NULL, NULL},
};

const struct method_row methods_without_commands[] = {
    {"request.cancel", "Ctrl-C sends it"},
    {"events.unsubscribe", "'events' ends with its connection"},
    {"memory.unwatch", "'watch' ends with its connection"},
    {NULL, NULL},
};

const char *methods_of(const char *command)
{
    for (const struct method_row *row = methods_of_commands; row->name != NULL; row++) {
        if (strcmp(row->name, command) == 0) {
            return row->methods;
        }
    }
    return "";
}
