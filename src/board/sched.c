/* Two rings and a FIFO. */
#include "board/sched.h"

#include "ops/op.h"

void sched_init(struct sched *sched)
{
    list_init(&sched->busy);
    sched->count = 0;
}

void sched_identity_init(struct sched_identity *identity)
{
    list_init(&identity->node);
    list_init(&identity->queues);
    identity->count = 0;
}

void sched_queue_init(struct sched_queue *queue, struct sched *sched, struct sched_identity *identity)
{
    list_init(&queue->node);
    list_init(&queue->ops);
    queue->count = 0;
    queue->sched = sched;
    queue->identity = identity;
}

void sched_add(struct sched_queue *queue, struct op *op)
{
    struct sched_identity *identity = queue->identity;
    if (list_is_empty(&identity->queues)) {
        list_append(&queue->sched->busy, &identity->node);
    }
    if (list_is_empty(&queue->ops)) {
        list_append(&identity->queues, &queue->node);
    }
    list_append(&queue->ops, &op->queue_node);
    op->queue = queue;
    queue->count++;
    identity->count++;
    queue->sched->count++;
}

void sched_remove(struct op *op)
{
    struct sched_queue *queue = op->queue;
    list_remove(&op->queue_node);
    op->queue = NULL;
    queue->count--;
    queue->identity->count--;
    queue->sched->count--;
    if (list_is_empty(&queue->ops)) {
        list_remove(&queue->node);
    }
    if (list_is_empty(&queue->identity->queues)) {
        list_remove(&queue->identity->node);
    }
}

struct op *sched_head(const struct sched_queue *queue)
{
    list_for_each (node, &queue->ops) {
        struct op *op = list_entry(node, struct op, queue_node);
        if (!op->in_flight) {
            return op;
        }
        if (!op->ends) {
            return NULL;
        }
    }
    return NULL;
}

struct op *sched_pick(struct sched *sched, bool (*may_run)(void *context, struct op *op), void *context)
{
    list_for_each (identity_node, &sched->busy) {
        struct sched_identity *identity = list_entry(identity_node, struct sched_identity, node);
        list_for_each (queue_node, &identity->queues) {
            struct sched_queue *queue = list_entry(queue_node, struct sched_queue, node);
            struct op *op = sched_head(queue);
            if (op != NULL && may_run(context, op)) {
                list_move_to_end(&identity->queues, &queue->node);
                list_move_to_end(&sched->busy, &identity->node);
                return op;
            }
        }
    }
    return NULL;
}

void sched_unpick(struct op *op)
{
    struct sched_queue *queue = op->queue;
    list_remove(&queue->node);
    list_prepend(&queue->identity->queues, &queue->node);
    list_remove(&queue->identity->node);
    list_prepend(&queue->sched->busy, &queue->identity->node);
}

void sched_turn_over(struct op *op)
{
    struct sched_queue *queue = op->queue;
    list_move_to_end(&queue->identity->queues, &queue->node);
    list_move_to_end(&queue->sched->busy, &queue->identity->node);
}
