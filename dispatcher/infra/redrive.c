/* Dead letters, sent again to where they came from or shown to a person.
 *
 * Sending again is a small dispatcher of its own: a member of a group of its own reads the
 * dead-letter topic, and each letter goes, with its offset, in one transaction: back to its topic
 * and partition if it is meant, to the end of the dead-letter topic if it is not. So a run that is
 * killed has sent each letter once or not at all, and the next run goes on behind it.
 *
 * Only what was there when the run began is taken (`ends`): letters that were put back, or have
 * failed again meanwhile, would otherwise keep it going for ever. */
#include "redrive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clocks.h"
#include "consumer.h"
#include "dead_letter.h"
#include "dead_letter_filter.h"
#include "log.h"
#include "mem.h"
#include "producer.h"
#include "topics.h"

enum { BATCH_LIMIT = 500, POLL_MS = 100, QUIET_MS = 2000, JOIN_MS = 60000, REQUEST_MS = 5000 };

struct drive {
    struct redrive_options options;
    const char *topic; /* of the dead letters */
    char group[256];
    char identity[SETTINGS_IDENTITY_SIZE];
    struct consumer *consumer;
    struct producer *producer;
    rd_kafka_topic_partition_list_t *ends; /* of the dead-letter topic when it began */
    rd_kafka_message_t *messages[BATCH_LIMIT];
    size_t count;
    struct batch batch;
    int sources[BATCH_LIMIT];
    char origin[256]; /* the topic that was looked up last */
    int32_t origin_partitions;
    uint64_t sent;
    uint64_t kept;      /* not meant */
    uint64_t exhausted; /* sent too often */
    uint64_t skipped;   /* cannot be sent */
};

/* No state belongs to a partition of dead letters. */
static void ignore_assigned(void *context, rd_kafka_topic_partition_list_t *partitions)
{
    (void)context;
    (void)partitions;
}

static void ignore_revoked(void *context, const rd_kafka_topic_partition_list_t *partitions,
                           bool lost)
{
    (void)context;
    (void)partitions;
    (void)lost;
}

static enum status find_ends(struct drive *drive, struct error *error)
{
    const char *topic = drive->options.settings->dead_letter_topic;
    rd_kafka_t *client = consumer_client(drive->consumer);
    int32_t count = 0;
    enum status status = topics_look_up(client, topic, REQUEST_MS, &count, error);
    drive->ends = rd_kafka_topic_partition_list_new(count > 0 ? count : 1);
    for (int32_t i = 0; i < count && status == STATUS_OK; i++) {
        int64_t low;
        int64_t high;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, REQUEST_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = error_set(error, STATUS_UNAVAILABLE, "%s: %s", topic, rd_kafka_err2str(code));
        else
            rd_kafka_topic_partition_list_add(drive->ends, topic, i)->offset = high;
    }
    return status;
}

/* The group is not that of the dispatchers: their offsets have nothing to do with these. */
static enum status open_reader(struct drive *drive, struct error *error)
{
    const struct settings *settings = drive->options.settings;
    drive->topic = settings->dead_letter_topic;
    snprintf(drive->group, sizeof(drive->group), "%s-redrive", settings->group);
    snprintf(drive->identity, sizeof(drive->identity), "%s-%s", drive->group, settings->slot);
    const struct consumer_options options = {
        .kafka = drive->options.kafka,
        .group = drive->group,
        .instance = drive->identity,
        .topics = &drive->topic,
        .topic_count = 1,
        .events = {.assigned = ignore_assigned, .revoked = ignore_revoked, .context = drive},
    };
    return consumer_open(&options, &drive->consumer, error);
}

/* The embedded broker has no transactions; there a letter may be sent twice when a run is
 * killed. */
static enum status open_redrive_clients(struct drive *drive, struct error *error)
{
    bool mock = false;
    enum status status = open_reader(drive, error);
    if (status != STATUS_OK)
        return status;
    if (kafka_is_mock(consumer_client(drive->consumer), REQUEST_MS, &mock) != STATUS_OK)
        return error_set(error, STATUS_UNAVAILABLE, "no broker can be reached");
    const struct producer_options producer = {.kafka = drive->options.kafka,
                                              .transactional_id = mock ? NULL : drive->identity};
    drive->producer = producer_new(&producer);
    status = producer_open(drive->producer, JOIN_MS, error);
    if (status == STATUS_OK)
        status = find_ends(drive, error);
    return status == STATUS_OK ? consumer_join(drive->consumer, error) : status;
}

/* 0: there is no such topic. Asked of the producer's connection: a consumer's is busy waiting for
 * records. */
static int32_t partitions_of(struct drive *drive, const char *topic)
{
    if (strcmp(topic, drive->origin) == 0)
        return drive->origin_partitions;
    int32_t count = 0;
    if (topics_look_up(producer_client(drive->producer), topic, REQUEST_MS, &count, NULL) !=
        STATUS_OK)
        return 0;
    snprintf(drive->origin, sizeof(drive->origin), "%s", topic);
    drive->origin_partitions = count;
    return count;
}

/* Where the letter came from. False: it doesn't say, that topic is gone, or the value was left out.
 */
static bool find_origin(struct drive *drive, const struct dead_letter_view *letter,
                        const char **topic)
{
    if (letter->topic.size == 0 || letter->partition < 0 || letter->value_bytes >= 0)
        return false;
    *topic = (const char *)arena_copy(&drive->batch.arena, letter->topic).data;
    return letter->partition < partitions_of(drive, *topic);
}

/* A number in decimal, in the batch's arena. */
static struct bytes decimal(struct drive *drive, uint64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%" PRIu64, number);
    return arena_copy(&drive->batch.arena, bytes_of(text, (size_t)size));
}

/* The headers of the event as it was, and how often it is sent again. */
static size_t event_headers(struct drive *drive, const struct record *record,
                            const struct dead_letter_view *letter, struct record_header *headers)
{
    size_t count = 0;
    for (size_t i = 0; i < record->header_count; i++)
        if (!dead_letter_owns_header(record->headers[i].name) &&
            !bytes_equal_string(record->headers[i].name, DEAD_LETTER_HEADER_ATTEMPTS))
            headers[count++] = record->headers[i];
    headers[count++] = (struct record_header){BYTES_LITERAL(DEAD_LETTER_HEADER_ATTEMPTS),
                                              decimal(drive, letter->attempts + 1)};
    return count;
}

/* All headers, and the time that the letter is from. */
static size_t letter_headers(struct drive *drive, const struct record *record,
                             const struct dead_letter_view *letter, struct record_header *headers)
{
    size_t count = 0;
    for (size_t i = 0; i < record->header_count; i++)
        if (!bytes_equal_string(record->headers[i].name, DEAD_LETTER_HEADER_TIME))
            headers[count++] = record->headers[i];
    if (letter->time_ms >= 0)
        headers[count++] = (struct record_header){BYTES_LITERAL(DEAD_LETTER_HEADER_TIME),
                                                  decimal(drive, (uint64_t)letter->time_ms)};
    return count;
}

static void add_output(struct drive *drive, size_t index, const struct record *record,
                       const struct dead_letter_view *letter, const char *origin)
{
    struct record_header *headers =
        arena_raw(&drive->batch.arena, (record->header_count + 1) * sizeof(struct record_header));
    bool sends = origin != NULL;
    struct output *output = batch_add(&drive->batch);
    drive->sources[drive->batch.output_count - 1] = (int)index;
    *output = (struct output){
        .topic = sends ? origin : drive->options.settings->dead_letter_topic,
        .partition = sends ? (int32_t)letter->partition : record->partition,
        .key = record->key,
        .has_key = record->has_key,
        .value = record->value,
        .has_value = record->has_value,
        .headers = headers,
        .header_count = sends ? event_headers(drive, record, letter, headers)
                              : letter_headers(drive, record, letter, headers),
    };
}

/* A letter that has come back so often will come back again: it stays until somebody looks at
 * it. */
static bool is_exhausted(const struct drive *drive, const struct dead_letter_view *letter)
{
    return letter->attempts >= (uint64_t)drive->options.settings->redrive_attempts;
}

/* Every letter that is read gets an output, or it would be gone with the commit of its offset:
 * one that is not meant is written again. Only what cannot be sent at all is passed over, with a
 * line in the log. */
static void make_output(struct drive *drive, size_t index)
{
    struct record record;
    struct dead_letter_view letter;
    const char *origin = NULL;
    consumer_read_record(drive->messages[index], &drive->batch.arena, &record);
    dead_letter_read(&record, &letter);
    if (!dead_letter_matches(&drive->options.filter, &record, &letter)) {
        drive->kept++;
    } else if (is_exhausted(drive, &letter)) {
        drive->exhausted++;
    } else if (find_origin(drive, &letter, &origin)) {
        drive->sent++;
    } else {
        drive->skipped++;
        log_warning("dead letter cannot be sent again", LOG_INTEGER("partition", record.partition),
                    LOG_INTEGER("offset", record.offset));
        return;
    }
    add_output(drive, index, &record, &letter, origin);
}

/* Of all letters of the batch, also of those without an output. */
static rd_kafka_topic_partition_list_t *redrive_offsets(const struct drive *drive)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    for (size_t i = 0; i < drive->count; i++) {
        const rd_kafka_message_t *message = drive->messages[i];
        const char *topic = rd_kafka_topic_name(message->rkt);
        rd_kafka_topic_partition_t *element =
            rd_kafka_topic_partition_list_find(list, topic, message->partition);
        if (!element)
            element = rd_kafka_topic_partition_list_add(list, topic, message->partition);
        element->offset = message->offset + 1;
    }
    return list;
}

/* A failed batch ends the run: nothing of it has happened, and the next run begins with it. */
static enum status send_batch(struct drive *drive, struct error *error)
{
    struct producer_result result;
    batch_reset(&drive->batch);
    for (size_t i = 0; i < drive->count; i++)
        make_output(drive, i);
    rd_kafka_topic_partition_list_t *offsets = redrive_offsets(drive);
    const struct producer_batch batch = {.outputs = drive->batch.outputs,
                                         .sources = drive->sources,
                                         .count = drive->batch.output_count,
                                         .offsets = offsets,
                                         .consumer = consumer_client(drive->consumer)};
    producer_send(drive->producer, &batch, &result);
    rd_kafka_topic_partition_list_destroy(offsets);
    for (size_t i = 0; i < drive->count; i++)
        rd_kafka_message_destroy(drive->messages[i]);
    drive->count = 0;
    if (result.outcome != PRODUCER_DONE)
        return error_set(error, STATUS_UNAVAILABLE, "%s", result.error.text);
    return STATUS_OK;
}

/* Keeps the message if it was there when this began. */
static void take_letter(struct drive *drive, rd_kafka_message_t *message)
{
    const rd_kafka_topic_partition_t *end = rd_kafka_topic_partition_list_find(
        drive->ends, rd_kafka_topic_name(message->rkt), message->partition);
    if (end && message->offset < end->offset)
        drive->messages[drive->count++] = message;
    else
        rd_kafka_message_destroy(message);
}

/* Ends when nothing has come for a while after joining. That nothing comes before is only the
 * group's doing. */
static enum status drive_all(struct drive *drive, struct error *error)
{
    int64_t began_ms = monotonic_ms();
    int64_t quiet_since_ms = began_ms;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && *drive->options.stop == 0) {
        struct consumer_state state;
        rd_kafka_message_t *message = consumer_poll(drive->consumer, POLL_MS);
        int64_t now_ms = monotonic_ms();
        consumer_state(drive->consumer, &state);
        if (!state.joined) {
            if (now_ms - began_ms > JOIN_MS)
                return error_set(error, STATUS_UNAVAILABLE, "group %s cannot be joined",
                                 drive->group);
            quiet_since_ms = now_ms;
            continue;
        }
        if (!message && now_ms - quiet_since_ms > QUIET_MS)
            break;
        for (; message; message = consumer_poll(drive->consumer, 0)) {
            quiet_since_ms = now_ms;
            take_letter(drive, message);
            if (drive->count == BATCH_LIMIT)
                break;
        }
        if (drive->count > 0)
            status = send_batch(drive, error);
    }
    return status;
}

static void redrive_close(struct drive *drive)
{
    consumer_close(drive->consumer);
    producer_free(drive->producer);
    batch_deinit(&drive->batch);
    if (drive->ends)
        rd_kafka_topic_partition_list_destroy(drive->ends);
    free(drive);
}

/* What was done is told also when it fails: the batches before are committed. */
enum status redrive(const struct redrive_options *options, struct error *error)
{
    struct drive *drive = mem_new(struct drive);
    drive->options = *options;
    enum status status = open_redrive_clients(drive, error);
    if (status == STATUS_OK)
        status = drive_all(drive, error);
    log_info("dead letters sent again", LOG_UNSIGNED("sent", drive->sent),
             LOG_UNSIGNED("kept", drive->kept), LOG_UNSIGNED("exhausted", drive->exhausted),
             LOG_UNSIGNED("skipped", drive->skipped));
    redrive_close(drive);
    return status;
}

/* --- Looking --- */

/* `only_sendable` shows what a run would take, before it is started. */
static void print_letter(struct drive *drive, rd_kafka_message_t *message, struct buffer *line)
{
    struct record record;
    struct dead_letter_view letter;
    batch_reset(&drive->batch);
    consumer_read_record(message, &drive->batch.arena, &record);
    dead_letter_read(&record, &letter);
    if (!dead_letter_matches(&drive->options.filter, &record, &letter) ||
        (drive->options.only_sendable && (is_exhausted(drive, &letter) || letter.value_bytes >= 0)))
        return;
    buffer_clear(line);
    dead_letter_to_json(&record, &letter, drive->options.whole, line);
    buffer_append_byte(line, '\n');
    fwrite(buffer_peek(line).data, 1, buffer_size(line), stdout);
    drive->sent++;
}

/* Begins at the first pending letter of each partition, or at the first of all, without joining the
 * group: a redrive that runs is not disturbed. */
static enum status assign_all(struct drive *drive, struct error *error)
{
    rd_kafka_t *client = consumer_client(drive->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(drive->ends);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!drive->options.all)
        code = rd_kafka_committed(client, list, REQUEST_MS);
    for (int i = 0; i < list->cnt; i++)
        if (drive->options.all || list->elems[i].offset < 0)
            list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STATUS_OK;
    return error_set(error, STATUS_UNAVAILABLE, "%s: %s",
                     drive->options.settings->dead_letter_topic, rd_kafka_err2str(code));
}

static void read_letters(struct drive *drive)
{
    auto_buffer struct buffer line = {0};
    int64_t quiet_since_ms = monotonic_ms();
    while (*drive->options.stop == 0 && monotonic_ms() - quiet_since_ms <= QUIET_MS) {
        rd_kafka_message_t *message = consumer_poll(drive->consumer, POLL_MS);
        if (!message)
            continue;
        quiet_since_ms = monotonic_ms();
        take_letter(drive, message);
        for (; drive->count > 0; drive->count--) {
            print_letter(drive, drive->messages[drive->count - 1], &line);
            rd_kafka_message_destroy(drive->messages[drive->count - 1]);
        }
    }
}

enum status letters_list(const struct redrive_options *options, struct error *error)
{
    struct drive *drive = mem_new(struct drive);
    drive->options = *options;
    enum status status = open_reader(drive, error);
    if (status == STATUS_OK)
        status = find_ends(drive, error);
    if (status == STATUS_OK)
        status = assign_all(drive, error);
    if (status == STATUS_OK)
        read_letters(drive);
    if (status == STATUS_OK && fflush(stdout) != 0)
        status = error_set(error, STATUS_IO, "stdout cannot be written");
    log_info("dead letters", LOG_UNSIGNED("count", drive->sent));
    redrive_close(drive);
    return status;
}
