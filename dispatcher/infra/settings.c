/* The dispatcher's settings: the table from which the configuration file is read and --help is
 * written. A setting is added here and in struct settings, nowhere else.
 *
 * What one setting can say of itself (type, least, most) the table checks; what depends on two
 * is checked in settings_finish(). After that no value has to be doubted, which is why the
 * conversions below are plain casts: every maximum fits its type. */
#include "settings.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "topic_uses.h"

/* What it is about, who and by which command, and its rooms: generously. */
enum { REVIEW_UPDATE_BYTES = 4 * REVIEW_TEXT_LIMIT };

enum { TOPICS_MOST = INPUT_TOPICS_MOST + 5 };

#define TARGET(field) offsetof(struct settings, field)

static const char *const delivery_names[] = {"auto", "exactly-once", "at-least-once", NULL};
static const char *const audit_names[] = {"off", "reviews", "matched", "all", NULL};

static const struct setting table[] = {
    {.path = "dispatcher.rules",
     .type = SETTING_STRING,
     .offset = TARGET(rules_file),
     .required = true,
     .help = "The rules file (YAML or JSON)."},
    {.path = "dispatcher.rules_check",
     .type = SETTING_DURATION,
     .offset = TARGET(rules_check_ms),
     .default_text = "2s",
     .maximum = 3600000,
     .help = "How often to look whether the rules file has changed; 0: only on SIGHUP."},
    {.path = "dispatcher.group",
     .type = SETTING_STRING,
     .offset = TARGET(group),
     .default_text = "smartstack-dispatcher",
     .maximum = SETTINGS_NAME_MAX,
     .help = "Consumer group. Dispatchers of one group share the work."},
    {.path = "dispatcher.slot",
     .type = SETTING_STRING,
     .offset = TARGET(slot),
     .default_text = "0",
     .maximum = SETTINGS_NAME_MAX,
     .help = "Which dispatcher of the group this is: a name that stays the same over restarts and "
             "that no other has, "
             "e.g. the name of a pod of a StatefulSet. It makes the transactional id."},
    {.path = "dispatcher.delivery",
     .type = SETTING_CHOICE,
     .offset = TARGET(delivery),
     .default_text = "auto",
     .choices = delivery_names,
     .help = "auto: exactly once, but at least once on the embedded broker, which has no "
             "transactions."},
    {.path = "dispatcher.input_topics",
     .type = SETTING_LIST,
     .offset = TARGET(input_topics),
     .default_text = "tasks.events",
     .minimum = 1,
     .maximum = INPUT_TOPICS_MOST,
     .help = "Where task events are read."},
    {.path = "dispatcher.content_types",
     .type = SETTING_TREE,
     .offset = TARGET(content_types_node),
     .help = "The content type of all records of an input topic, whatever their headers say: "
             "`topic: application/protobuf`. A topic that is not named here: as the headers say."},
    {.path = "dispatcher.dead_letter_topic",
     .type = SETTING_STRING,
     .offset = TARGET(dead_letter_topic),
     .default_text = "tasks.dead-letter",
     .maximum = KAFKA_TOPIC_LIMIT,
     .help = "Where records go that cannot be processed."},
    {.path = "dispatcher.audit_topic",
     .type = SETTING_STRING,
     .offset = TARGET(audit_topic),
     .default_text = "tasks.audit",
     .maximum = KAFKA_TOPIC_LIMIT,
     .help = "Where decisions are recorded."},
    {.path = "dispatcher.audit",
     .type = SETTING_CHOICE,
     .offset = TARGET(audit),
     .default_text = "matched",
     .choices = audit_names,
     .help = "Which decisions are recorded: those that asked for a review, those in which a rule "
             "matched (and dead "
             "letters and duplicates), or all."},
    {.path = "dispatcher.state_topic",
     .type = SETTING_STRING,
     .offset = TARGET(state_topic),
     .default_text = "tasks.dispatcher-state",
     .maximum = KAFKA_TOPIC_LIMIT,
     .help = "Where dispatchers keep which events were seen, which reviews are open and with which "
             "orders items were told (compacted; as many partitions as the input topics)."},
    {.path = "dispatcher.dedupe.window",
     .type = SETTING_DURATION,
     .offset = TARGET(dedupe_window_ms),
     .default_text = "10m",
     .maximum = INT64_C(30) * 86400000,
     .help = "An event whose source and id were seen less than this before it (by the records' "
             "timestamps) is dropped; "
             "0: none is."},
    {.path = "dispatcher.dedupe.events",
     .type = SETTING_INTEGER,
     .offset = TARGET(dedupe_entries),
     .default_text = "100000",
     .minimum = 1,
     .maximum = 100000000,
     .help = "Events remembered for each input partition; beyond it the oldest are forgotten. "
             "About 130 bytes each."},
    {.path = "dispatcher.order.window",
     .type = SETTING_DURATION,
     .offset = TARGET(order_window_ms),
     .default_text = "10m",
     .maximum = INT64_C(30) * 86400000,
     .help = "For how long after an item was told of it is known with which `order`, by the "
             "records' timestamps; an older order is late within that time; 0: none is."},
    {.path = "dispatcher.order.items",
     .type = SETTING_INTEGER,
     .offset = TARGET(order_items),
     .default_text = "100000",
     .minimum = 1,
     .maximum = 100000000,
     .help = "Items whose order is remembered for each input partition; beyond it those are "
             "forgotten that were told of longest ago. About 130 bytes each."},
    {.path = "dispatcher.review.window",
     .type = SETTING_DURATION,
     .offset = TARGET(review_window_ms),
     .default_text = "7d",
     .maximum = INT64_C(3660) * 86400000,
     .help = "An open review that nothing closed counts as forgotten after this; 0: every event "
             "alerts again."},
    {.path = "dispatcher.review.tasks",
     .type = SETTING_INTEGER,
     .offset = TARGET(review_tasks),
     .default_text = "100000",
     .minimum = 1,
     .maximum = 100000000,
     .help = "Tasks with open reviews remembered for each input partition; beyond it an alert may "
             "be repeated. Likewise for each partition of the log of reviews; beyond it a review "
             "has no life."},
    {.path = "dispatcher.review.per_task",
     .type = SETTING_INTEGER,
     .offset = TARGET(reviews_per_task),
     .default_text = "16",
     .minimum = 1,
     .maximum = 1000,
     .help = "Open reviews (queue and reason) remembered for each task; beyond it an alert may be "
             "repeated."},
    {.path = "dispatcher.review.closed_by",
     .type = SETTING_LIST,
     .offset = TARGET(review_closed_by),
     .default_text = "review.completed",
     .maximum = 100,
     .help = "Events that close all open reviews of their task, by name."},
    {.path = "dispatcher.review.log",
     .type = SETTING_STRING,
     .offset = TARGET(review_log),
     .maximum = KAFKA_TOPIC_LIMIT,
     .help = "The topic of people's commands about reviews, which gives reviews a life: claimed, "
             "released, decided (reviews.log, say; deploy/docs/reviews.md). None if left out: "
             "alerts are all that there is. Gateways: gateway.client_events.review_log."},
    {.path = "dispatcher.review.log_partitions",
     .type = SETTING_INTEGER,
     .offset = TARGET(review_log_partitions),
     .default_text = "8",
     .minimum = 1,
     .maximum = 1000,
     .help = "How many partitions that topic has. It is made with so many, and must never have "
             "others: they say where each review has its home."},
    {.path = "dispatcher.review.decisions_topic",
     .type = SETTING_STRING,
     .offset = TARGET(review_decisions_topic),
     .default_text = "reviews.decisions",
     .maximum = KAFKA_TOPIC_LIMIT,
     .help = "Where decisions are written, each once, as CloudEvents. Used if there is a log."},
    {.path = "dispatcher.review.timers",
     .type = SETTING_BOOLEAN,
     .offset = TARGET(review_timers),
     .default_text = "false",
     .help = "Whether reviews that open have timers: review.late, an event for rules, when one is "
             "due, and the end of claims. Needs dispatcher.review.log; the same for all "
             "dispatchers of the group."},
    {.path = "dispatcher.review.claim_time",
     .type = SETTING_DURATION,
     .offset = TARGET(review_claim_ms),
     .default_text = "0",
     .maximum = INT64_C(3660) * 86400000,
     .help = "A claim is over after this, and the review open again; 0: it never is. Needs "
             "dispatcher.review.timers."},
    {.path = "dispatcher.review.remind",
     .type = SETTING_DURATION,
     .offset = TARGET(review_remind_ms),
     .default_text = "0",
     .maximum = INT64_C(3660) * 86400000,
     .help = "A review that is late is told to be late once more after this, and so on; 0: it is "
             "told once. Needs dispatcher.review.timers."},
    {.path = "dispatcher.review.reminders",
     .type = SETTING_INTEGER,
     .offset = TARGET(review_reminders),
     .default_text = "3",
     .maximum = 1000,
     .help = "How often a late review is told to be late once more."},
    {.path = "dispatcher.redrive.attempts",
     .type = SETTING_INTEGER,
     .offset = TARGET(redrive_attempts),
     .default_text = "3",
     .minimum = 1,
     .maximum = 1000,
     .help = "A dead letter that was sent again so often and came back is not sent any more."},
    {.path = "dispatcher.batch.events",
     .type = SETTING_INTEGER,
     .offset = TARGET(batch_events),
     .default_text = "2000",
     .minimum = 1,
     .maximum = 100000,
     .help = "Records of one transaction at most."},
    {.path = "dispatcher.batch.bytes",
     .type = SETTING_SIZE,
     .offset = TARGET(batch_bytes),
     .default_text = "16MiB",
     .minimum = 1024,
     .maximum = INT64_C(1024) * 1024 * 1024,
     .help = "A transaction whose records (keys and values) have this many bytes takes no more; "
             "the last one may go beyond it."},
    {.path = "dispatcher.batch.time",
     .type = SETTING_DURATION,
     .offset = TARGET(batch_ms),
     .default_text = "10ms",
     .minimum = 1,
     .maximum = 5000,
     .help = "A transaction begins at the latest this long after its first event was read; at once "
             "if no more is there."},
    {.path = "dispatcher.batch.gap",
     .type = SETTING_DURATION,
     .offset = TARGET(commit_gap_ms),
     .default_text = "2ms",
     .maximum = 1000,
     .help = "Time between the end of a transaction and the beginning of the next: a broker "
             "answers one that comes "
             "sooner with an error that costs more."},
    {.path = "dispatcher.read_stall",
     .type = SETTING_DURATION,
     .offset = TARGET(stall_ms),
     .default_text = "5s",
     .minimum = 1000,
     .maximum = 3600000,
     .help = "A partition that grows, and of which nothing comes for so long, is read anew."},
    {.path = "dispatcher.topics.create",
     .type = SETTING_BOOLEAN,
     .offset = TARGET(create_topics),
     .default_text = "true",
     .help = "Create missing topics; false: wait for them."},
    {.path = "dispatcher.topics.replication",
     .type = SETTING_INTEGER,
     .offset = TARGET(replication_factor),
     .default_text = "-1",
     .minimum = -1,
     .maximum = 100,
     .help = "Replication factor of topics it creates; -1: the broker's default."},
    {.path = "dispatcher.limits.event_size",
     .type = SETTING_SIZE,
     .offset = TARGET(event_bytes),
     .default_text = "512KiB",
     .minimum = 1024,
     .maximum = INT64_C(64) * 1024 * 1024,
     .help = "A larger record goes to the dead-letter topic."},
    {.path = "dispatcher.limits.events_per_record",
     .type = SETTING_INTEGER,
     .offset = TARGET(events_per_record),
     .default_text = "1000",
     .minimum = 1,
     .maximum = 100000,
     .help = "A batch of more CloudEvents goes to the dead-letter topic as it is."},
    {.path = "dispatcher.limits.notification_size",
     .type = SETTING_SIZE,
     .offset = TARGET(notification_bytes),
     .default_text = "900KiB",
     .minimum = 1024,
     .maximum = INT64_C(64) * 1024 * 1024,
     .help = "An event that would lead to a larger notification goes to the dead-letter topic. "
             "Keep it below the "
             "producer's message.max.bytes and the topics' max.message.bytes."},
    {.path = "dispatcher.limits.rooms_per_event",
     .type = SETTING_INTEGER,
     .offset = TARGET(rooms_per_event),
     .default_text = "100",
     .minimum = 1,
     .maximum = 10000,
     .help = "An event that would go to more rooms goes to the dead-letter topic."},
    {.path = "dispatcher.limits.rooms_per_list",
     .type = SETTING_INTEGER,
     .offset = TARGET(rooms_per_list),
     .default_text = "100",
     .minimum = 1,
     .maximum = 10000,
     .help = "A room template makes a room of each element of a list; an event with a longer list "
             "goes to the dead-letter topic."},
    {.path = "dispatcher.limits.values",
     .type = SETTING_INTEGER,
     .offset = TARGET(values),
     .default_text = "100000",
     .minimum = 1,
     .maximum = 10000000,
     .help =
         "An event with more values at paths that patterns name goes to the dead-letter topic."},
    {.path = "dispatcher.limits.steps",
     .type = SETTING_INTEGER,
     .offset = TARGET(steps),
     .default_text = "2000000",
     .minimum = 1000,
     .maximum = INT64_C(1000000000000),
     .help = "An event that takes more steps to judge goes to the dead-letter topic; it says at "
             "which rule. A step is a value put to a condition, some nanoseconds: 1,000 rules of "
             "numeric ranges and an event of 200 numbers take up to 400,000."},
    {.path = "dispatcher.limits.hops",
     .type = SETTING_INTEGER,
     .offset = TARGET(hops),
     .default_text = "3",
     .maximum = PIPELINE_HOPS_MAX,
     .help =
         "An event that has been through dispatchers more often goes to the dead-letter topic."},
    {.path = "dispatcher.http.address",
     .type = SETTING_STRING,
     .offset = TARGET(http_address),
     .default_text = "127.0.0.1",
     .help = "Where /livez, /readyz and /metrics listen: for this machine alone by default; \"::\" "
             "is all addresses."},
    {.path = "dispatcher.http.port",
     .type = SETTING_INTEGER,
     .offset = TARGET(http_port),
     .default_text = "9091",
     .maximum = 65535,
     .help = "The port for /livez, /readyz and /metrics; 0: any free one."},
};

struct config_group settings_group(struct settings *settings)
{
    return (struct config_group){
        .settings = table, .count = sizeof(table) / sizeof(table[0]), .target = settings};
}

/* Decisions may be events for rules: they are read with the input then. */
static bool is_input(const struct settings *settings, const char *topic)
{
    for (size_t i = 0; i < settings->input_topics.count; i++)
        if (strcmp(topic, settings->input_topics.items[i]) == 0)
            return true;
    return false;
}

static void check_dispatcher_topics(const struct settings *settings, const struct layout *layout,
                                    struct problems *problems)
{
    bool keeps_reviews = settings->review_log != NULL;
    const char *decisions = keeps_reviews && !is_input(settings, settings->review_decisions_topic)
                                ? settings->review_decisions_topic
                                : NULL;
    const struct topic_use others[] = {
        {"dispatcher.dead_letter_topic", settings->dead_letter_topic},
        {"dispatcher.audit_topic", settings->audit == AUDIT_OFF ? NULL : settings->audit_topic},
        {"dispatcher.state_topic", settings->state_topic},
        {"dispatcher.review.log", settings->review_log},
        {"dispatcher.review.decisions_topic", decisions},
    };
    struct topic_use uses[TOPICS_MOST];
    size_t count = 0;
    assert(settings->input_topics.count <= INPUT_TOPICS_MOST); /* the table */
    for (; count < settings->input_topics.count; count++)
        uses[count] =
            (struct topic_use){"dispatcher.input_topics", settings->input_topics.items[count]};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        uses[count++] = others[i];
    topic_uses_check(uses, count, layout, problems);
}

static void check_reviews(const struct settings *settings, struct problems *problems)
{
    if (settings->delivery == DELIVERY_AT_LEAST_ONCE)
        problems_add(problems, 0, 0,
                     "dispatcher.review.log: who has a review is decided in transactions, which "
                     "dispatcher.delivery at-least-once does without");
    if (settings->notification_bytes < REVIEW_UPDATE_BYTES)
        problems_add(
            problems, 0, 0,
            "dispatcher.limits.notification_size: an update of a review has up to %d bytes",
            REVIEW_UPDATE_BYTES);
}

static void check_review_timers(const struct settings *settings, struct problems *problems)
{
    if (settings->review_timers && !settings->review_log)
        problems_add(problems, 0, 0,
                     "dispatcher.review.timers: reviews have none without dispatcher.review.log");
    if (!settings->review_timers &&
        (settings->review_claim_ms > 0 || settings->review_remind_ms > 0))
        problems_add(
            problems, 0, 0,
            "dispatcher.review.timers: without it dispatcher.review.claim_time and .remind "
            "do nothing");
}

/* Told now and not with the first large event, which would be a dead letter for no fault of its
 * own. */
void settings_finish(struct settings *settings, const struct shared_config *shared,
                     struct problems *problems)
{
    int64_t most = shared->kafka ? kafka_settings_message_bytes(shared->kafka) : INT64_MAX;
    if (settings->notification_bytes >= most)
        problems_add(problems, 0, 0,
                     "dispatcher.limits.notification_size: a record of that size is above "
                     "kafka.producer.message.max.bytes (%lld), which has to be raised, as "
                     "max.message.bytes of the topics",
                     (long long)most);
    /* An empty text is how a variable switches it off. */
    if (settings->review_log && settings->review_log[0] == '\0')
        settings->review_log = NULL;
    if (settings->review_log)
        check_reviews(settings, problems);
    check_dispatcher_topics(settings, shared->layout, problems);
    input_types_read(&settings->content_types, settings->content_types_node,
                     &settings->input_topics, problems);
    check_review_timers(settings, problems);
}

/* The seed is not a setting: the runner adds it. */
struct pipeline_settings settings_pipeline(const struct settings *settings,
                                           const struct layout *layout)
{
    return (struct pipeline_settings){
        .layout = layout,
        .limits =
            {
                .event_bytes = (size_t)settings->event_bytes,
                .notification_bytes = (size_t)settings->notification_bytes,
                .events_per_record = (unsigned)settings->events_per_record,
                .rooms_per_event = (unsigned)settings->rooms_per_event,
                .rooms_per_list = (unsigned)settings->rooms_per_list,
                .hops = (unsigned)settings->hops,
                .values = (unsigned)settings->values,
                .steps = (uint64_t)settings->steps,
            },
        .dead_letter_topic = settings->dead_letter_topic,
        .audit_topic = settings->audit_topic,
        .audit = (enum audit_level)settings->audit,
        .review_closed_by = (const char *const *)settings->review_closed_by.items,
        .review_closed_by_count = settings->review_closed_by.count,
        .review_log = settings->review_log,
        .review_log_partitions = (int32_t)settings->review_log_partitions,
        .review_decisions_topic = settings->review_decisions_topic,
        .review_times = {.fire = settings->review_timers,
                         .claim_ms = settings->review_claim_ms,
                         .remind_ms = settings->review_remind_ms,
                         .reminders = (uint32_t)settings->review_reminders},
    };
}

struct partition_state_settings settings_partition_state(const struct settings *settings)
{
    return (struct partition_state_settings){
        .dedupe_window_ms = settings->dedupe_window_ms,
        .dedupe_entries = (size_t)settings->dedupe_entries,
        .review_window_ms = settings->review_window_ms,
        .review_tasks = (size_t)settings->review_tasks,
        .reviews_per_task = (size_t)settings->reviews_per_task,
        .order_window_ms = settings->order_window_ms,
        .order_items = (size_t)settings->order_items,
    };
}
