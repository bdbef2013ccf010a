/* Orders out of records, and back. */
#include "order.h"

#include <string.h>

#include "suite.h"

static enum order_fault read_record(const char *key, const char *value, struct order *order)
{
    struct order_record record = {
        .key = bytes_of_string(key), .value = bytes_of_string(value), .has_value = value != NULL};
    return order_read(&record, order);
}

static void is_fault(const char *key, const char *value, enum order_fault expected)
{
    struct order order;
    enum order_fault fault = read_record(key, value, &order);
    ck_assert_msg(fault == expected, "%s %s: %s, not %s", key, value, order_fault_text(fault),
                  order_fault_text(expected));
}

/* Written again it is the same record. */
static void comes_back(const char *key, const char *value)
{
    auto_buffer struct buffer text = {0};
    struct order order;
    enum order_fault fault = read_record(key, value, &order);
    ck_assert_msg(fault == ORDER_SOUND, "%s %s: %s", key, value, order_fault_text(fault));
    order_append_key(&order, &text);
    ck_assert(bytes_equal_string(buffer_peek(&text), key));
    buffer_clear(&text);
    order_append_value(&order, &text);
    ck_assert(bytes_equal_string(buffer_peek(&text), value));
    order_deinit(&order);
}

START_TEST(each_order_by_each_name)
{
    comes_back("[\"acme\",\"tenant\",\"\",\"disconnect\"]",
               "{\"order\":\"disconnect\",\"tenant\":\"acme\"}");
    comes_back("[\"\",\"user\",\"u1\",\"disconnect\"]",
               "{\"order\":\"disconnect\",\"tenant\":\"\",\"user\":\"u1\"}");
    comes_back(
        "[\"acme\",\"user\",\"u \\\"1\\\" \xc3\xa9\",\"not_before\"]",
        "{\"order\":\"not_before\",\"tenant\":\"acme\",\"user\":\"u \\\"1\\\" \xc3\xa9\","
        "\"notBefore\":\"2026-03-02T08:01:56.419Z\",\"expires\":\"2026-03-03T00:00:00.000Z\","
        "\"reason\":\"a lost phone\"}");
    comes_back("[\"acme\",\"session\",\"AbC_-1\",\"room\",\"task:42\"]",
               "{\"order\":\"leave\",\"tenant\":\"acme\",\"session\":\"AbC_-1\","
               "\"room\":\"task:42\"}");
    comes_back(
        "[\"acme\",\"token\",\"jti-1\",\"room\",\"task:a:b\"]",
        "{\"order\":\"join\",\"tenant\":\"acme\",\"token\":\"jti-1\",\"room\":\"task:a:b\"}");
}
END_TEST

START_TEST(cloud_events)
{
    struct order order;
    ck_assert_int_eq(
        read_record("[\"acme\",\"user\",\"u1\",\"disconnect\"]",
                    "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/admin\","
                    "\"type\":\"smartstack.order\",\"datacontenttype\":\"application/json\","
                    "\"data\":{\"order\":\"disconnect\",\"tenant\":\"acme\",\"user\":\"u1\"}}",
                    &order),
        ORDER_SOUND);
    ck_assert_int_eq(order.scope, ORDER_USER);
    ck_assert(bytes_equal_string(order.id, "u1"));
    order_deinit(&order);
    is_fault("[\"acme\",\"user\",\"u1\",\"disconnect\"]",
             "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/admin\",\"type\":\"x\","
             "\"data_base64\":\"e30=\"}",
             ORDER_FAULTY_VALUE);
}
END_TEST

START_TEST(lifted_by_its_key)
{
    struct order order;
    ck_assert_int_eq(read_record("[\"acme\",\"user\",\"u1\",\"not_before\"]", NULL, &order),
                     ORDER_SOUND);
    ck_assert(order.lifted && order.kind == ORDER_NOT_BEFORE && order.scope == ORDER_USER);
    order_deinit(&order);
    ck_assert_int_eq(read_record("[\"acme\",\"tenant\",\"\",\"room\",\"task:1\"]", NULL, &order),
                     ORDER_SOUND);
    ck_assert(order.lifted && order_has_room(order.kind));
    ck_assert(bytes_equal_string(order.room, "task:1"));
    order_deinit(&order);
    const char *const others[] = {"",
                                  "u1",
                                  "[]",
                                  "{}",
                                  "[\"acme\",\"user\",\"u1\"]",
                                  "[\"acme\",\"user\",\"u1\",\"room\"]",
                                  "[\"acme\",\"user\",\"u1\",\"join\",\"task:1\"]",
                                  "[\"acme\",\"user\",\"u1\",\"leave\"]",
                                  "[\"acme\",\"user\",\"u1\",\"disconnect\",\"task:1\"]",
                                  "[\"acme\",\"user\",\"u1\",\"kick\"]",
                                  "[\"acme\",\"users\",\"u1\",\"disconnect\"]",
                                  "[\"acme\",\"user\",1,\"disconnect\"]",
                                  "[ \"acme\",\"user\",\"u1\",\"disconnect\"]",
                                  "[\"acme\",\"user\",\"\\u00751\",\"disconnect\"]"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        is_fault(others[i], NULL, ORDER_FAULTY_KEY);
    is_fault("[\"acme\",\"tenant\",\"u1\",\"disconnect\"]", NULL, ORDER_FAULTY_SUBJECT);
    is_fault("[\"acme\",\"user\",\"\",\"disconnect\"]", NULL, ORDER_FAULTY_SUBJECT);
}
END_TEST

/* A record under another's key would be erased with it, or erase it. */
START_TEST(the_key_is_its_own)
{
    const char *value = "{\"order\":\"disconnect\",\"tenant\":\"acme\",\"user\":\"u1\"}";
    is_fault("", value, ORDER_FAULTY_KEY);
    is_fault("u1", value, ORDER_FAULTY_KEY);
    is_fault("[\"acme\",\"user\",\"u2\",\"disconnect\"]", value, ORDER_FAULTY_KEY);
    is_fault("[\"globex\",\"user\",\"u1\",\"disconnect\"]", value, ORDER_FAULTY_KEY);
    is_fault("[\"acme\",\"session\",\"u1\",\"disconnect\"]", value, ORDER_FAULTY_KEY);
    is_fault("[\"acme\",\"user\",\"u1\",\"not_before\"]", value, ORDER_FAULTY_KEY);
    is_fault("[\"acme\", \"user\", \"u1\", \"disconnect\"]", value, ORDER_FAULTY_KEY);
}
END_TEST

START_TEST(what_is_misspelled_names_nobody)
{
    const char *key = "[\"acme\",\"tenant\",\"\",\"disconnect\"]";
    static char long_text[2 * ORDER_VALUE_LIMIT];
    const struct {
        const char *value;
        enum order_fault fault;
    } rows[] = {
        {"", ORDER_FAULTY_VALUE},
        {"nonsense", ORDER_FAULTY_VALUE},
        {"[]", ORDER_FAULTY_VALUE},
        {"null", ORDER_FAULTY_VALUE},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\"} x", ORDER_FAULTY_VALUE},
        {"{\"order\":\"disconnect\",\"order\":\"join\",\"tenant\":\"acme\"}", ORDER_FAULTY_VALUE},
        {"{}", ORDER_FAULTY_ORDER},
        {"{\"order\":\"kick\",\"tenant\":\"acme\"}", ORDER_FAULTY_ORDER},
        {"{\"order\":1,\"tenant\":\"acme\"}", ORDER_FAULTY_ORDER},
        {"{\"order\":\"disconnect\"}", ORDER_FAULTY_TENANT},
        {"{\"order\":\"disconnect\",\"tenant\":null}", ORDER_FAULTY_TENANT},
        {"{\"order\":\"disconnect\",\"tenant\":\"ac\\nme\"}", ORDER_FAULTY_TENANT},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"usr\":\"u1\"}", ORDER_FAULTY_MEMBER},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"user\":\"\"}", ORDER_FAULTY_SUBJECT},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"user\":1}", ORDER_FAULTY_SUBJECT},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"user\":\"u\",\"token\":\"t\"}",
         ORDER_FAULTY_SUBJECT},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"room\":\"task:1\"}", ORDER_FAULTY_ROOM},
        {"{\"order\":\"leave\",\"tenant\":\"acme\"}", ORDER_FAULTY_ROOM},
        {"{\"order\":\"leave\",\"tenant\":\"acme\",\"room\":\"42\"}", ORDER_FAULTY_ROOM},
        {"{\"order\":\"not_before\",\"tenant\":\"acme\"}", ORDER_FAULTY_TIME},
        {"{\"order\":\"not_before\",\"tenant\":\"acme\",\"notBefore\":1700000000}",
         ORDER_FAULTY_TIME},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"notBefore\":\"2026-03-02T08:01:56Z\"}",
         ORDER_FAULTY_TIME},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"expires\":\"tomorrow\"}",
         ORDER_FAULTY_TIME},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"expires\":\"1969-12-31T23:59:59Z\"}",
         ORDER_FAULTY_TIME},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"reason\":1}", ORDER_FAULTY_REASON},
        {"{\"order\":\"disconnect\",\"tenant\":\"acme\",\"reason\":\"a\\u001bb\"}",
         ORDER_FAULTY_REASON},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_fault(key, rows[i].value, rows[i].fault);
    memset(long_text, ' ', sizeof(long_text) - 1);
    memcpy(long_text, "{\"order\":\"disconnect\",\"tenant\":\"acme\"}", 38);
    is_fault(key, long_text, ORDER_FAULTY_VALUE);
}
END_TEST

TEST_PROGRAM("order", each_order_by_each_name, cloud_events, lifted_by_its_key, the_key_is_its_own,
             what_is_misspelled_names_nobody)
