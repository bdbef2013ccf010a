/* A record of the topic of orders: up to the first line end its key, the rest its value; without a
 * line end it has none. What is read as an order is written as one that is read the same. */
#include <assert.h>
#include <string.h>

#include "order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same_order(const struct order *a, const struct order *b)
{
    assert(a->kind == b->kind && a->scope == b->scope && a->lifted == b->lifted);
    assert(bytes_equal(a->tenant, b->tenant) && bytes_equal(a->id, b->id));
    assert(bytes_equal(a->room, b->room) && bytes_equal(a->reason, b->reason));
    assert(a->not_before_ms == b->not_before_ms && a->expires_ms == b->expires_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buffer struct buffer key = {0}, value = {0};
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t key_size = end ? (size_t)(end - data) : size;
    struct order_record record = {.key = bytes_of(data, key_size), .has_value = end != NULL};
    struct order order, again;
    if (end)
        record.value = bytes_of(end + 1, size - key_size - 1);
    if (order_read(&record, &order) != ORDER_SOUND)
        return 0;
    assert(order_check(&order) == ORDER_SOUND && order.lifted == !record.has_value);
    order_append_key(&order, &key);
    assert(bytes_equal(buffer_peek(&key), record.key));
    if (!order.lifted)
        order_append_value(&order, &value);
    record.value = buffer_peek(&value);
    enum order_fault fault = order_read(&record, &again);
    assert(fault == ORDER_SOUND);
    (void)fault;
    expect_same_order(&order, &again);
    order_deinit(&again);
    order_deinit(&order);
    return 0;
}
