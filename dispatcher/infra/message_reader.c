#include "message_reader.h"

static const struct record_header *copy_headers(struct arena *arena,
                                                const rd_kafka_message_t *message, size_t *count)
{
    rd_kafka_headers_t *headers = NULL;
    *count = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    size_t size = rd_kafka_header_cnt(headers);
    struct record_header *copies = arena_raw(arena, size * sizeof(struct record_header));
    for (size_t i = 0; i < size; i++) {
        const char *name;
        const void *value;
        size_t value_size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &value_size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        copies[(*count)++] =
            (struct record_header){bytes_of_string(name), bytes_of(value, value_size)};
    }
    return copies;
}

void message_read(const rd_kafka_message_t *message, struct arena *arena, struct record *record)
{
    rd_kafka_timestamp_type_t type;
    *record = (struct record){
        .topic = bytes_of_string(rd_kafka_topic_name(message->rkt)),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = bytes_of(message->key, message->key_len),
        .has_key = message->key != NULL,
        .value = bytes_of(message->payload, message->len),
        .has_value = message->payload != NULL,
    };
    record->headers = copy_headers(arena, message, &record->header_count);
}
