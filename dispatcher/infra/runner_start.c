/* From nothing to a member of the group, and back after the producer was lost.
 *
 * The order matters. The broker is found first, since its kind says which delivery there can be.
 * Then the producer is opened, which fences one that was killed and aborts what it left open: only
 * then is what is committed final, and state and offsets can be read. The group is joined last,
 * when everything that a batch needs is there; a member that is not ready would hold partitions
 * that others could read.
 *
 * Nothing here gives up by itself: a broker that is away is waited for, a setting that can never
 * work is fatal. While it waits the health checks say for what. */
#include <stdio.h>
#include <string.h>

#include "clocks.h"
#include "log.h"
#include "mem.h"
#include "runner_private.h"

enum {
    REQUEST_TIMEOUT_MS = 2000,
    COMMITTED_TIMEOUT_MS = 5000,
    RETRY_MS = 500,
    FENCES_LIMIT = 5,
    FENCE_WINDOW_MS = 60000,
};

/* Once for each reason, however long it lasts. */
static void tell_waiting(struct runner *runner, enum dispatcher_check check, const char *text)
{
    if (dispatcher_health_fail(runner->options.health, check, "%s", text))
        log_warning("waiting", LOG_STRING("reason", text));
}

/* The input may have been given partitions since the start. */
static bool ensure_state(struct runner *runner, int32_t partition)
{
    struct error error = {0};
    const struct topic_request request = {.name = runner->options.settings->state_topic,
                                          .partition_count = partition + 1,
                                          .kind = TOPIC_OF_CHANGES};
    if (!runner->changelog || topics_ensure(runner->topics, &request, &error) == STATUS_OK)
        return true;
    tell_waiting(runner, DISPATCHER_CHECK_TOPICS, error.text);
    runner_pause(runner, RETRY_MS);
    return false;
}

/* What was remembered of a partition is read after its committed offset is known for sure: then all
 * that belongs to what was processed is there. */
static void on_assigned(void *context, rd_kafka_topic_partition_list_t *partitions)
{
    struct runner *runner = context;
    rd_kafka_t *client = consumer_client(runner->consumer);
    while (runner->changelog && !runner_stopped(runner) && partitions->cnt > 0) {
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        if (consumer_find_committed(client, partitions, COMMITTED_TIMEOUT_MS) == STATUS_OK)
            break;
        log_warning("waiting for the committed offsets");
    }
    for (int i = 0; i < partitions->cnt && !runner_stopped(runner); i++) {
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        if (!ensure_state(runner, partitions->elems[i].partition) ||
            state_store_add(runner->store, partitions->elems[i].topic,
                            partitions->elems[i].partition) != STATUS_OK)
            i--; /* again */
        else
            dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_TOPICS);
    }
}

/* Also when they are lost: the group has given them to others, and what we remember of them
 * grows old. */
static void on_revoked(void *context, const rd_kafka_topic_partition_list_t *partitions, bool lost)
{
    struct runner *runner = context;
    (void)lost;
    runner_drop(runner, partitions);
    for (int i = 0; i < partitions->cnt; i++)
        state_store_remove(runner->store, partitions->elems[i].topic,
                           partitions->elems[i].partition);
}

/* After a producer was lost: the last batch may be in the changelog or not. */
bool runner_restore_state(struct runner *runner)
{
    while (!runner_stopped(runner)) {
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        if (state_store_restore(runner->store) == STATUS_OK)
            return true;
        runner_pause(runner, RETRY_MS);
    }
    return false;
}

/* The log of reviews is one more. */
static size_t list_topics(struct runner *runner)
{
    const struct settings *settings = runner->options.settings;
    size_t count = settings->input_topics.count;
    runner->input_topics = mem_resize(runner->input_topics, count + 1, sizeof(const char *));
    memcpy(runner->input_topics, settings->input_topics.items, count * sizeof(const char *));
    if (settings->review_log)
        runner->input_topics[count++] = settings->review_log;
    return count;
}

/* Also in place of one that died: the callbacks and the identity are the same. */
static bool open_consumer(struct runner *runner)
{
    const struct settings *settings = runner->options.settings;
    size_t topic_count = list_topics(runner);
    const struct consumer_options options = {
        .kafka = runner->options.kafka,
        .group = settings->group,
        .instance = runner->identity,
        .topics = runner->input_topics,
        .topic_count = topic_count,
        .first_topic = settings->review_log,
        .events = {.assigned = on_assigned, .revoked = on_revoked, .context = runner},
    };
    while (!runner_stopped(runner)) {
        struct error error = {0};
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        enum status status = consumer_open(&options, &runner->consumer, &error);
        if (status == STATUS_OK)
            return true;
        if (status == STATUS_FATAL)
            runner->fatal = error;
        tell_waiting(runner, DISPATCHER_CHECK_KAFKA, error.text);
        runner_pause(runner, RETRY_MS);
    }
    return false;
}

/* Which kind of broker it is says which kind of delivery there can be. */
static bool find_broker(struct runner *runner, bool *mock)
{
    while (!runner_stopped(runner)) {
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        if (kafka_is_mock(consumer_client(runner->consumer), REQUEST_TIMEOUT_MS, mock) == STATUS_OK)
            break;
        tell_waiting(runner, DISPATCHER_CHECK_KAFKA, "no broker can be reached");
    }
    if (runner_stopped(runner))
        return false;
    dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_KAFKA);
    if (*mock)
        log_warning("the embedded broker has no transactions: notifications are published at least "
                    "once, and are lost with it");
    return true;
}

/* Fencing another producer is part of it: of two dispatchers with one slot the later one works,
 * and the earlier one counts its fences (count_fence()). */
static bool open_producer(struct runner *runner)
{
    while (!runner_stopped(runner)) {
        struct error error = {0};
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        enum status status = producer_open(runner->producer, REQUEST_TIMEOUT_MS, &error);
        if (status == STATUS_OK) {
            dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_PRODUCER);
            return true;
        }
        if (status == STATUS_FATAL)
            runner->fatal = error;
        tell_waiting(runner, DISPATCHER_CHECK_PRODUCER, error.text);
        runner_pause(runner, RETRY_MS);
    }
    return false;
}

/* The reason, or NULL: all input topics are there. */
static const char *missing_input(struct runner *runner, struct error *error)
{
    const struct config_list *topics = &runner->options.settings->input_topics;
    for (size_t i = 0; i < topics->count; i++) {
        int32_t count = 0;
        if (topics_look_up(consumer_client(runner->consumer), topics->items[i], REQUEST_TIMEOUT_MS,
                           &count, error) != STATUS_OK)
            return error->text;
        if (count > runner->input_partitions)
            runner->input_partitions = count;
    }
    if (runner->options.settings->review_log &&
        runner->options.settings->review_log_partitions > runner->input_partitions)
        runner->input_partitions = (int32_t)runner->options.settings->review_log_partitions;
    return NULL;
}

/* The reason, or NULL: the log of reviews, if there is to be one, has the partitions that it should
 * have, no fewer and no more: by their number each review has its home, for gateways, too. */
static const char *missing_log(struct runner *runner, struct error *error)
{
    const struct settings *settings = runner->options.settings;
    int32_t wanted = (int32_t)settings->review_log_partitions;
    int32_t count = 0;
    const struct topic_request requests[] = {
        {.name = settings->review_log, .partition_count = wanted, .kind = TOPIC_OF_REVIEWS},
        {.name = settings->review_decisions_topic, .created_count = wanted},
    };
    if (!settings->review_log)
        return NULL;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        if (topics_ensure(runner->topics, &requests[i], error) != STATUS_OK)
            return error->text;
    if (topics_look_up(consumer_client(runner->consumer), settings->review_log, REQUEST_TIMEOUT_MS,
                       &count, error) != STATUS_OK)
        return error->text;
    if (count == wanted)
        return NULL;
    error_set(error, STATUS_INVALID,
              "topic %s has %d partitions, and dispatcher.review.log_partitions is %d",
              settings->review_log, (int)count, (int)wanted);
    return error->text;
}

/* The reason, or NULL: the state topics are there of all topics with a fixed name in which the
 * rules in force tell of items. Others are made when they are needed. */
static const char *missing_state(struct runner *runner, struct error *error)
{
    const struct layout *layout = runner->options.layout;
    uint64_t kinds = rule_set_item_kinds(pipeline_rules(runner->pipeline), layout);
    if (runner->options.settings->review_log) /* updates of reviews are about items */
        kinds |= rule_set_review_kinds(layout);
    for (size_t i = 0; runner->keeps_items && i < layout_topic_count(layout); i++) {
        const struct layout_topic *topic = layout_topic_at(layout, i);
        char name[KAFKA_TOPIC_LIMIT + 1];
        const struct topic_request request = {
            .name = name, .partition_count = topic->partition_count, .kind = TOPIC_OF_ITEMS};
        if (topic->pattern || !(topic->kinds & kinds))
            continue;
        snprintf(name, sizeof(name), "%s" LAYOUT_STATE_SUFFIX, topic->name);
        if (topics_ensure(runner->topics, &request, error) != STATUS_OK)
            return error->text;
    }
    return NULL;
}

/* The reason, or NULL: all topics with a fixed name that we produce to are there. */
static const char *missing_output(struct runner *runner, struct error *error)
{
    const struct settings *settings = runner->options.settings;
    const struct layout *layout = runner->options.layout;
    const struct topic_request own[] = {
        {.name = runner->changelog ? settings->state_topic : NULL,
         .partition_count = runner->input_partitions,
         .kind = TOPIC_OF_CHANGES},
        {.name = settings->dead_letter_topic, .created_count = 1},
        {.name = settings->audit == AUDIT_OFF ? NULL : settings->audit_topic, .created_count = 4},
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (own[i].name && topics_ensure(runner->topics, &own[i], error) != STATUS_OK)
            return error->text;
    for (size_t i = 0; i < layout_topic_count(layout); i++) {
        const struct layout_topic *topic = layout_topic_at(layout, i);
        const struct topic_request request = {.name = topic->name,
                                              .partition_count = topic->partition_count};
        if (!topic->pattern && topics_ensure(runner->topics, &request, error) != STATUS_OK)
            return error->text;
    }
    return missing_state(runner, error);
}

/* The input is only looked for, never created: how many partitions it has is its owner's to say. */
static bool wait_for_topics(struct runner *runner)
{
    while (!runner_stopped(runner)) {
        struct error error = {0};
        dispatcher_health_alive(runner->options.health, monotonic_ms());
        const char *missing = missing_input(runner, &error);
        if (!missing)
            missing = missing_log(runner, &error);
        if (!missing)
            missing = missing_output(runner, &error);
        if (!missing) {
            dispatcher_health_pass(runner->options.health, DISPATCHER_CHECK_TOPICS);
            return true;
        }
        tell_waiting(runner, DISPATCHER_CHECK_TOPICS, missing);
        runner_pause(runner, RETRY_MS);
    }
    return false;
}

/* The embedded broker makes topics by itself. */
static void make_topics(struct runner *runner, bool mock)
{
    const struct topics_options options = {
        .client = producer_client(runner->producer),
        .create = runner->options.settings->create_topics && !mock,
        .replication_factor = (int)runner->options.settings->replication_factor,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .state_retention_ms = runner->options.state_retention_ms,
    };
    /* Its topics hold little, are not compacted, and go with it: lanes say as much. */
    runner->keeps_items = runner->options.state_retention_ms > 0 && !mock;
    pipeline_keep_items(runner->pipeline, runner->keeps_items);
    runner->topics = topics_new(&options);
}

/* Without transactions nothing is kept over a restart: a changelog that is not committed with
 * the outputs would claim that events were processed which were not. */
static bool open_state_store(struct runner *runner, bool kept)
{
    const struct settings *settings = runner->options.settings;
    bool wanted =
        settings->dedupe_window_ms > 0 || settings->review_window_ms > 0 || settings->review_log;
    if (kept && wanted &&
        changelog_open(runner->options.kafka, settings->state_topic, &runner->changelog,
                       &runner->fatal) != STATUS_OK)
        return false;
    struct state_store_options options = {
        .settings = settings_partition_state(settings),
        .group = settings->group,
        .topic = settings->state_topic,
        .changelog = runner->changelog,
        .malformed = runner->options.metrics->state_malformed,
        .stop = runner->options.stop,
    };
    options.settings.hash_seed = runner->hash_seed;
    runner->store = state_store_new(&options);
    return true;
}

/* The name of group and slot is the same over restarts, and with it the transactional id: that
 * is how a new process ends the transaction of the one that was killed. */
bool runner_start(struct runner *runner)
{
    const struct settings *settings = runner->options.settings;
    bool mock = false;
    snprintf(runner->identity, sizeof(runner->identity), "%s-%s", settings->group, settings->slot);
    if (!open_consumer(runner) || !find_broker(runner, &mock))
        return false;
    bool exactly_once = settings->delivery == DELIVERY_EXACTLY_ONCE ||
                        (settings->delivery == DELIVERY_AUTO && !mock);
    if (settings->review_log && !exactly_once) {
        error_set(&runner->fatal, STATUS_FATAL,
                  "dispatcher.review.log: who has a review is decided in transactions, which this "
                  "broker does not have");
        return false;
    }
    const struct producer_options options = {
        .kafka = runner->options.kafka,
        .transactional_id = exactly_once ? runner->identity : NULL,
    };
    runner->producer = producer_new(&options);
    if (!open_state_store(runner, exactly_once) || !open_producer(runner))
        return false;
    make_topics(runner, mock);
    if (!wait_for_topics(runner))
        return false;
    dispatcher_health_fail(runner->options.health, DISPATCHER_CHECK_GROUP, "joining group %s",
                           settings->group);
    if (consumer_join(runner->consumer, &runner->fatal) != STATUS_OK)
        return false;
    log_info("started", LOG_STRING("group", settings->group), LOG_STRING("slot", settings->slot),
             LOG_STRING("delivery", exactly_once ? "exactly-once" : "at-least-once"),
             LOG_BYTES("rules", rule_set_revision(pipeline_rules(runner->pipeline))));
    return true;
}

/* False: too often. Being fenced once is normal (the broker may see a request of ours twice);
 * two dispatchers with one slot fence each other for ever, each making the other start anew, and
 * must stop. */
static bool count_fence(struct runner *runner, struct fences *fences, const char *what)
{
    int64_t now_ms = monotonic_ms();
    if (now_ms - fences->since_ms > FENCE_WINDOW_MS)
        *fences = (struct fences){.since_ms = now_ms};
    if (++fences->count <= FENCES_LIMIT)
        return true;
    error_set(&runner->fatal, STATUS_FATAL,
              "%s %s was taken by another %u times in a minute: is there another dispatcher with "
              "slot %s?",
              what, runner->identity, fences->count, runner->options.settings->slot);
    return false;
}

/* The batch goes first: its records belong to a member that is no more. */
bool runner_replace_consumer(struct runner *runner)
{
    runner_forget(runner);
    consumer_abandon(runner->consumer); /* its partitions are revoked */
    runner->consumer = NULL;
    return open_consumer(runner) && consumer_join(runner->consumer, &runner->fatal) == STATUS_OK;
}

/* A fatal error of the client cannot be mended within it. */
bool runner_keep_consumer(struct runner *runner)
{
    char text[256];
    const char *reason = consumer_fatal(runner->consumer, text, sizeof(text));
    if (!reason)
        return true;
    log_warning("consumer lost, opening another", LOG_STRING("reason", reason));
    return count_fence(runner, &runner->consumer_fences, "the group member's name") &&
           runner_replace_consumer(runner);
}

/* The topics' client was the old producer's handle. */
bool runner_reopen_producer(struct runner *runner)
{
    metric_counter_add(runner->options.metrics->reopened, 1);
    if (!count_fence(runner, &runner->producer_fences, "the transactional id") ||
        !open_producer(runner))
        return false;
    topics_use_client(runner->topics, producer_client(runner->producer));
    return wait_for_topics(runner);
}
