/* Escape sequences for colour. */
#include "color.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const color_choices[] = {"auto", "always", "never", NULL};

static enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } color_mode;

void color_choose(const char *choice)
{
    color_mode = choice == NULL || strcmp(choice, "auto") == 0 ? COLOR_AUTO
                 : strcmp(choice, "always") == 0               ? COLOR_ALWAYS
                                                               : COLOR_NEVER;
}

static bool color_is_on(FILE *stream)
{
    const char *forbidden = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    switch (color_mode) {
    case COLOR_ALWAYS:
        return true;
    case COLOR_NEVER:
        return false;
    case COLOR_AUTO:
        break;
    }
    return (forbidden == NULL || forbidden[0] == '\0') && terminal != NULL && terminal[0] != '\0' &&
           strcmp(terminal, "dumb") != 0 && isatty(fileno(stream));
}

void color_begin(FILE *stream, enum color color)
{
    static const char *const sequences[] = {"", "\033[1m", "\033[31m", "\033[32m", "\033[33m"};
    if (color != COLOR_NONE && color_is_on(stream)) {
        fputs(sequences[color], stream);
    }
}

void color_end(FILE *stream, enum color color)
{
    if (color != COLOR_NONE && color_is_on(stream)) {
        fputs("\033[0m", stream);
    }
}

enum color color_of_state(const char *word)
{
    static const struct {
        const char *word;
        enum color color;
    } words[] = {
        {"running", COLOR_GREEN}, {"done", COLOR_GREEN},        {"idle", COLOR_GREEN},
        {"busy", COLOR_GREEN},    {"halted", COLOR_YELLOW},     {"reset", COLOR_YELLOW},
        {"queued", COLOR_YELLOW}, {"connecting", COLOR_YELLOW}, {"failed", COLOR_RED},
        {"down", COLOR_RED},      {"cancelled", COLOR_RED},     {"unknown", COLOR_RED},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, word) == 0) {
            return words[i].color;
        }
    }
    return COLOR_NONE;
}
