/* An intrusive, circular, doubly linked list. A node that is in no list points to itself. */
#ifndef OCDMUX_BASE_LIST_H
#define OCDMUX_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

/* The struct that `node` is the member `member` of. */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define list_for_each(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
/* Allows the loop's body to remove `node` (and only it). */
#define list_for_each_safe(node, following, head)                                   \
    for (struct list *node = (head)->next, *following = node->next; node != (head); \
         node = following, following = node->next)

static inline void list_init(struct list *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *position, struct list *node)
{
    node->prev = position->prev;
    node->next = position;
    position->prev->next = node;
    position->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

/* Safe on a node that is in no list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline void list_move_to_end(struct list *head, struct list *node)
{
    list_remove(node);
    list_append(head, node);
}

#endif
