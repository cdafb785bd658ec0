/* curses, and nothing else. */
#include "top_screen.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ncurses.h>

#define KEY_CTRL_C 3
#define KEY_CTRL_L 12
#define KEY_CTRL_Z 26

static SCREEN *top_screen;

bool top_screen_is_utf8(void)
{
    /* Only how characters are written: numbers go on being read and written as in C. */
    (void)setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool top_screen_open(void)
{
    top_screen = top_term_is_known() ? newterm(NULL, stdout, stdin) : NULL;
    if (top_screen == NULL) {
        return false;
    }
    /* Ctrl-C is a key like q: a signal would leave the terminal as it is. */
    raw();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    return true;
}

void top_screen_close(void)
{
    if (top_screen != NULL) {
        endwin();
        delscreen(top_screen);
        top_screen = NULL;
    }
}

void top_screen_size(size_t *ret_rows, size_t *ret_columns)
{
    int rows = 0;
    int columns = 0;
    getmaxyx(stdscr, rows, columns);
    *ret_rows = rows > 0 ? (size_t)rows : 1;
    *ret_columns = columns > 0 ? (size_t)columns : 1;
}

static int top_screen_attribute(enum top_style style)
{
    switch (style) {
    case TOP_PLAIN:
        return (int)A_NORMAL;
    case TOP_TITLE:
    case TOP_SELECTED:
        return (int)A_REVERSE;
    case TOP_HEADER:
    case TOP_WARNING:
        return (int)A_BOLD;
    }
    return (int)A_NORMAL;
}

void top_screen_draw(const struct top_view *view)
{
    erase();
    for (size_t i = 0; i < view->count; i++) {
        attrset(top_screen_attribute(view->lines[i].style));
        /* The last cell of the last row fails on some terminals, and is written all the same. */
        (void)mvaddstr((int)i, 0, strbuf_text(&view->lines[i].text));
    }
    attrset((int)A_NORMAL);
    refresh();
}

enum top_key top_screen_key(uint32_t wait_ms)
{
    timeout((int)wait_ms);
    switch (getch()) {
    case 'q':
    case 'Q':
    case KEY_CTRL_C:
        return TOP_KEY_QUIT;
    case KEY_UP:
    case 'k':
        return TOP_KEY_UP;
    case KEY_DOWN:
    case 'j':
        return TOP_KEY_DOWN;
    case 's':
        return TOP_KEY_SORT;
    case 'r':
        return TOP_KEY_REFRESH;
    case KEY_CTRL_Z:
        endwin();
        (void)raise(SIGTSTP);
        return TOP_KEY_DRAW;
    case KEY_CTRL_L:
        clear();
        return TOP_KEY_DRAW;
    case KEY_RESIZE:
        return TOP_KEY_DRAW;
    default:
        return TOP_KEY_NONE;
    }
}
