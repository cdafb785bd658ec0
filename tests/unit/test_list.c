/* base/list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list node;
};

static struct list head;
static struct item items[4];

static int set_up(void **state)
{
    (void)state;
    list_init(&head);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
    return 0;
}

/* `expected` as decimal digits, first to last; both directions are walked. */
static void assert_order(int expected)
{
    int forward = 0;
    int backward = 0;
    int place = 1;
    for (struct list *node = head.next; node != &head; node = node->next) {
        forward = forward * 10 + list_entry(node, struct item, node)->number;
    }
    for (struct list *node = head.prev; node != &head; node = node->prev, place *= 10) {
        backward += place * list_entry(node, struct item, node)->number;
    }
    assert_int_equal(forward, expected);
    assert_int_equal(backward, expected);
}

static void test_list_keeps_order(void **state)
{
    (void)state;
    assert_true(list_is_empty(&head));
    list_append(&head, &items[2].node);
    assert_false(list_is_empty(&head));
    list_append(&head, &items[3].node);
    list_prepend(&head, &items[1].node);
    assert_order(123);
    list_remove(&items[2].node);
    assert_order(13);
    list_insert_before(&items[3].node, &items[2].node);
    assert_order(123);
    list_move_to_end(&head, &items[1].node);
    assert_order(231);
    list_move_to_end(&head, &items[1].node);
    assert_order(231);
}

static void test_list_remove_is_safe_outside(void **state)
{
    (void)state;
    list_remove(&items[0].node);
    assert_ptr_equal(items[0].node.next, &items[0].node);
    list_append(&head, &items[1].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_true(list_is_empty(&head));
    assert_true(list_is_empty(&items[1].node));
}

static void test_list_walk_may_remove_its_node(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        list_append(&head, &items[i].node);
    }
    int seen = 0;
    list_for_each_safe (node, following, &head) {
        seen++;
        if (list_entry(node, struct item, node)->number != 2) {
            list_remove(node);
        }
    }
    assert_int_equal(seen, 4);
    seen = 0;
    list_for_each (node, &head) {
        seen += list_entry(node, struct item, node)->number;
    }
    assert_int_equal(seen, 2);
    list_remove(&items[2].node);
    list_for_each_safe (node, following, &head) {
        fail_msg("the list is empty");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_list_keeps_order, set_up),
        cmocka_unit_test_setup(test_list_remove_is_safe_outside, set_up),
        cmocka_unit_test_setup(test_list_walk_may_remove_its_node, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
