/* Any bytes are one word once quoted; any list that is read, quoted element by element, is the same list
 * again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/tcl.h"

static void require_element(struct tcl_list *list, const char *bytes, size_t length)
{
    struct strbuf element = STRBUF_INIT;
    require(tcl_list_next(list, &element) == TCL_LIST_ELEMENT);
    require(element.length == length && memcmp(strbuf_text(&element), bytes, length) == 0);
    strbuf_fini(&element);
}

static void require_end(struct tcl_list *list)
{
    struct strbuf element = STRBUF_INIT;
    require(tcl_list_next(list, &element) == TCL_LIST_END && element.length == 0);
    strbuf_fini(&element);
}

static void check_word(const char *text, size_t size)
{
    struct strbuf quoted = STRBUF_INIT;
    struct tcl_list list;
    tcl_quote(&quoted, text, size);
    require(memchr(quoted.data, '\0', quoted.length) == NULL);
    require(memchr(quoted.data, '\x1a', quoted.length) == NULL);
    tcl_list_init(&list, quoted.data, quoted.length);
    require_element(&list, text, size);
    require_end(&list);
    strbuf_fini(&quoted);
}

static void check_list(const char *text, size_t size)
{
    struct strbuf again = STRBUF_INIT;
    struct strbuf element = STRBUF_INIT;
    struct tcl_list list;
    size_t before = 0;
    enum tcl_list_step step;
    tcl_list_init(&list, text, size);
    while ((step = tcl_list_next(&list, &element)) == TCL_LIST_ELEMENT) {
        require(list.position > before && list.position <= size);
        before = list.position;
        tcl_quote(&again, strbuf_text(&element), element.length);
        strbuf_append_byte(&again, ' ');
    }
    require(element.length == 0 && tcl_list_next(&list, &element) == step);
    struct tcl_list copy;
    tcl_list_init(&list, text, size);
    tcl_list_init(&copy, strbuf_text(&again), again.length);
    while (tcl_list_next(&list, &element) == TCL_LIST_ELEMENT) {
        require_element(&copy, strbuf_text(&element), element.length);
    }
    require_end(&copy);
    strbuf_fini(&again);
    strbuf_fini(&element);
}

static void check_dict(const char *text, size_t size)
{
    static const char *const keys[] = {"a", "", "name", "{"};
    struct strbuf value = STRBUF_INIT;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        strbuf_clear(&value);
        strbuf_append_text(&value, "kept");
        if (!tcl_dict_get(text, size, keys[i], &value)) {
            require(strcmp(value.data, "kept") == 0);
        }
    }
    strbuf_fini(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_word((const char *)data, size);
    check_list((const char *)data, size);
    check_dict((const char *)data, size);
    return 0;
}
