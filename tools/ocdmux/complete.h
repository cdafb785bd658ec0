/* What a word of the command line may become: what completion in shells asks. Pure. */
#ifndef OCDMUX_TOOL_COMPLETE_H
#define OCDMUX_TOOL_COMPLETE_H

#include <stddef.h>

#include "base/strbuf.h"
#include "command.h"

/*
 * `words` are those behind "ocdmux", the last one the one to complete, maybe empty. Appends a line for each
 * choice: the word, a tab and what it means. One line ":files" or ":commands" says that a file's name or a
 * program's is wanted.
 */
void complete_words(const struct command *commands, const char *const *words, size_t count,
                    struct strbuf *out);

#endif
