/* The fields of an event that have a meaning for the dispatcher itself, whatever the rules name.
 * They are the first slots of a rule set's field_set, in this order. */
#ifndef DISPATCHER_RULES_EVENT_FIELDS_H
#define DISPATCHER_RULES_EVENT_FIELDS_H

#define EVENT_FIELDS(X)                           \
    X(EVENT_FIELD_ID, "id")                       \
    X(EVENT_FIELD_EVENT, "event")                 \
    X(EVENT_FIELD_TIME, "time")                   \
    X(EVENT_FIELD_SOURCE, "source")               \
    X(EVENT_FIELD_TENANT, "tenantId")             \
    X(EVENT_FIELD_PROJECT, "projectId")           \
    X(EVENT_FIELD_USER, "userId")                 \
    X(EVENT_FIELD_TASK, "taskId")                 \
    X(EVENT_FIELD_TYPE, "type")                   \
    X(EVENT_FIELD_PRIORITY, "priority")           \
    X(EVENT_FIELD_STATUS, "status")               \
    X(EVENT_FIELD_PROGRESS, "progress")           \
    X(EVENT_FIELD_DATA, "data")                   \
    X(EVENT_FIELD_DATA_PROGRESS, "data.progress") \
    X(EVENT_FIELD_TRACEPARENT, "traceparent")     \
    X(EVENT_FIELD_TRACESTATE, "tracestate")

enum event_field {
#define X(name, path) name,
    EVENT_FIELDS(X)
#undef X
        EVENT_FIELD_COUNT
};

#endif
