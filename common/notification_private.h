/* The text fields of each kind of notification, which its three forms have in common. Private to
 * notification*.c.
 *
 * X(name in C, name in JSON, number in protobuf): in C it is the same in the view and in the
 * generated struct; in JSON it is proto3's. */
#ifndef COMMON_NOTIFICATION_PRIVATE_H
#define COMMON_NOTIFICATION_PRIVATE_H

#define TASK_STATUS_TEXTS(X)      \
    X(event, "event", 1)          \
    X(task_id, "taskId", 2)       \
    X(type, "type", 3)            \
    X(status, "status", 4)        \
    X(priority, "priority", 5)    \
    X(project_id, "projectId", 6) \
    X(user_id, "userId", 7)       \
    X(tenant_id, "tenantId", 8)

#define CLIENT_TEXTS(X)        \
    X(title, "title", 1)       \
    X(body, "body", 2)         \
    X(severity, "severity", 3) \
    X(task_id, "taskId", 4)

#define REVIEW_TEXTS(X)            \
    X(queue, "queue", 1)           \
    X(reason, "reason", 2)         \
    X(priority, "priority", 3)     \
    X(title, "title", 4)           \
    X(body, "body", 5)             \
    X(task_id, "taskId", 6)        \
    X(due_time, "dueTime", 7)      \
    X(rule, "rule", 8)             \
    X(tenant_id, "tenantId", 10)   \
    X(project_id, "projectId", 11) \
    X(user_id, "userId", 12)       \
    X(type, "type", 13)            \
    X(event, "event", 14)          \
    X(review_id, "reviewId", 15)

#define REVIEW_UPDATE_TEXTS(X)     \
    X(id, "id", 1)                 \
    X(state, "state", 3)           \
    X(by, "by", 4)                 \
    X(command, "command", 5)       \
    X(decision, "decision", 6)     \
    X(queue, "queue", 7)           \
    X(reason, "reason", 8)         \
    X(priority, "priority", 9)     \
    X(title, "title", 10)          \
    X(task_id, "taskId", 11)       \
    X(due_time, "dueTime", 12)     \
    X(tenant_id, "tenantId", 13)   \
    X(project_id, "projectId", 14) \
    X(user_id, "userId", 15)       \
    X(type, "type", 16)

#define REVIEW_REFUSAL_TEXTS(X) \
    X(id, "id", 1)              \
    X(command, "command", 2)    \
    X(by, "by", 3)              \
    X(reason, "reason", 4)      \
    X(task_id, "taskId", 5)

#define CUSTOM_TEXTS(X)  \
    X(event, "event", 1) \
    X(task_id, "taskId", 2)

#endif
