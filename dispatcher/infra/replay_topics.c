/* The part of each partition that is meant is settled first, by the broker's index of times; so a
 * run that is done again over the same offsets reads the same records, however much has come
 * meanwhile. What a transaction has not committed is passed over, as by dispatchers. */
#include "replay_topics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "consumer.h"
#include "json.h"
#include "kafka_oidc.h"
#include "log.h"
#include "mem.h"
#include "replay.h"
#include "topics.h"

enum { REQUEST_TIME_MS = 10000, POLL_TIME_MS = 100, SILENCE_TIME_MS = 30000, TAKE_MOST = 1000 };

/* What is read of one partition: offsets, the last one excluded. */
struct stretch {
    const char *topic; /* of the settings */
    int32_t partition;
    int64_t from;
    int64_t to;
    bool done;
};

struct reading {
    const struct replay_options *options;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct stretch *stretches;
    size_t count;
    size_t open; /* not done */
    struct arena arena;
    struct replay *replay;
};

/* When so much waits here, librdkafka fetches no more, and looks again after up to a second (2.0 has no
 * setting for it). So it holds more than is judged in a second, or each second begins with waiting. */
static void read_ahead(rd_kafka_conf_t *conf)
{
    static const struct {
        const char *name, *by_default, *wanted;
    } settings[] = {{"queued.max.messages.kbytes", "65536", "262144"},
                    {"queued.min.messages", "100000", "1000000"}};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char value[32];
        size_t size = sizeof(value);
        if (rd_kafka_conf_get(conf, settings[i].name, value, &size) == RD_KAFKA_CONF_OK &&
            strcmp(value, settings[i].by_default) == 0) /* else somebody knows better */
            kafka_conf_set(conf, settings[i].name, settings[i].wanted);
    }
}

static enum status open_client(struct reading *reading, struct error *error)
{
    char text[512];
    rd_kafka_conf_t *conf =
        kafka_settings_conf(reading->options->kafka, KAFKA_ROLE_CONSUMER, "dispatcher");
    kafka_conf_set(conf, "group.id", "smartstack-dispatcher-replay"); /* never joined */
    kafka_conf_set(conf, "enable.auto.commit", "false");
    kafka_conf_set(conf, "enable.partition.eof", "true");
    kafka_conf_set(conf, "isolation.level", "read_committed");
    kafka_conf_set(conf, "auto.offset.reset", "earliest");
    read_ahead(conf);
    reading->client = kafka_oidc_new_client(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!reading->client) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, STATUS_FATAL, "Kafka consumer: %s", text);
    }
    rd_kafka_poll_set_consumer(reading->client);
    reading->queue = rd_kafka_queue_get_consumer(reading->client);
    return STATUS_OK;
}

static void close_client(struct reading *reading)
{
    if (!reading->client)
        return;
    rd_kafka_queue_destroy(reading->queue);
    (void)rd_kafka_consumer_close(reading->client);
    rd_kafka_destroy(reading->client);
}

/* --- Which offsets ----------------------------------------------------------------------------- */

static enum status find_bounds(struct reading *reading, struct stretch *stretch,
                               struct error *error)
{
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        reading->client, stretch->topic, stretch->partition, &low, &high, REQUEST_TIME_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(error, STATUS_UNAVAILABLE, "%s: %s", stretch->topic,
                         rd_kafka_err2str(code));
    stretch->from = low;
    stretch->to = high;
    return STATUS_OK;
}

static enum status find_partitions(struct reading *reading, struct error *error)
{
    const struct config_list *topics = &reading->options->settings->input_topics;
    for (size_t i = 0; i < topics->count; i++) {
        int32_t partitions = 0;
        enum status status =
            topics_look_up(reading->client, topics->items[i], REQUEST_TIME_MS, &partitions, error);
        if (status != STATUS_OK)
            return status;
        reading->stretches = mem_resize(reading->stretches, reading->count + (size_t)partitions,
                                        sizeof(struct stretch));
        for (int32_t k = 0; k < partitions; k++) {
            struct stretch *stretch = &reading->stretches[reading->count++];
            *stretch = (struct stretch){.topic = topics->items[i], .partition = k};
            status = find_bounds(reading, stretch, error);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

/* Of each stretch the first offset whose record is not before a time, if there is one. */
static enum status move_bounds(struct reading *reading, int64_t time_ms, bool is_end,
                               struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reading->count);
    for (size_t i = 0; i < reading->count; i++)
        rd_kafka_topic_partition_list_add(list, reading->stretches[i].topic,
                                          reading->stretches[i].partition)
            ->offset = time_ms > 0 ? time_ms : 0;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(reading->client, list, REQUEST_TIME_MS);
    for (size_t i = 0; i < reading->count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        struct stretch *stretch = &reading->stretches[i];
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, stretch->topic, stretch->partition);
        assert(found);
        code = found->err;
        int64_t offset = found->offset >= 0 ? found->offset : stretch->to; /* none is so late */
        if (is_end && offset < stretch->to)
            stretch->to = offset;
        if (!is_end && offset > stretch->from)
            stretch->from = offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(error, STATUS_UNAVAILABLE, "offsets by time: %s", rd_kafka_err2str(code));
    return STATUS_OK;
}

static enum status find_stretches(struct reading *reading, struct error *error)
{
    const struct replay_options *options = reading->options;
    enum status status = find_partitions(reading, error);
    if (status == STATUS_OK && options->from_ms != INT64_MIN)
        status = move_bounds(reading, options->from_ms, false, error);
    if (status == STATUS_OK && options->to_ms != INT64_MAX)
        status = move_bounds(reading, options->to_ms, true, error);
    for (size_t i = 0; i < reading->count; i++) {
        struct stretch *stretch = &reading->stretches[i];
        if (stretch->from > stretch->to)
            stretch->from = stretch->to;
        stretch->done = stretch->from == stretch->to;
        reading->open += !stretch->done;
    }
    return status;
}

/* --- Reading ----------------------------------------------------------------------------------- */

static enum status assign_stretches(struct reading *reading, struct error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reading->count);
    for (size_t i = 0; i < reading->count; i++)
        if (!reading->stretches[i].done)
            rd_kafka_topic_partition_list_add(list, reading->stretches[i].topic,
                                              reading->stretches[i].partition)
                ->offset = reading->stretches[i].from;
    rd_kafka_resp_err_t code = rd_kafka_assign(reading->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(error, STATUS_UNAVAILABLE, "%s", rd_kafka_err2str(code));
    return STATUS_OK;
}

/* NULL: of no partition that is read. There are as many as partitions, and records come in runs. */
static struct stretch *stretch_of(struct reading *reading, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    for (size_t i = 0; i < reading->count; i++)
        if (reading->stretches[i].partition == message->partition &&
            strcmp(reading->stretches[i].topic, topic) == 0)
            return &reading->stretches[i];
    return NULL;
}

/* Nothing more of it is fetched. */
static void finish_stretch(struct reading *reading, struct stretch *stretch)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    assert(!stretch->done && reading->open > 0);
    stretch->done = true;
    reading->open--;
    rd_kafka_topic_partition_list_add(list, stretch->topic, stretch->partition);
    (void)rd_kafka_pause_partitions(reading->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The end that is told may be before the one that was asked for, if a transaction is open there:
 * what it has not committed is none of the topic's. */
static void take_message(struct reading *reading, struct stretch *stretch,
                         const rd_kafka_message_t *message)
{
    struct record record;
    bool is_record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (is_record && message->offset < stretch->to) {
        arena_reset(&reading->arena);
        consumer_read_record(message, &reading->arena, &record);
        record.content_type =
            input_types_find(&reading->options->settings->content_types, record.topic);
        replay_record(reading->replay, &record);
    }
    if (!is_record || message->offset + 1 >= stretch->to)
        finish_stretch(reading, stretch);
}

static enum status read_stretches(struct reading *reading, struct error *error)
{
    rd_kafka_message_t *messages[TAKE_MOST];
    int64_t heard_ms = monotonic_ms();
    while (reading->open > 0) {
        ssize_t count =
            rd_kafka_consume_batch_queue(reading->queue, POLL_TIME_MS, messages, TAKE_MOST);
        int64_t now_ms = monotonic_ms();
        if (count > 0)
            heard_ms = now_ms;
        for (ssize_t i = 0; i < count; i++) {
            rd_kafka_resp_err_t code = messages[i]->err;
            bool is_news =
                code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__PARTITION_EOF;
            struct stretch *stretch = is_news ? stretch_of(reading, messages[i]) : NULL;
            if (stretch && !stretch->done)
                take_message(reading, stretch, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
        if (*reading->options->stop != 0)
            return error_set(error, STATUS_UNAVAILABLE, "told to stop");
        if (now_ms - heard_ms > SILENCE_TIME_MS)
            return error_set(error, STATUS_UNAVAILABLE, "nothing comes from the broker");
    }
    return STATUS_OK;
}

/* --- Telling ----------------------------------------------------------------------------------- */

static enum status write_replay(const struct reading *reading, FILE *out, struct error *error)
{
    auto_buffer struct buffer text = {0};
    for (size_t i = 0; i < reading->count; i++) {
        const struct stretch *stretch = &reading->stretches[i];
        buffer_append_string(&text, "{\"topic\":");
        json_write_string(&text, bytes_of_string(stretch->topic));
        buffer_append_format(
            &text, ",\"partition\":%" PRId32 ",\"from\":%" PRId64 ",\"to\":%" PRId64 "}\n",
            stretch->partition, stretch->from, stretch->to);
    }
    replay_report(reading->replay, &text);
    if (fwrite(buffer_peek(&text).data, 1, buffer_size(&text), out) != buffer_size(&text) ||
        fflush(out) != 0)
        return error_set(error, STATUS_IO, "the report cannot be written");
    return STATUS_OK;
}

enum status replay_topics(const struct replay_options *options, FILE *out, struct error *error)
{
    struct reading reading = {.options = options};
    const struct pipeline_settings settings = settings_pipeline(options->settings, options->layout);
    int64_t began_ms = monotonic_ms();
    reading.replay = replay_new(&settings, options->before, options->after);
    enum status status = open_client(&reading, error);
    if (status == STATUS_OK)
        status = find_stretches(&reading, error);
    if (status == STATUS_OK)
        status = assign_stretches(&reading, error);
    if (status == STATUS_OK)
        status = read_stretches(&reading, error);
    if (status == STATUS_OK)
        status = write_replay(&reading, out, error);
    log_info("replayed", LOG_UNSIGNED("events", replay_event_count(reading.replay)),
             LOG_INTEGER("ms", monotonic_ms() - began_ms));
    close_client(&reading);
    replay_free(reading.replay);
    arena_deinit(&reading.arena);
    free(reading.stretches);
    return status;
}
