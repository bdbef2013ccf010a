/* Each with each: a program has a handful, and a hundred inputs at most. */
#include "topic_uses.h"

#include <assert.h>
#include <string.h>

/* As Kafka has it. */
static bool is_topic_name(const char *name)
{
    static const char characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(name);
    return size > 0 && size <= KAFKA_TOPIC_LIMIT && strspn(name, characters) == size &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* NULL: it is none of the layout's. */
static const char *use_in_layout(const struct layout *layout, const char *topic)
{
    static const char state[] = LAYOUT_STATE_SUFFIX;
    size_t size = strlen(topic), suffix = sizeof(state) - 1;
    if (layout_topic_find(layout, bytes_of(topic, size)))
        return "rooms, of messages";
    if (size > suffix && strcmp(topic + size - suffix, state) == 0 &&
        layout_topic_find(layout, bytes_of(topic, size - suffix)))
        return "rooms, of their state";
    return NULL;
}

void topic_uses_check(const struct topic_use *uses, size_t count, const struct layout *layout,
                      struct problems *problems)
{
    for (size_t i = 0; i < count; i++) {
        const char *other = NULL;
        assert(uses[i].setting);
        if (!uses[i].topic)
            continue;
        if (!is_topic_name(uses[i].topic)) {
            problems_add(problems, 0, 0,
                         "%s: %s: no name of a topic, which has 1 to %d letters, digits, dots, _ "
                         "and -",
                         uses[i].setting, uses[i].topic, KAFKA_TOPIC_LIMIT);
            continue;
        }
        for (size_t k = 0; k < i && !other; k++)
            if (uses[k].topic && strcmp(uses[i].topic, uses[k].topic) == 0)
                other = uses[k].setting;
        if (!other && layout)
            other = use_in_layout(layout, uses[i].topic);
        if (other)
            problems_add(problems, 0, 0, "%s: %s: is that of %s, too", uses[i].setting,
                         uses[i].topic, other);
    }
}
