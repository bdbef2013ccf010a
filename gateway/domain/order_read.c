/* Orders out of records of a topic that anybody with rights to it may write to. Everything is
 * checked, and what is not understood refuses the whole order: a misspelled member must not turn
 * an order for one session into one for a tenant.
 *
 * An order whose key is not the one that it would have is refused as well. It would never be
 * replaced or lifted by its successors. */
#include <assert.h>
#include <jansson.h>

#include "instant.h"
#include "order.h"

static struct bytes json_text(const json_t *text)
{
    assert(json_is_string(text));
    return bytes_of(json_string_value(text), json_string_length(text));
}

static bool take_time(const json_t *value, int64_t *time_ms)
{
    return json_is_string(value) && instant_parse(json_text(value), time_ms);
}

static enum order_fault take_subject(struct order *order, enum order_scope scope,
                                     const json_t *value)
{
    /* Two subjects in one order: which of them is meant would be a guess. */
    if (!json_is_string(value) || order->scope != ORDER_TENANT)
        return ORDER_FAULTY_SUBJECT;
    order->scope = scope;
    order->id = json_text(value);
    return ORDER_SOUND;
}

static enum order_fault take_order_text(struct bytes *text, const json_t *value,
                                        enum order_fault fault)
{
    if (!json_is_string(value))
        return fault;
    *text = json_text(value);
    return ORDER_SOUND;
}

/* Members that must be there; JSON has no order, so it is judged when all have been seen. */
struct seen {
    bool order, tenant, not_before;
};

/* A member that is not known refuses the order: it may be what narrows it down. */
static enum order_fault take_member(struct order *order, struct seen *seen, struct bytes name,
                                    const json_t *value)
{
    enum order_scope scope;
    if (bytes_equal_string(name, "order")) {
        seen->order = json_is_string(value) && order_kind_named(json_text(value), &order->kind);
        return seen->order ? ORDER_SOUND : ORDER_FAULTY_ORDER;
    }
    if (bytes_equal_string(name, "tenant")) {
        seen->tenant = true;
        return take_order_text(&order->tenant, value, ORDER_FAULTY_TENANT);
    }
    if (order_scope_named(name, &scope))
        return take_subject(order, scope, value);
    if (bytes_equal_string(name, "room"))
        return take_order_text(&order->room, value, ORDER_FAULTY_ROOM);
    if (bytes_equal_string(name, "reason"))
        return take_order_text(&order->reason, value, ORDER_FAULTY_REASON);
    if (bytes_equal_string(name, "notBefore")) {
        seen->not_before = true;
        return take_time(value, &order->not_before_ms) ? ORDER_SOUND : ORDER_FAULTY_TIME;
    }
    if (bytes_equal_string(name, "expires"))
        return take_time(value, &order->expires_ms) ? ORDER_SOUND : ORDER_FAULTY_TIME;
    return ORDER_FAULTY_MEMBER;
}

static enum order_fault take_members(struct order *order, const json_t *object)
{
    struct seen seen = {0};
    void *at = json_object_iter((json_t *)(uintptr_t)object);
    order->scope = ORDER_TENANT;
    order->expires_ms = INT64_MAX;
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        enum order_fault fault = take_member(
            order, &seen, bytes_of_string(json_object_iter_key(at)), json_object_iter_value(at));
        if (fault != ORDER_SOUND)
            return fault;
    }
    if (!seen.order)
        return ORDER_FAULTY_ORDER;
    if (!seen.tenant)
        return ORDER_FAULTY_TENANT;
    /* A time that means nothing to this kind was meant for another. */
    if (seen.not_before != (order->kind == ORDER_NOT_BEFORE))
        return ORDER_FAULTY_TIME;
    return order_check(order);
}

/* By writing it again, in its one form. */
static bool is_own_key(const struct order *order, struct bytes key)
{
    auto_buffer struct buffer own = {0};
    order_append_key(order, &own);
    return bytes_equal(buffer_peek(&own), key);
}

static enum order_fault read_value(const struct order_record *record, struct order *order)
{
    if (record->value.size > ORDER_VALUE_LIMIT)
        return ORDER_FAULTY_VALUE;
    json_t *document = json_loadb((const char *)record->value.data, record->value.size,
                                  JSON_REJECT_DUPLICATES, NULL);
    const json_t *object = document;
    order->document = document;
    /* A CloudEvent: the order is its data. */
    if (json_is_object(document) && json_object_get(document, "specversion"))
        object = json_object_get(document, "data");
    if (!json_is_object(object))
        return ORDER_FAULTY_VALUE;
    return take_members(order, object);
}

/* Of a record without a value: which order is lifted. */
static enum order_fault read_key(struct bytes key, struct order *order)
{
    assert(key.size > 0 && key.size <= ORDER_KEY_LIMIT);
    json_t *parts = json_loadb((const char *)key.data, key.size, 0, NULL);
    size_t count = json_array_size(parts);
    order->document = parts;
    order->lifted = true;
    order->expires_ms = INT64_MAX;
    if (count < 4 || count > 5)
        return ORDER_FAULTY_KEY;
    for (size_t i = 0; i < count; i++)
        if (!json_is_string(json_array_get(parts, i)))
            return ORDER_FAULTY_KEY;
    struct bytes what = json_text(json_array_get(parts, 3));
    bool room = count == 5 && bytes_equal_string(what, ORDER_OF_ROOMS);
    if (!order_scope_named(json_text(json_array_get(parts, 1)), &order->scope) ||
        (!room &&
         (count == 5 || !order_kind_named(what, &order->kind) || order_has_room(order->kind))))
        return ORDER_FAULTY_KEY;
    order->tenant = json_text(json_array_get(parts, 0));
    order->id = json_text(json_array_get(parts, 2));
    /* To leave a room and to join it have one key: the later one replaces the earlier, and
     * either is lifted by it. */
    if (room) {
        order->kind = ORDER_LEAVE;
        order->room = json_text(json_array_get(parts, 4));
    }
    return order_check(order);
}

enum order_fault order_read(const struct order_record *record, struct order *order)
{
    struct order made = {0};
    enum order_fault fault = ORDER_FAULTY_KEY;
    if (record->key.size > 0 && record->key.size <= ORDER_KEY_LIMIT)
        fault = record->has_value ? read_value(record, &made) : read_key(record->key, &made);
    if (fault == ORDER_SOUND && !is_own_key(&made, record->key))
        fault = ORDER_FAULTY_KEY;
    if (fault == ORDER_SOUND)
        *order = made;
    else
        order_deinit(&made);
    return fault;
}

void order_deinit(struct order *order)
{
    json_decref(order->document);
    *order = (struct order){0};
}
