/* Which fields a kind of notification has, and what they are called: proto/notification.proto as
 * tables. A text has the same name in the view and in the struct of protobuf-c. */
#include <stddef.h>

#include "notification.pb-c.h"
#include "notification_private.h"

#define AT(member, message, name) \
    offsetof(struct notification, member.name), offsetof(Smartstack__V1__##message, name)

#define TEXT(number, name, json) [number] = {json, AT(task_status, TaskStatusUpdate, name)}
static const struct notification_text task_status_texts[] = {
    TEXT(1, event, "event"),    TEXT(2, task_id, "taskId"),     TEXT(3, type, "type"),
    TEXT(4, status, "status"),  TEXT(5, priority, "priority"),  TEXT(6, project_id, "projectId"),
    TEXT(7, user_id, "userId"), TEXT(8, tenant_id, "tenantId"),
};
#undef TEXT

#define TEXT(number, name, json) [number] = {json, AT(client, ClientNotification, name)}
static const struct notification_text client_texts[] = {
    TEXT(1, title, "title"),
    TEXT(2, body, "body"),
    TEXT(3, severity, "severity"),
    TEXT(4, task_id, "taskId"),
};
#undef TEXT

#define TEXT(number, name, json) [number] = {json, AT(review, ManualReviewAlert, name)}
static const struct notification_text review_texts[] = {
    TEXT(1, queue, "queue"),         TEXT(2, reason, "reason"),
    TEXT(3, priority, "priority"),   TEXT(4, title, "title"),
    TEXT(5, body, "body"),           TEXT(6, task_id, "taskId"),
    TEXT(7, due_time, "dueTime"),    TEXT(8, rule, "rule"),
    TEXT(10, tenant_id, "tenantId"), TEXT(11, project_id, "projectId"),
    TEXT(12, user_id, "userId"),     TEXT(13, type, "type"),
    TEXT(14, event, "event"),        TEXT(15, review_id, "reviewId"),
};
#undef TEXT

#define TEXT(number, name, json) [number] = {json, AT(review_update, ReviewUpdate, name)}
static const struct notification_text review_update_texts[] = {
    TEXT(1, id, "id"),
    TEXT(3, state, "state"),
    TEXT(4, by, "by"),
    TEXT(5, command, "command"),
    TEXT(6, decision, "decision"),
    TEXT(7, queue, "queue"),
    TEXT(8, reason, "reason"),
    TEXT(9, priority, "priority"),
    TEXT(10, title, "title"),
    TEXT(11, task_id, "taskId"),
    TEXT(12, due_time, "dueTime"),
    TEXT(13, tenant_id, "tenantId"),
    TEXT(14, project_id, "projectId"),
    TEXT(15, user_id, "userId"),
    TEXT(16, type, "type"),
};
#undef TEXT

#define TEXT(number, name, json) [number] = {json, AT(review_refusal, ReviewRefusal, name)}
static const struct notification_text review_refusal_texts[] = {
    TEXT(1, id, "id"),         TEXT(2, command, "command"), TEXT(3, by, "by"),
    TEXT(4, reason, "reason"), TEXT(5, task_id, "taskId"),
};
#undef TEXT

#define TEXT(number, name, json) [number] = {json, AT(custom, CustomEvent, name)}
static const struct notification_text custom_texts[] = {
    TEXT(1, event, "event"),
    TEXT(2, task_id, "taskId"),
};
#undef TEXT

#define TEXTS(list) .texts = (list), .text_count = sizeof(list) / sizeof((list)[0])

const struct notification_fields notification_fields[NOTIFICATION_TYPE_COUNT] = {
    [NOTIFICATION_TASK_STATUS] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_TASK_STATUS,
            .json = "taskStatus",
            .message = &smartstack__v1__task_status_update__descriptor,
            TEXTS(task_status_texts),
            .data = {10, AT(task_status, TaskStatusUpdate, data), "data"},
        },
    [NOTIFICATION_CLIENT] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_CLIENT_NOTIFICATION,
            .json = "clientNotification",
            .message = &smartstack__v1__client_notification__descriptor,
            TEXTS(client_texts),
            .data = {5, AT(client, ClientNotification, data), "data"},
        },
    [NOTIFICATION_REVIEW_ALERT] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_ALERT,
            .json = "reviewAlert",
            .message = &smartstack__v1__manual_review_alert__descriptor,
            TEXTS(review_texts),
            .data = {9, AT(review, ManualReviewAlert, data), "data"},
        },
    [NOTIFICATION_REVIEW_UPDATED] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_UPDATE,
            .json = "reviewUpdate",
            .message = &smartstack__v1__review_update__descriptor,
            TEXTS(review_update_texts),
            .data = {17, AT(review_update, ReviewUpdate, decisions), "decisions"},
        },
    [NOTIFICATION_REVIEW_REFUSED] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_REVIEW_REFUSAL,
            .json = "reviewRefusal",
            .message = &smartstack__v1__review_refusal__descriptor,
            TEXTS(review_refusal_texts),
        },
    [NOTIFICATION_CUSTOM] =
        {
            .number = SMARTSTACK__V1__NOTIFICATION__CONTENT_CUSTOM_EVENT,
            .json = "customEvent",
            .message = &smartstack__v1__custom_event__descriptor,
            TEXTS(custom_texts),
            .data = {3, AT(custom, CustomEvent, data), "data"},
        },
};
