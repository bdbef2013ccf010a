/* Which notifications come late: older than what their item was told with last.
 *
 * All rules of an event are held against what was told before it: what it tells itself is
 * remembered when it is through, and so of the event's notifications none makes another late. A
 * dead letter told nobody anything, nor did a notification all of whose rooms were left out. */
#include <assert.h>
#include <stdio.h>

#include "pipeline_private.h"

/* An item is its tenant's, as its rooms are. */
static struct fingerprint item_fingerprint(const struct job *job, struct bytes key)
{
    assert(key.size > 0 && key.size <= NOTIFICATION_ITEM_KEY_LIMIT);
    const struct bytes parts[] = {job->owner.tenant, key};
    return fingerprint_of(job->pipeline->fingerprinter, parts, 2);
}

bool draft_order_is_late(struct job *job, struct bytes key, struct draft_order *order,
                         char problem[DRAFT_PROBLEM_SIZE])
{
    char text[ITEM_ORDER_TEXT_SIZE];
    char told_text[ITEM_ORDER_TEXT_SIZE];
    if (!job->state)
        return false;
    order->item = item_fingerprint(job, key);
    const struct item_order *told =
        item_orders_find(partition_state_orders(job->state), order->item, job->recorded_ms);
    order->is_known = !told || !item_order_is_before(order->order, *told);
    if (order->is_known)
        return false;
    item_order_write(order->order, text);
    item_order_write(*told, told_text);
    snprintf(problem, DRAFT_PROBLEM_SIZE, "its order %s is before %s, which was told", text,
             told_text);
    return true;
}

/* Rules that share a draft may name different orders. */
void draft_take_order(struct draft *draft, const struct draft_order *order)
{
    assert(!order->is_known || draft->item.key.size > 0);
    if (order->is_known &&
        (!draft->order.is_known || item_order_is_before(draft->order.order, order->order)))
        draft->order = *order;
}

void draft_remember_orders(struct job *job)
{
    assert(job->state && !job->decision->dead);
    for (const struct draft *draft = job->drafts; draft; draft = draft->next)
        if (draft->order.is_known && draft->lanes)
            item_orders_tell(partition_state_orders(job->state), draft->order.item,
                             draft->order.order, job->recorded_ms);
}
