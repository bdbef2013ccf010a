/* librdkafka's message as the record that the core reads. */
#ifndef DISPATCHER_INFRA_MESSAGE_READER_H
#define DISPATCHER_INFRA_MESSAGE_READER_H

#include <librdkafka/rdkafka.h>

#include "arena.h"
#include "record.h"

/* The record borrows from the message, but for its list of headers, which is in the arena. */
void message_read(const rd_kafka_message_t *message, struct arena *arena, struct record *record);

#endif
