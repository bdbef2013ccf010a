/* dispatcher.content_types: the content type of all records of an input topic, whatever their headers
 * say, for backends that say none or a wrong one. What a content type leads to: event.h. */
#ifndef DISPATCHER_INFRA_INPUT_TYPES_H
#define DISPATCHER_INFRA_INPUT_TYPES_H

#include "config.h"
#include "problems.h"

enum { INPUT_TOPICS_MOST = 100 };

struct input_type {
    struct bytes topic;
    struct bytes content_type;
};

/* Borrows the texts of the document that it is read from. Zeroed: there are none. */
struct input_types {
    struct input_type of[INPUT_TOPICS_MOST]; /* by topic */
    size_t count;
};

/* `node`: a mapping of topics to content types; NULL or null: none. A topic that is not in `topics`,
 * or a type that is not read, is a problem with its place. */
void input_types_read(struct input_types *types, const struct document_node *node,
                      const struct config_list *topics, struct problems *problems);

/* Empty: the topic has none, and headers count. */
struct bytes input_types_find(const struct input_types *types, struct bytes topic);

#endif
