/* Whether curses knows the terminal. A file of its own: <term.h> makes macros of common words. */
#include <stdio.h>
#include <unistd.h>

#include "top_screen.h"

#include <ncurses.h>
#include <term.h>

/* newterm() answers that too, but loses memory where it fails. */
bool top_term_is_known(void)
{
    int reason = 0;
    if (setupterm(NULL, STDOUT_FILENO, &reason) != OK) {
        return false;
    }
    (void)del_curterm(cur_term);
    return true;
}
