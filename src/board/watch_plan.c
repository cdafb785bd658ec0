/* Areas out of wants, and reads out of areas. */
#include "board/watch_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Of the time between two reads: how much the newest counts. */
#define REACHED_WEIGHT 4u

void watch_plan_init(struct watch_plan *plan)
{
    *plan = (struct watch_plan){.areas = NULL};
}

static void free_areas(struct watch_area *areas, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(areas[i].error);
    }
    free(areas);
}

void watch_plan_fini(struct watch_plan *plan)
{
    free_areas(plan->areas, plan->count);
    free(plan->bytes);
    watch_plan_init(plan);
}

/* The last byte, not the end: that may be 2^64. */
static uint64_t last_of(uint64_t address, uint64_t size)
{
    return address + (size - 1);
}

static uint64_t area_last(const struct watch_area *area)
{
    return last_of(area->address, area->size);
}

size_t watch_plan_find(const struct watch_plan *plan, uint32_t space, uint64_t address)
{
    size_t low = 0;
    size_t high = plan->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct watch_area *area = &plan->areas[middle];
        bool before = area->space < space || (area->space == space && area_last(area) < address);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low < plan->count && plan->areas[low].space == space ? low : plan->count;
}

/* ---- areas out of wants ---- */

static int compare_wants(const void *a, const void *b)
{
    const struct watch_want *left = a;
    const struct watch_want *right = b;
    if (left->space != right->space) {
        return left->space < right->space ? -1 : 1;
    }
    if (left->address != right->address) {
        return left->address < right->address ? -1 : 1;
    }
    return 0;
}

/* The areas that are being made. Wants come by their beginnings; those that cover the place reached so far
 * are a heap by period, so that the shortest is on top. */
struct maker {
    struct watch_area *areas;
    size_t count;
    size_t capacity;
    const struct watch_want **open;
    size_t open_count;
    uint64_t *ends; /* last bytes of all wants of a space, sorted */
};

static void heap_swap(struct maker *maker, size_t a, size_t b)
{
    const struct watch_want *want = maker->open[a];
    maker->open[a] = maker->open[b];
    maker->open[b] = want;
}

static void heap_push(struct maker *maker, const struct watch_want *want)
{
    size_t i = maker->open_count++;
    maker->open[i] = want;
    while (i > 0 && maker->open[i]->period_us < maker->open[(i - 1) / 2]->period_us) {
        heap_swap(maker, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void heap_pop(struct maker *maker)
{
    size_t i = 0;
    maker->open[0] = maker->open[--maker->open_count];
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < maker->open_count; child++) {
            if (maker->open[child]->period_us < maker->open[least]->period_us) {
                least = child;
            }
        }
        if (least == i) {
            return;
        }
        heap_swap(maker, i, least);
        i = least;
    }
}

/* The shortest period of the wants on `place`; those that have ended are dropped when they come to the top.
 */
static uint64_t shortest_period(struct maker *maker, uint64_t place)
{
    while (maker->open_count > 0 && last_of(maker->open[0]->address, maker->open[0]->size) < place) {
        heap_pop(maker);
    }
    return maker->open_count > 0 ? maker->open[0]->period_us : 0;
}

static void add_area(struct maker *maker, uint32_t space, uint64_t first, uint64_t last, uint64_t period_us)
{
    if (maker->count == maker->capacity) {
        maker->capacity = maker->capacity == 0 ? 16 : maker->capacity * 2;
        maker->areas = xrealloc(maker->areas, maker->capacity * sizeof *maker->areas);
    }
    maker->areas[maker->count++] = (struct watch_area){
        .space = space, .address = first, .size = (uint32_t)(last - first + 1), .period_us = period_us};
}

/* From `first` to `last` nothing begins or ends. */
static void add_areas(struct maker *maker, uint32_t space, uint64_t first, uint64_t last, uint64_t period_us)
{
    for (;;) {
        uint64_t border = first | (WATCH_PIECE_BYTES - 1);
        add_area(maker, space, first, border < last ? border : last, period_us);
        if (border >= last) {
            return;
        }
        first = border + 1;
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The wants of one space: walks over all places where one begins or has ended. */
static void make_space(struct maker *maker, const struct watch_want *wants, size_t count)
{
    size_t next_want = 0;
    size_t next_end = 0;
    maker->open_count = 0;
    for (size_t i = 0; i < count; i++) {
        maker->ends[i] = last_of(wants[i].address, wants[i].size);
    }
    qsort(maker->ends, count, sizeof *maker->ends, compare_u64);
    uint64_t place = wants[0].address;
    while (next_end < count) {
        for (; next_want < count && wants[next_want].address == place; next_want++) {
            heap_push(maker, &wants[next_want]);
        }
        uint64_t period_us = shortest_period(maker, place);
        if (period_us == 0) {
            place = wants[next_want].address; /* a gap */
            continue;
        }
        uint64_t last = maker->ends[next_end];
        if (next_want < count && wants[next_want].address <= last) {
            last = wants[next_want].address - 1;
        }
        add_areas(maker, wants[0].space, place, last, period_us);
        for (; next_end < count && maker->ends[next_end] <= last; next_end++) {
        }
        place = last + 1; /* 0 behind the last address: then all have ended */
    }
}

static void make_areas(struct maker *maker, struct watch_want *wants, size_t count)
{
    if (count == 0) {
        return;
    }
    qsort(wants, count, sizeof *wants, compare_wants);
    maker->open = xcalloc(count, sizeof(const struct watch_want *));
    maker->ends = xcalloc(count, sizeof *maker->ends);
    for (size_t i = 0, end = 0; i < count; i = end) {
        for (end = i; end < count && wants[end].space == wants[i].space; end++) {
        }
        make_space(maker, &wants[i], end - i);
    }
    free(maker->open);
    free(maker->ends);
}

/* What was known of an area that held all of this one. */
static void keep(struct watch_area *area, const struct watch_plan *old, uint8_t *bytes)
{
    size_t found = watch_plan_find(old, area->space, area->address);
    if (found == old->count || old->areas[found].address > area->address ||
        area_last(&old->areas[found]) < area_last(area)) {
        return;
    }
    const struct watch_area *before = &old->areas[found];
    area->state = before->state;
    area->alone = before->alone;
    area->read_us = before->read_us;
    area->due_us = before->due_us;
    if (before->period_us == area->period_us) {
        area->reached_us = before->reached_us;
    }
    area->kind = before->kind;
    area->error = before->error != NULL ? xstrdup(before->error) : NULL;
    if (before->state == WATCH_AREA_KNOWN) {
        memcpy(bytes, old->bytes + before->bytes_at + (area->address - before->address), area->size);
    }
}

/* The first multiple of the period behind `us`. */
static uint64_t next_multiple(uint64_t us, uint64_t period_us)
{
    return us / period_us * period_us + period_us;
}

void watch_plan_set(struct watch_plan *plan, struct watch_want *wants, size_t count, uint64_t now_us)
{
    struct maker maker = {.areas = NULL};
    struct watch_plan made;
    make_areas(&maker, wants, count);
    watch_plan_init(&made);
    made.areas = maker.areas;
    made.count = maker.count;
    for (size_t i = 0; i < made.count; i++) {
        made.areas[i].bytes_at = made.size;
        made.areas[i].due_us = now_us;
        made.size += made.areas[i].size;
    }
    made.bytes = xcalloc(made.size + 1, 1);
    for (size_t i = 0; i < made.count; i++) {
        struct watch_area *area = &made.areas[i];
        keep(area, plan, made.bytes + area->bytes_at);
        bool waits = area->state == WATCH_AREA_KNOWN && area->due_us > now_us;
        if (waits && area->due_us > next_multiple(now_us, area->period_us)) {
            area->due_us = next_multiple(now_us, area->period_us); /* the period has become shorter */
        }
    }
    watch_plan_fini(plan);
    *plan = made;
}

/* ---- reads out of areas ---- */

static bool may_join(const struct watch_area *area, uint64_t now_us)
{
    return area->due_us <= now_us && !area->alone && area->state != WATCH_AREA_FAILED;
}

static bool touch(const struct watch_area *left, const struct watch_area *right)
{
    return left->space == right->space && right->address != 0 && area_last(left) == right->address - 1;
}

bool watch_plan_next(const struct watch_plan *plan, uint64_t now_us, struct watch_read *ret_read)
{
    size_t first = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        bool due = plan->areas[i].due_us <= now_us;
        if (due && (first == plan->count || plan->areas[i].due_us < plan->areas[first].due_us)) {
            first = i;
        }
    }
    if (first == plan->count) {
        return false;
    }
    const struct watch_area *areas = plan->areas;
    size_t last = first;
    uint64_t size = areas[first].size;
    bool joins = may_join(&areas[first], now_us);
    while (joins && first > 0 && may_join(&areas[first - 1], now_us) &&
           touch(&areas[first - 1], &areas[first]) && size + areas[first - 1].size <= WATCH_PIECE_BYTES) {
        size += areas[--first].size;
    }
    while (joins && last + 1 < plan->count && may_join(&areas[last + 1], now_us) &&
           touch(&areas[last], &areas[last + 1]) && size + areas[last + 1].size <= WATCH_PIECE_BYTES) {
        size += areas[++last].size;
    }
    *ret_read = (struct watch_read){
        .space = areas[first].space, .address = areas[first].address, .size = size, .begun_us = now_us};
    return true;
}

uint64_t watch_plan_due(const struct watch_plan *plan)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < plan->count; i++) {
        due = plan->areas[i].due_us < due ? plan->areas[i].due_us : due;
    }
    return due;
}

/* Calls `visit` for the areas that lie in what was read as a whole. Returns their number. */
static size_t for_each_read(struct watch_plan *plan, const struct watch_read *read,
                            void (*visit)(struct watch_area *area, void *context), void *context)
{
    uint64_t last = last_of(read->address, read->size);
    size_t seen = 0;
    for (size_t i = watch_plan_find(plan, read->space, read->address); i < plan->count; i++) {
        struct watch_area *area = &plan->areas[i];
        if (area->space != read->space || area->address > last) {
            break;
        }
        if (area->address >= read->address && area_last(area) <= last) {
            seen++;
            if (visit != NULL) {
                visit(area, context);
            }
        }
    }
    return seen;
}

struct outcome {
    struct watch_plan *plan;
    const struct watch_read *read;
    const uint8_t *bytes;
    enum err_kind kind;
    const char *error;
    uint64_t now_us;
    bool news;
};

static void forget_failure(struct watch_area *area)
{
    free(area->error);
    area->error = NULL;
    area->kind = ERR_NONE;
}

static void set_failed(struct watch_area *area, enum err_kind kind, const char *error)
{
    forget_failure(area);
    area->kind = kind;
    area->error = xstrdup(error);
    area->state = WATCH_AREA_FAILED;
    area->reached_us = 0;
}

static void area_done(struct watch_area *area, void *context)
{
    struct outcome *outcome = context;
    outcome->news = outcome->news || area->state == WATCH_AREA_FAILED;
    if (area->state == WATCH_AREA_KNOWN && area->read_us != 0) {
        uint64_t passed_us = outcome->now_us - area->read_us;
        area->reached_us = area->reached_us == 0
                               ? passed_us
                               : (area->reached_us * (REACHED_WEIGHT - 1) + passed_us) / REACHED_WEIGHT;
    }
    memcpy(outcome->plan->bytes + area->bytes_at, outcome->bytes + (area->address - outcome->read->address),
           area->size);
    forget_failure(area);
    area->state = WATCH_AREA_KNOWN;
    area->alone = false;
    area->read_us = outcome->now_us;
    area->due_us = next_multiple(outcome->read->begun_us, area->period_us);
}

bool watch_plan_done(struct watch_plan *plan, const struct watch_read *read, const uint8_t *bytes,
                     uint64_t now_us)
{
    struct outcome outcome = {.plan = plan, .read = read, .bytes = bytes, .now_us = now_us};
    for_each_read(plan, read, area_done, &outcome);
    return outcome.news;
}

static void area_to_be_read_alone(struct watch_area *area, void *context)
{
    (void)context;
    area->alone = true;
}

static void area_failed(struct watch_area *area, void *context)
{
    struct outcome *outcome = context;
    uint64_t period_us = area->period_us > WATCH_RETRY_US ? area->period_us : WATCH_RETRY_US;
    outcome->news = area->state != WATCH_AREA_FAILED;
    set_failed(area, outcome->kind, outcome->error);
    area->read_us = outcome->now_us;
    area->due_us = outcome->now_us + period_us;
}

bool watch_plan_failed(struct watch_plan *plan, const struct watch_read *read, enum err_kind kind,
                       const char *error, uint64_t now_us)
{
    struct outcome outcome = {.plan = plan, .read = read, .kind = kind, .error = error, .now_us = now_us};
    bool several = for_each_read(plan, read, NULL, NULL) > 1;
    for_each_read(plan, read, several ? area_to_be_read_alone : area_failed, &outcome);
    return outcome.news;
}

void watch_plan_stop(struct watch_plan *plan, enum err_kind kind, const char *error, uint64_t now_us)
{
    for (size_t i = 0; i < plan->count; i++) {
        set_failed(&plan->areas[i], kind, error);
        plan->areas[i].read_us = now_us;
        plan->areas[i].due_us = UINT64_MAX;
    }
}

void watch_plan_restart(struct watch_plan *plan, uint64_t now_us)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct watch_area *area = &plan->areas[i];
        area->due_us = now_us;
        area->alone = false;
        if (area->state == WATCH_AREA_FAILED) {
            forget_failure(area);
            area->state = WATCH_AREA_UNKNOWN;
        }
    }
}
