/* The fields of each kind of notification. Its three forms have them in common: reading a value,
 * writing one and JSON go through one table. Private to notification*.c. */
#ifndef COMMON_NOTIFICATION_PRIVATE_H
#define COMMON_NOTIFICATION_PRIVATE_H

#include "notification.h"

struct ProtobufCMessageDescriptor;

struct notification_text {
    const char *json; /* its name there; NULL: there is no text of this number */
    size_t view;      /* where it stands in struct notification */
    size_t message;   /* and in the struct that protobuf-c has of this kind */
};

struct notification_fields {
    unsigned number;  /* of the kind, in protobuf's Notification */
    const char *json; /* its name there */
    const struct ProtobufCMessageDescriptor *message;
    const struct notification_text *texts; /* by their numbers in protobuf */
    size_t text_count;                     /* the greatest number, and 1 */
    struct {
        unsigned number; /* 0: this kind has none */
        size_t view, message;
        const char *json;
    } data; /* JSON text, which goes to clients as it is */
};

/* By their types. What is neither text nor data, a task's progress and a review's version, stands
 * in no table. */
extern const struct notification_fields notification_fields[NOTIFICATION_TYPE_COUNT];

/* The text or data at this place of a table. */
static inline const struct bytes *notification_bytes(const struct notification *view, size_t place)
{
    return (const void *)((const uint8_t *)view + place);
}

#endif
