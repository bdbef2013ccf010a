/* The `dispatcher` section of the configuration. Not its effect. */
#ifndef DISPATCHER_INFRA_SETTINGS_H
#define DISPATCHER_INFRA_SETTINGS_H

#include "input_types.h"
#include "pipeline.h"
#include "shared_config.h"

enum delivery_guarantee { DELIVERY_AUTO, DELIVERY_EXACTLY_ONCE, DELIVERY_AT_LEAST_ONCE };

/* The longest group and slot: together they make the transactional id. */
enum { SETTINGS_NAME_MAX = 200, SETTINGS_IDENTITY_SIZE = 2 * SETTINGS_NAME_MAX + 16 };

/* Filled by config_load(); what it points to belongs to the config. */
struct settings {
    char *rules_file;
    int64_t rules_check_ms;
    char *group;
    char *slot;
    int delivery; /* enum delivery_guarantee */
    struct config_list input_topics;
    const struct document_node *content_types_node;
    struct input_types content_types; /* by settings_finish() */
    char *dead_letter_topic;
    char *audit_topic;
    int audit; /* enum audit_level */
    char *state_topic;
    int64_t dedupe_window_ms;
    int64_t dedupe_entries;
    int64_t review_window_ms;
    int64_t review_tasks;
    int64_t reviews_per_task;
    int64_t order_window_ms;
    int64_t order_items;
    struct config_list review_closed_by;
    char *review_log;
    int64_t review_log_partitions;
    char *review_decisions_topic;
    bool review_timers;
    int64_t review_claim_ms;
    int64_t review_remind_ms;
    int64_t review_reminders;
    int64_t redrive_attempts;
    int64_t batch_events;
    int64_t batch_bytes;
    int64_t batch_ms;
    int64_t commit_gap_ms;
    int64_t stall_ms;
    bool create_topics;
    int64_t replication_factor;
    int64_t event_bytes;
    int64_t notification_bytes;
    int64_t events_per_record;
    int64_t rooms_per_event;
    int64_t rooms_per_list;
    int64_t values;
    int64_t steps;
    int64_t hops;
    char *http_address;
    int64_t http_port;
};

struct config_group settings_group(struct settings *settings);

/* Settles what is left out by an empty text, and finds what contradicts itself, adding problems; after
 * shared_config_finish(). */
void settings_finish(struct settings *settings, const struct shared_config *shared,
                     struct problems *problems);

struct pipeline_settings settings_pipeline(const struct settings *settings,
                                           const struct layout *layout);

/* `hash_seed` is the caller's to fill. */
struct partition_state_settings settings_partition_state(const struct settings *settings);

#endif
