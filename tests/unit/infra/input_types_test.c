/* Content types of input topics, as a configuration names them. */
#include "input_types.h"

#include <stdio.h>

#include "suite.h"

static char orders[] = "orders", older[] = "orders.old", tasks[] = "tasks";
static char *topics[] = {orders, older, tasks};
static const struct config_list inputs = {topics, 3};

static struct input_types types;

/* Whether the text is good, and else what is said of it. */
static const char *read_yaml(const char *yaml, struct document **document)
{
    static char said[1000];
    auto_problems struct problems problems = {0};
    ck_assert_int_eq(document_parse(bytes_of_string(yaml), NULL, document, NULL), STATUS_OK);
    input_types_read(&types, document_root(*document), &inputs, &problems);
    said[0] = 0;
    for (size_t i = 0; i < problems.count; i++)
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%u:%u %s\n",
                 problems.items[i].line, problems.items[i].column, problems.items[i].text);
    return said;
}

static void assert_type(const char *topic, const char *expected)
{
    struct bytes type = input_types_find(&types, bytes_of_string(topic));
    ck_assert_msg(bytes_equal_string(type, expected), "%s: %.*s", topic, BYTES_PRINT(type));
}

START_TEST(a_topic_has_its_own)
{
    struct document *document;
    ck_assert_str_eq(
        read_yaml("{tasks: application/json, orders: application/protobuf}", &document), "");
    assert_type("tasks", "application/json");
    assert_type("orders", "application/protobuf");
    assert_type("orders.old", "");
    assert_type("order", "");
    assert_type("", "");
    document_free(document);
    ck_assert_str_eq(read_yaml("null", &document), "");
    assert_type("tasks", "");
    document_free(document);
    input_types_read(&types, NULL, &inputs, NULL);
    assert_type("tasks", "");
}
END_TEST

START_TEST(what_is_wrong_is_told_with_its_place)
{
    struct document *document;
    const char *said = read_yaml(
        "{tasks: text/plain, other: application/json, orders: [application/json]}", &document);
    ck_assert_msg(strstr(said, "1:9 dispatcher.content_types: tasks: expected a content type"),
                  "%s", said);
    ck_assert_msg(strstr(said, "other is not in dispatcher.input_topics"), "%s", said);
    ck_assert_msg(strstr(said, "dispatcher.content_types: orders: expected"), "%s", said);
    assert_type("tasks", "");
    document_free(document);
    ck_assert_msg(strstr(read_yaml("[tasks]", &document), "dispatcher.content_types"), "%s", said);
    document_free(document);
    ck_assert_msg(strstr(read_yaml("{tasks: text/json, tasks: text/json}", &document), "tasks"),
                  "%s", said);
    document_free(document);
}
END_TEST

TEST_PROGRAM("input types", a_topic_has_its_own, what_is_wrong_is_told_with_its_place)
