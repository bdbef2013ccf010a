/* A table that is sorted once and searched for each record. */
#include "input_types.h"

#include <assert.h>
#include <stdlib.h>

#include "event.h"

static int compare_topics(const void *a, const void *b)
{
    const struct bytes one = ((const struct input_type *)a)->topic;
    const struct bytes other = ((const struct input_type *)b)->topic;
    size_t shorter = one.size < other.size ? one.size : other.size;
    int order = shorter == 0 ? 0 : memcmp(one.data, other.data, shorter);
    return order != 0 ? order : (one.size > other.size) - (one.size < other.size);
}

static bool is_input_topic(const struct config_list *topics, struct bytes topic)
{
    for (size_t i = 0; i < topics->count; i++)
        if (bytes_equal_string(topic, topics->items[i]))
            return true;
    return false;
}

static void read_type(struct input_types *types, const struct document_entry *entry,
                      const struct config_list *topics, struct problems *problems)
{
    const struct bytes topic = entry->key->text;
    const struct document_node *value = entry->value;
    if (!is_input_topic(topics, topic)) {
        problems_add(problems, entry->key->line, entry->key->column,
                     "dispatcher.content_types: %.*s is not in dispatcher.input_topics",
                     BYTES_PRINT(topic));
    } else if (value->kind != DOCUMENT_STRING || !event_reads_type(value->text)) {
        problems_add(problems, value->line, value->column,
                     "dispatcher.content_types: %.*s: expected a content type that is read: "
                     "application/json, application/cloudevents+json, "
                     "application/cloudevents-batch+json or application/protobuf",
                     BYTES_PRINT(topic));
    } else {
        assert(types->count < INPUT_TOPICS_MOST); /* no key twice, and each is in `topics` */
        types->of[types->count++] = (struct input_type){topic, value->text};
    }
}

void input_types_read(struct input_types *types, const struct document_node *node,
                      const struct config_list *topics, struct problems *problems)
{
    types->count = 0;
    if (!node || node->kind == DOCUMENT_NULL ||
        !document_check_keys(node, NULL, "dispatcher.content_types", problems))
        return;
    for (size_t i = 0; i < node->count; i++)
        read_type(types, &node->entries[i], topics, problems);
    qsort(types->of, types->count, sizeof(types->of[0]), compare_topics);
}

struct bytes input_types_find(const struct input_types *types, struct bytes topic)
{
    assert(types->count <= INPUT_TOPICS_MOST);
    const struct input_type wanted = {.topic = topic};
    const struct input_type *found =
        bsearch(&wanted, types->of, types->count, sizeof(types->of[0]), compare_topics);
    return found ? found->content_type : bytes_of(NULL, 0);
}
