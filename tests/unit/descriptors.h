/* Whether descriptors leak. */
#ifndef OCDMUX_TESTS_DESCRIPTORS_H
#define OCDMUX_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <stddef.h>

/* How many are open. To be held against another count only. */
static inline size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

#endif
