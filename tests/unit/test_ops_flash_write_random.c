/* ops/flash_write: any image, over any content, in sectors of any sizes, with any mishap: in the end every
 * byte of the image and every byte beside it is right. */
#include "op_flash_write.h"

#define ROUNDS 300
#define CUT_ROUNDS 25
#define SEGMENTS_MAX 6u
#define FLASH_MOST (12u * 4096u)

struct trial {
    uint32_t seed;
    struct fixture *fixture;
    struct test_segment segments[SEGMENTS_MAX];
    size_t segment_count;
    size_t image_bytes;
    uint8_t before[FLASH_MOST]; /* of bank 0 */
    uint8_t wanted[FLASH_MOST];
    bool in_image[FLASH_MOST];
    uint8_t images[2][FLASH_MOST];
};

static int trial_setup(void **state)
{
    struct trial *trial = xcalloc(1, sizeof *trial);
    trial->fixture = fixture_new();
    trial->seed = 11;
    *state = trial;
    return 0;
}

static int trial_teardown(void **state)
{
    struct trial *trial = *state;
    fixture_free(trial->fixture);
    free(trial);
    return 0;
}

static uint32_t below(struct trial *trial, uint32_t limit)
{
    return next_random(&trial->seed) % limit;
}

static bool one_in(struct trial *trial, uint32_t count)
{
    return below(trial, count) == 0;
}

/* Sectors of 256 bytes to 4 KiB, with random bytes and blank stretches. */
static void make_flash(struct trial *trial)
{
    struct made_up_flash *flash = &trial->fixture->flash;
    use_sectors(trial->fixture, 1 + below(trial, 12), 0);
    for (size_t i = 0; i < flash->sector_count; i++) {
        flash->sectors[i] = 256u << below(trial, 5);
    }
    take_banks(trial->fixture);
    flash->erased_value = one_in(trial, 5) ? 0 : 0xff;
    flash->no_work_area = one_in(trial, 4);
    flash->checksums_that_work = one_in(trial, 3) ? below(trial, 12) : SIZE_MAX;
    flash->sample_answer = one_in(trial, 6) ? "{1 2 3 4}" : NULL;
    fill_random(flash->bytes, FLASH_MOST, trial->seed);
    for (size_t i = below(trial, 4); i > 0; i--) {
        size_t at = below(trial, (uint32_t)flash_size(flash));
        memset(flash->bytes + at, flash->erased_value, below(trial, (uint32_t)(flash_size(flash) - at)));
    }
    memcpy(trial->before, flash->bytes, FLASH_MOST);
}

/* Much of it may be in the flash already. */
static void make_image_bytes(struct trial *trial, uint8_t *image, size_t offset, size_t size)
{
    memcpy(image + offset, trial->fixture->flash.bytes + offset, size);
    for (size_t i = below(trial, 5); i > 0; i--) {
        size_t at = offset + below(trial, (uint32_t)size);
        size_t count = one_in(trial, 2) ? 1 : 1 + below(trial, (uint32_t)(offset + size - at));
        if (one_in(trial, 3)) {
            memset(image + at, 0xff, count);
        } else {
            fill_random(image + at, count, trial->seed);
        }
    }
}

/* Segments that do not touch; marks what they want. */
static void make_segments(struct trial *trial, uint8_t *image)
{
    size_t size = (size_t)flash_size(&trial->fixture->flash);
    size_t at = below(trial, (uint32_t)size);
    size_t most = 1 + below(trial, SEGMENTS_MAX);
    memset(trial->in_image, 0, sizeof trial->in_image);
    memcpy(trial->wanted, trial->before, sizeof trial->wanted);
    trial->segment_count = 0;
    trial->image_bytes = 0;
    while (at < size && trial->segment_count < most) {
        uint32_t room = (uint32_t)(size - at);
        size_t count = 1 + (one_in(trial, 2) ? below(trial, room) : below(trial, room < 40 ? room : 40));
        make_image_bytes(trial, image, at, count);
        trial->segments[trial->segment_count++] = (struct test_segment){FLASH_BASE + at, image + at, count};
        memcpy(trial->wanted + at, image + at, count);
        memset(trial->in_image + at, 1, count);
        trial->image_bytes += count;
        at += count + 1 + below(trial, one_in(trial, 2) ? 30 : 3000);
    }
}

static void choose_options(struct trial *trial)
{
    struct flash_write_options *options = &trial->fixture->options;
    options->compare = !one_in(trial, 3);
    options->verify = !one_in(trial, 3);
}

/* What an erase would lose must be kept by now. */
static void assert_kept(const struct trial *trial)
{
    const struct flash_write *self = write_of(trial->fixture);
    struct fake_keeper *keeper = &trial->fixture->driver.keeper;
    for (size_t i = self->piece_first; i <= self->piece_last; i++) {
        const struct flash_plan_sector *sector = &self->plan.banks[0].sectors[i];
        const struct keeper_record *record = fake_keeper_look(keeper, FLASH_BASE, sector->offset);
        uint64_t kept = 0;
        for (size_t k = 0; record != NULL && k < record->range_count; k++) {
            const struct keeper_range *range = &record->ranges[k];
            assert_memory_equal(range->bytes, trial->wanted + range->offset, range->size);
            kept += range->size;
        }
        if (sector->covered < sector->size) {
            assert_int_equal(kept, sector->size - sector->covered);
        }
    }
}

/* Sends, and answers all but the last of, at most `most` commands; true: it ended before. */
static bool run_some(struct trial *trial, size_t most)
{
    struct fixture *fixture = trial->fixture;
    uint64_t done = 0;
    const char *phase = NULL;
    for (size_t i = 0; op_driver_run(&fixture->driver) == OP_SEND; i++) {
        const struct op_progress *progress = &fixture->driver.op->progress;
        assert_true(phase != progress->phase || progress->done >= done);
        assert_true(progress->done <= progress->total);
        phase = progress->phase;
        done = progress->done;
        if (is_step(fixture, "erase")) {
            assert_kept(trial);
        }
        if (i == most) {
            return false;
        }
        answer(fixture);
        if (one_in(trial, 2)) {
            fixture->driver.op->budget = 1 + below(trial, one_in(trial, 2) ? 700 : 20000);
        }
    }
    if (fixture->driver.verdict != OP_DONE) {
        fail_msg("failed: %s", fixture->driver.err.message);
    }
    return true;
}

static void assert_erased_what_differs(const struct trial *trial)
{
    const struct made_up_flash *flash = &trial->fixture->flash;
    uint64_t unchanged = 0;
    for (size_t i = 0; i < flash->sector_count; i++) {
        uint64_t offset = flash_offset(flash, i);
        uint64_t size = flash->sectors[i];
        bool differs = memcmp(trial->before + offset, trial->wanted + offset, size) != 0;
        assert_int_equal(flash->sector_erases[i], differs ? 1 : 0);
        for (uint64_t k = offset; !differs && k < offset + size; k++) {
            unchanged += trial->in_image[k] ? 1 : 0;
        }
    }
    assert_int_equal(write_of(trial->fixture)->bytes_unchanged, unchanged);
}

static void test_flash_write_of_anything_is_exact(void **state)
{
    struct trial *trial = *state;
    struct made_up_flash *flash = &trial->fixture->flash;
    for (size_t round = 0; round < ROUNDS; round++) {
        make_flash(trial);
        choose_options(trial);
        flash->checksum_lies = one_in(trial, 20);
        make_segments(trial, trial->images[0]);
        start_segments(trial->fixture, trial->segments, trial->segment_count);
        assert_true(run_some(trial, SIZE_MAX));
        assert_memory_equal(flash->bytes, trial->wanted, FLASH_MOST);
        assert_int_equal(trial->fixture->driver.keeper.count, 0);
        assert_int_equal(write_of(trial->fixture)->bytes_repaired, 0);
        assert_int_equal(write_of(trial->fixture)->image_size, trial->image_bytes);
        if (trial->fixture->options.compare && !flash->checksum_lies) {
            assert_erased_what_differs(trial);
        }
    }
}

static void test_flash_write_of_anything_without_erasing_is_exact(void **state)
{
    struct trial *trial = *state;
    struct made_up_flash *flash = &trial->fixture->flash;
    trial->fixture->options.erase = false;
    for (size_t round = 0; round < ROUNDS; round++) {
        make_flash(trial);
        trial->fixture->options.verify = one_in(trial, 2);
        make_segments(trial, trial->images[0]);
        for (size_t i = 0; i < FLASH_MOST; i++) {
            flash->bytes[i] = trial->in_image[i] ? flash->erased_value : flash->bytes[i];
        }
        start_segments(trial->fixture, trial->segments, trial->segment_count);
        assert_true(run_some(trial, SIZE_MAX));
        assert_memory_equal(flash->bytes, trial->wanted, FLASH_MOST);
        assert_int_equal(flash->programmed_bytes, trial->image_bytes);
    }
}

/* The daemon dies while the command is under way: an erase or a program command is done in part. */
static void cut_command_off(struct trial *trial)
{
    struct fixture *fixture = trial->fixture;
    struct made_up_flash *flash = &fixture->flash;
    const struct op_command *command = &fixture->driver.command;
    uint64_t offset = 0;
    size_t first = 0;
    size_t last = 0;
    if (sscanf(strbuf_text(&command->script), "flash write_bank 0 $p 0x%" SCNx64, &offset) == 1) {
        memcpy(flash->bytes + offset, command->file_bytes, below(trial, (uint32_t)command->file_size + 1));
    } else if (sscanf(strbuf_text(&command->script), "flash erase_sector 0 %zu %zu", &first, &last) == 2) {
        uint64_t size = flash_offset(flash, last + 1) - flash_offset(flash, first);
        memset(flash->bytes + flash_offset(flash, first), flash->erased_value,
               below(trial, (uint32_t)size + 1));
    }
}

/* After the cut another image, or the same one, must make all good that is not the first image's. */
static void run_again(struct trial *trial, bool same_image)
{
    struct made_up_flash *flash = &trial->fixture->flash;
    bool first[FLASH_MOST];
    memcpy(first, trial->in_image, sizeof first);
    if (!same_image) {
        make_segments(trial, trial->images[1]);
    }
    choose_options(trial);
    start_segments(trial->fixture, trial->segments, trial->segment_count);
    while (op_driver_run(&trial->fixture->driver) == OP_SEND) {
        answer(trial->fixture);
        trial->fixture->driver.op->budget = 1 + below(trial, 9000);
    }
    op_driver_expect_done(&trial->fixture->driver);
    for (size_t i = 0; i < FLASH_MOST; i++) {
        bool in_record = !trial->in_image[i] && first[i]; /* where the first try left it */
        const struct keeper_record *record = NULL;
        for (size_t k = 0; k < trial->fixture->driver.keeper.count && !trial->in_image[i]; k++) {
            const struct keeper_record *one = &trial->fixture->driver.keeper.records[k].record;
            record = i >= one->sector_offset && i - one->sector_offset < one->sector_size ? one : record;
        }
        if (!in_record && record == NULL && flash->bytes[i] != trial->wanted[i]) {
            fail_msg("offset 0x%zx reads 0x%02x instead of 0x%02x", i, flash->bytes[i], trial->wanted[i]);
        }
    }
}

static void test_flash_write_cut_off_anywhere_is_made_good_by_the_next(void **state)
{
    struct trial *trial = *state;
    struct fixture *fixture = trial->fixture;
    for (size_t round = 0; round < CUT_ROUNDS; round++) {
        uint32_t seed = trial->seed;
        bool ended = false;
        for (size_t cut = 0; !ended; cut++) {
            trial->seed = seed; /* the same flash and image every time */
            make_flash(trial);
            choose_options(trial);
            make_segments(trial, trial->images[0]);
            start_segments(fixture, trial->segments, trial->segment_count);
            ended = run_some(trial, cut);
            if (!ended) {
                cut_command_off(trial);
            }
            run_again(trial, cut % 2 == 0);
            if (cut % 2 == 0) {
                assert_int_equal(fixture->driver.keeper.count, 0);
            }
            fake_keeper_fini(&fixture->driver.keeper);
        }
        trial->seed = seed + 12345;
    }
}

#define WITH_TRIAL(test) cmocka_unit_test_setup_teardown(test, trial_setup, trial_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAL(test_flash_write_of_anything_is_exact),
        WITH_TRIAL(test_flash_write_of_anything_without_erasing_is_exact),
        WITH_TRIAL(test_flash_write_cut_off_anywhere_is_made_good_by_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
