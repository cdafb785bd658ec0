/*
 * The debug port and its memory access port. A bus fault sets STICKYERR, after which AP accesses are
 * dropped until the debugger clears it; acknowledges are always OK/FAULT because accesses end at once.
 */
#include "dap.h"

#include "board.h"
#include "log.h"

#define ACK_OK_FAULT 0x2U

#define DP_ORUNDETECT (1U << 0)
#define DP_STICKYORUN (1U << 1)
#define DP_TRNMODE (3U << 2)
#define DP_STICKYCMP (1U << 4)
#define DP_STICKYERR (1U << 5)
#define DP_READOK (1U << 6)
#define DP_MASKLANE (0xFU << 8)
#define DP_TRNCNT (0xFFFU << 12)
#define DP_CDBGPWRUPREQ (1U << 28)
#define DP_CDBGPWRUPACK (1U << 29)
#define DP_CSYSPWRUPREQ (1U << 30)
#define DP_CSYSPWRUPACK (1U << 31)
#define DP_CTRL_WRITABLE \
    (DP_ORUNDETECT | DP_TRNMODE | DP_MASKLANE | DP_TRNCNT | DP_CDBGPWRUPREQ | DP_CSYSPWRUPREQ)
#define DP_STICKY (DP_STICKYORUN | DP_STICKYCMP | DP_STICKYERR)

#define CSW_SIZE 0x7U
#define CSW_ADDRINC (3U << 4)
#define CSW_ADDRINC_SINGLE (1U << 4)
#define CSW_DEVICE_ENABLED (1U << 6)
#define CSW_PROT (0x7FU << 24)
#define CSW_RESET 0x23000042U

#define AP_IDR 0x14770011U
#define AP_BASE 0xE00FF003U
#define TAR_WRAP 0xFFFU

#define DHCSR 0xE000EDF0U
#define LOOKS_OF_ONE_WHO_WAITS 3U

void dap_init(struct dap *dap)
{
    *dap = (struct dap){.csw = CSW_RESET};
}

uint64_t dap_capture(const struct dap *dap)
{
    return ((uint64_t)dap->result << 3) | ACK_OK_FAULT;
}

void dap_abort(struct dap *dap)
{
    /* Nothing is ever in flight between two scans; DAPABORT has nothing to stop. */
    dap->result = 0;
}

static uint32_t dap_read_dp(const struct dap *dap, unsigned reg)
{
    switch (reg) {
    case 1:
        return dap->ctrl_stat | ((dap->ctrl_stat & DP_CDBGPWRUPREQ) != 0 ? DP_CDBGPWRUPACK : 0) |
               ((dap->ctrl_stat & DP_CSYSPWRUPREQ) != 0 ? DP_CSYSPWRUPACK : 0);
    case 2:
        return dap->select;
    default: /* RDBUFF reads as zero on a JTAG-DP: the scan itself brought the posted result */
        return 0;
    }
}

void dap_access_dp(struct board *board, uint64_t scan)
{
    struct dap *dap = &board->dap;
    unsigned reg = (unsigned)(scan >> 1) & 3U;
    uint32_t value = (uint32_t)(scan >> 3);
    if ((scan & 1U) != 0) {
        dap->result = dap_read_dp(dap, reg);
        return;
    }
    if (reg == 1) {
        /* On a JTAG-DP the sticky flags are cleared by writing ones to them. */
        uint32_t sticky = dap->ctrl_stat & DP_STICKY & ~value;
        dap->ctrl_stat = (value & DP_CTRL_WRITABLE) | sticky;
    } else if (reg == 2) {
        dap->select = value & 0xFF0000FFU;
    }
}

bool dap_is_waiting(const struct dap *dap)
{
    return dap->looks >= LOOKS_OF_ONE_WHO_WAITS;
}

static void dap_count_look(struct board *board, uint32_t address, bool read)
{
    struct dap *dap = &board->dap;
    if (!read || address != DHCSR || board->core.state != CORE_RUNNING) {
        dap->looks = 0;
    } else if (!dap_is_waiting(dap)) {
        dap->looks++;
    }
}

/* Data lies in the byte lanes of its address, whatever the size (ARM IHI 0031, MEM-AP byte lanes). */
static bool dap_transfer(struct board *board, uint32_t address, unsigned size, bool read, uint32_t *value)
{
    unsigned lane = 8U * (address & 3U);
    board->delay_owed_us += board->access_delay_us;
    dap_count_look(board, address, read);
    if (!read) {
        return bus_write(board, BUS_DEBUG, address, size, *value >> lane);
    }
    uint32_t data = 0;
    if (!bus_read(board, BUS_DEBUG, address, size, &data)) {
        return false;
    }
    *value = data << lane;
    return true;
}

static void dap_increment_tar(struct dap *dap, unsigned size)
{
    if ((dap->csw & CSW_ADDRINC) == CSW_ADDRINC_SINGLE) {
        dap->tar = (dap->tar & ~TAR_WRAP) | ((dap->tar + size) & TAR_WRAP);
    }
}

static void dap_write_csw(struct dap *dap, uint32_t value)
{
    uint32_t size = value & CSW_SIZE;
    if (size > 2) {
        size = 2; /* no accesses wider than a word */
    }
    uint32_t increment = value & CSW_ADDRINC;
    if (increment != CSW_ADDRINC_SINGLE) {
        increment = 0; /* packed transfers are not there: the field reads back as off */
    }
    dap->csw = (value & CSW_PROT) | increment | CSW_DEVICE_ENABLED | size;
}

/* Registers of AP 0; false where the access faulted on the bus. */
static bool dap_access_mem_ap(struct board *board, unsigned reg, bool read, uint32_t *value)
{
    struct dap *dap = &board->dap;
    unsigned size = 1U << (dap->csw & CSW_SIZE);
    switch (reg) {
    case 0x00:
        if (read) {
            *value = dap->csw;
        } else {
            dap_write_csw(dap, *value);
        }
        return true;
    case 0x04:
        if (read) {
            *value = dap->tar;
        } else {
            dap->tar = *value;
        }
        return true;
    case 0x0C:
        if (!dap_transfer(board, dap->tar, size, read, value)) {
            return false; /* TAR stays, so that the debugger can tell where it failed */
        }
        dap_increment_tar(dap, size);
        return true;
    case 0x10:
    case 0x14:
    case 0x18:
    case 0x1C:
        return dap_transfer(board, (dap->tar & ~0xFU) | (reg & 0xCU), 4, read, value);
    case 0xF8:
        *value = AP_BASE;
        return true;
    case 0xFC:
        *value = AP_IDR;
        return true;
    default: /* CFG (0xF4: little-endian, 32-bit addresses) and reserved registers */
        *value = 0;
        return true;
    }
}

void dap_access_ap(struct board *board, uint64_t scan)
{
    struct dap *dap = &board->dap;
    bool read = (scan & 1U) != 0;
    uint32_t value = (uint32_t)(scan >> 3);
    unsigned reg = (dap->select & 0xF0U) | ((unsigned)(scan << 1) & 0xCU);
    if ((dap->ctrl_stat & DP_STICKYERR) != 0) {
        dap->result = 0;
        return;
    }
    if ((dap->ctrl_stat & DP_CDBGPWRUPREQ) == 0 || (dap->ctrl_stat & DP_CSYSPWRUPREQ) == 0) {
        dap->ctrl_stat |= DP_STICKYERR;
        return;
    }
    if ((dap->select >> 24) != 0) {
        dap->result = 0; /* no such port: IDR and everything else read as zero */
        return;
    }
    if (!dap_access_mem_ap(board, reg, read, &value)) {
        log_debug("dap: bus fault, TAR 0x%08x CSW 0x%08x", dap->tar, dap->csw);
        dap->ctrl_stat |= DP_STICKYERR;
        value = 0;
    }
    if (read) {
        dap->result = value;
    }
}
