#include "load_producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "buffer.h"
#include "notification.h"

double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(EXIT_FAILURE);
}

void locate(struct producer *producer)
{
    struct layout_source source = {0};
    struct layout *layout;
    auto_problems struct problems problems = {0};
    struct room_owner owner = {bytes_of_string(producer->plan->tenant), bytes_of("", 0)};
    struct room_name room;
    char name[64];
    snprintf(name, sizeof(name), "%s0", producer->plan->load.room_prefix);
    if (layout_new(&source, &layout, &problems) != STATUS_OK ||
        room_parse(bytes_of_string(name), &room, NULL) != STATUS_OK ||
        layout_lane(layout, &room, &owner, &producer->lane, NULL) != STATUS_OK)
        die("no lane for the rooms");
    producer->layout_revision = layout_revision(layout);
    layout_free(layout);
}

void producer_init(struct producer *producer, const struct plan *plan)
{
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *linger = plan->rate ? "0" : "5";
    if (rd_kafka_conf_set(conf, "bootstrap.servers", plan->brokers, error, sizeof(error)) ||
        rd_kafka_conf_set(conf, "linger.ms", linger, error, sizeof(error)) ||
        rd_kafka_conf_set(conf, "queue.buffering.max.messages", "1000000", error, sizeof(error)))
        die(error);
    *producer = (struct producer){.plan = plan};
    producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
    if (!producer->handle)
        die(error);
    producer->sequences = calloc(plan->load.rooms, sizeof(uint32_t));
    locate(producer);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->handle, producer->lane.topic, NULL);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(producer->handle, 0, topic, &metadata, 10000))
        die("no metadata");
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

void producer_deinit(struct producer *producer)
{
    free(producer->sequences);
    rd_kafka_flush(producer->handle, 5000);
    rd_kafka_destroy(producer->handle);
}

/* `item`: empty if it is about none. */
static void encode(struct producer *producer, struct bytes room, struct bytes item,
                   struct bytes data, struct buffer *value)
{
    if (producer->plan->json_records) {
        buffer_append_format(
            value,
            "{\"room\":\"%.*s\",\"event\":\"task.status\",\"body\":{\"id\":\"bench-%u\",\"rooms\":["
            "\"%.*s\"],"
            "\"taskStatus\":{\"event\":\"task.progress\",\"status\":\"running\",\"data\":%.*s}}}",
            BYTES_PRINT(room), producer->produced, BYTES_PRINT(room), BYTES_PRINT(data));
        return;
    }
    char id[32];
    snprintf(id, sizeof(id), "bench-%u", producer->produced);
    struct notification notification = {
        .id = bytes_of_string(id),
        .rooms = &room,
        .room_count = 1,
        .item = {.key = item},
        .type = NOTIFICATION_TASK_STATUS,
        .task_status = {.event = BYTES_LITERAL("task.progress"),
                        .status = BYTES_LITERAL("running"),
                        .data = data},
    };
    notification_encode(&notification, value);
}

void produce(struct producer *producer)
{
    const struct plan *plan = producer->plan;
    unsigned number = producer->produced++ % plan->load.rooms;
    char name[64], data[64], key[32] = "";
    auto_buffer struct buffer value = {0}, text = {0}, hashes = {0};
    int size = snprintf(name, sizeof(name), "%s%u", plan->load.room_prefix, number);
    struct bytes room = bytes_of(name, (size_t)size);
    snprintf(data, sizeof(data), "{\"b\":\"%u:%u:%.0f\",\"text\":\"", number,
             ++producer->sequences[number], now_s() * 1e6);
    buffer_append_string(&text, data);
    if (plan->items)
        snprintf(key, sizeof(key), "item-%05u", producer->sequences[number] % plan->items);
    struct bytes item = bytes_of_string(key);
    size_t frame = 140 + 2 * room.size; /* what the rest of the JSON takes, about */
    frame += item.size ? strlen(",\"item\":{\"key\":\"\"}") + item.size : 0;
    for (size_t i = buffer_size(&text) + frame; i < plan->size; i++)
        buffer_append_byte(&text, 'x');
    buffer_append_string(&text, "\"}");
    encode(producer, room, item, buffer_peek(&text), &value);
    notification_append_room_hash(&hashes, room_hash(lane_name_scope(&producer->lane), room));
    struct notification_envelope envelope = {.has_type = true,
                                             .type = NOTIFICATION_TASK_STATUS,
                                             .room_hashes = buffer_peek(&hashes),
                                             .layout = producer->layout_revision};
    if (item.size)
        envelope.item_hash = notification_item_hash(item);
    struct notification_headers encoded;
    rd_kafka_headers_t *list = rd_kafka_headers_new(NOTIFICATION_HEADERS_MAX);
    notification_headers_encode(&envelope, &encoded);
    for (size_t i = 0; i < encoded.count; i++)
        rd_kafka_header_add(list, encoded.items[i].name, -1, encoded.items[i].value.data,
                            (ssize_t)encoded.items[i].value.size);
    struct bytes body = buffer_peek(&value);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        producer->handle, RD_KAFKA_V_TOPIC(producer->lane.topic),
        RD_KAFKA_V_PARTITION(producer->lane.partition),
        RD_KAFKA_V_KEY(producer->lane.key, producer->lane.key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)body.data, body.size),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
    if (error)
        die(rd_kafka_err2str(error));
    rd_kafka_poll(producer->handle, 0);
}

uint64_t expected_deliveries(const struct producer *producer, const struct plan *plan)
{
    uint64_t expected = 0;
    for (unsigned i = 0; i < plan->load.clients; i++)
        for (unsigned k = 0; k < plan->load.rooms_each; k++)
            expected += producer->sequences[(i * plan->load.rooms_each + k) % plan->load.rooms];
    return expected;
}
