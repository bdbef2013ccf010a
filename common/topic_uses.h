/* Which topics a program is told to use, and for what: checks that no two uses share one. Records of two
 * kinds in one topic cannot be told apart: a dead letter that is read as an event is a dead letter again,
 * and what a client sends would be an order, or a notification. */
#ifndef COMMON_TOPIC_USES_H
#define COMMON_TOPIC_USES_H

#include "layout.h"
#include "problems.h"

struct topic_use {
    const char *setting;
    const char *topic; /* NULL: none is used */
};

/* Adds a problem for each topic that is no topic's name, that an earlier use of the list has, or that
 * the layout has (NULL: that is not known), for messages or for their state. */
void topic_uses_check(const struct topic_use *uses, size_t count, const struct layout *layout,
                      struct problems *problems);

#endif
