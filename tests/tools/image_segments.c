/*
 * Prints what src/image finds in a file: `format NAME`, `entry ADDRESS` or `entry none`, and for each segment
 * its address, size and SHA-256.
 *
 *   image_segments FILE [FORMAT [ADDRESS]]
 *
 * Exit status 1, with the message on standard error, for what it refuses; 2 for wrong usage.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sha256.h"
#include "image/image.h"

#define FILE_MAX (64u << 20)

static uint8_t *read_file(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    uint8_t *bytes = xmalloc(FILE_MAX);
    *ret_length = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    if (*ret_length == 0) {
        fprintf(stderr, "%s: is empty\n", path);
        exit(2);
    }
    return xrealloc(bytes, *ret_length);
}

static enum image_format format_of(const char *name)
{
    static const enum image_format formats[] = {IMAGE_BIN, IMAGE_IHEX, IMAGE_SREC, IMAGE_ELF, IMAGE_UF2};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(name, image_format_name(formats[i])) == 0) {
            return formats[i];
        }
    }
    fprintf(stderr, "no format is called %s\n", name);
    exit(2);
}

static void print_segment(const struct image_segment *segment)
{
    char text[SHA256_TEXT_SIZE];
    struct sha256 *sha = sha256_new();
    sha256_add(sha, segment->bytes, (size_t)segment->size);
    sha256_finish(sha, text);
    sha256_free(sha);
    printf("0x%08" PRIx64 " %" PRIu64 " %s\n", segment->address, segment->size, text);
}

static void print_image(const struct image *image)
{
    printf("format %s\n", image_format_name(image->format));
    if (image->has_entry) {
        printf("entry 0x%08" PRIx64 "\n", image->entry);
    } else {
        printf("entry none\n");
    }
    for (size_t i = 0; i < image->segment_count; i++) {
        print_segment(&image->segments[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: image_segments FILE [FORMAT [ADDRESS]]\n");
        return 2;
    }
    size_t length = 0;
    uint8_t *bytes = read_file(argv[1], &length);
    const enum image_format format = argc > 2 ? format_of(argv[2]) : image_detect(bytes, length);
    const uint64_t address = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    struct image image;
    struct err err;
    err_reset(&err);
    if (!image_parse(format, address, bytes, length, &image, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    print_image(&image);
    image_fini(&image);
    return 0;
}
