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

/* Adds a problem for each topic that is none, empty texts among them, is another's before it in the list too, or is one of the
 * layout's (NULL: that is not known), or of their state. */
void topic_uses_check(const struct topic_use *uses, size_t count, const struct layout *layout,
                      struct problems *problems);

#endif
