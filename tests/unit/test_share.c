/* server/share: one share for each identity that is in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/share.h"

static void test_share_is_one_for_each_identity(void **state)
{
    (void)state;
    struct list shares;
    struct loop *loop = loop_new();
    list_init(&shares);
    struct share *alice = share_ref(&shares, "alice", 3);
    struct share *bob = share_ref(&shares, "bob", 3);
    assert_ptr_not_equal(alice, bob);
    assert_ptr_equal(share_ref(&shares, "alice", 3), alice);
    for (size_t i = 0; i < 3; i++) {
        assert_true(list_is_empty(&alice->boards[i].queues));
    }
    share_unref(alice, loop);
    assert_ptr_equal(share_ref(&shares, "alice", 3), alice);
    share_unref(alice, loop);
    share_unref(alice, loop);
    assert_ptr_equal(list_entry(shares.next, struct share, node), bob);
    share_unref(bob, loop);
    assert_true(list_is_empty(&shares));
    assert_true(list_is_empty(&bob->boards[2].queues)); /* there until the loop's pass is over */
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_is_one_for_each_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
