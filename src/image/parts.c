/* From parts of a file, in any order, to the sorted segments of an image. */
#include "image/parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define ROOM_FIRST 16u

const char *parts_format_title(enum image_format format)
{
    static const char *const titles[] = {[IMAGE_BIN] = "Plain bytes",
                                         [IMAGE_IHEX] = "Intel HEX",
                                         [IMAGE_SREC] = "S-record",
                                         [IMAGE_ELF] = "ELF",
                                         [IMAGE_UF2] = "UF2"};
    return titles[format];
}

static bool counts_lines(const struct parts *parts)
{
    return parts->format == IMAGE_IHEX || parts->format == IMAGE_SREC;
}

bool parts_fault(const struct parts *parts, struct err *err, uint64_t where, const char *format, ...)
{
    char reason[ERR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    const char *title = parts_format_title(parts->format);
    if (counts_lines(parts)) {
        err_set(err, ERR_IMAGE_INVALID, "%s, line %" PRIu64 ": %s", title, where, reason);
        err_add_integer(err, "line", where);
    } else {
        err_set(err, ERR_IMAGE_INVALID, "%s, offset 0x%" PRIx64 ": %s", title, where, reason);
        err_add_integer(err, "offset", where);
    }
    return false;
}

static struct part *new_part(struct parts *parts)
{
    if (parts->count == parts->room) {
        /* By half only: what is taken in vain stays small beside the file. */
        parts->room = parts->room < ROOM_FIRST ? ROOM_FIRST : parts->room + parts->room / 2;
        parts->list = xrealloc(parts->list, parts->room * sizeof *parts->list);
    }
    return &parts->list[parts->count++];
}

bool parts_add(struct parts *parts, uint64_t address, const uint8_t *bytes, uint64_t size, uint64_t where,
               struct err *err)
{
    if (size == 0) {
        return true;
    }
    if (size - 1 > UINT64_MAX - address) {
        parts_fault(parts, err, where, "%" PRIu64 " bytes at 0x%08" PRIx64 " go past the last address", size,
                    address);
        err_add_address(err, "address", address);
        return false;
    }
    if (parts->count > 0) {
        /* Most files are in order, and become few parts in this way. */
        struct part *last = &parts->list[parts->count - 1];
        if (last->bytes + last->size == bytes && address != 0 && last->address + last->size == address) {
            last->size += size;
            return true;
        }
    }
    if (parts->count == PARTS_MAX) {
        return parts_fault(parts, err, where, "more than %u pieces that are out of order or apart",
                           PARTS_MAX);
    }
    *new_part(parts) = (struct part){.address = address, .bytes = bytes, .size = size, .where = where};
    return true;
}

void parts_set_entry(struct parts *parts, uint64_t entry)
{
    parts->has_entry = true;
    parts->entry = entry;
}

static uint64_t last_address(const struct part *part)
{
    return part->address + (part->size - 1);
}

static int compare_parts(const void *left, const void *right)
{
    const struct part *a = left;
    const struct part *b = right;
    if (a->address != b->address) {
        return a->address < b->address ? -1 : 1;
    }
    return a->where < b->where ? -1 : a->where > b->where;
}

static void sort(struct parts *parts)
{
    for (size_t i = 1; i < parts->count; i++) {
        if (compare_parts(&parts->list[i - 1], &parts->list[i]) > 0) {
            qsort(parts->list, parts->count, sizeof *parts->list, compare_parts);
            return;
        }
    }
}

static bool refuse_overlap(const struct parts *parts, const struct part *a, const struct part *b,
                           struct err *err)
{
    const struct part *first = a->where < b->where ? a : b;
    const struct part *second = first == a ? b : a;
    /* The one with the higher address starts inside the other one. */
    const uint64_t address = b->address;
    if (counts_lines(parts)) {
        parts_fault(parts, err, second->where,
                    "address 0x%08" PRIx64 " comes twice: in the data from here on, and from line %" PRIu64
                    " on",
                    address, first->where);
    } else {
        parts_fault(parts, err, second->where,
                    "address 0x%08" PRIx64
                    " comes twice: in the data described here, and at offset 0x%" PRIx64,
                    address, first->where);
    }
    err_add_address(err, "address", address);
    return false;
}

static bool is_adjacent(const struct part *a, const struct part *b)
{
    return b->address - 1 == last_address(a);
}

struct plan {
    size_t segments;
    uint64_t size;
    bool copies; /* adjacent parts stand apart in the file */
};

/* Of sorted parts, of which there is one at least. */
static bool plan_segments(const struct parts *parts, struct plan *ret_plan, struct err *err)
{
    struct plan plan = {.segments = 1, .size = parts->list[0].size};
    for (size_t i = 1; i < parts->count; i++) {
        const struct part *before = &parts->list[i - 1];
        const struct part *part = &parts->list[i];
        if (part->address <= last_address(before)) {
            return refuse_overlap(parts, before, part, err);
        }
        plan.size += part->size;
        if (!is_adjacent(before, part)) {
            plan.segments++;
        } else if (before->bytes + before->size != part->bytes) {
            plan.copies = true;
        }
    }
    if (plan.segments > IMAGE_MAX_SEGMENTS) {
        return err_set(err, ERR_IMAGE_INVALID, "%s: %zu separate segments; %u are taken at most",
                       parts_format_title(parts->format), plan.segments, IMAGE_MAX_SEGMENTS);
    }
    *ret_plan = plan;
    return true;
}

static void move_together(struct parts *parts, uint8_t *storage)
{
    for (size_t i = 0; i < parts->count; i++) {
        struct part *part = &parts->list[i];
        memcpy(storage, part->bytes, (size_t)part->size);
        part->bytes = storage;
        storage += part->size;
    }
}

static void fill_segments(const struct parts *parts, struct image_segment *segments)
{
    struct image_segment *segment = segments;
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *part = &parts->list[i];
        if (i > 0 && is_adjacent(part - 1, part)) {
            segment->size += part->size;
            continue;
        }
        segment += i > 0 ? 1 : 0;
        *segment = (struct image_segment){part->address, part->bytes, part->size};
    }
}

bool parts_make_image(struct parts *parts, uint8_t *take_storage, struct image *ret_image, struct err *err)
{
    if (parts->count == 0) {
        return err_set(err, ERR_IMAGE_INVALID, "%s: the file holds no bytes to load",
                       parts_format_title(parts->format));
    }
    sort(parts);
    struct plan plan = {0};
    if (!plan_segments(parts, &plan, err)) {
        return false;
    }
    uint8_t *storage = take_storage;
    if (plan.copies) {
        storage = xmalloc((size_t)plan.size);
        move_together(parts, storage);
        free(take_storage);
    }
    *ret_image = (struct image){.format = parts->format,
                                .segments = xcalloc(plan.segments, sizeof *ret_image->segments),
                                .segment_count = plan.segments,
                                .size = plan.size,
                                .has_entry = parts->has_entry,
                                .entry = parts->entry,
                                .storage = storage};
    fill_segments(parts, ret_image->segments);
    return true;
}

void parts_fini(struct parts *parts)
{
    free(parts->list);
    memset(parts, 0, sizeof *parts);
}
