/* A record as it was consumed: what of Kafka the pure core sees. Everything is borrowed. */
#ifndef DISPATCHER_CORE_RECORD_H
#define DISPATCHER_CORE_RECORD_H

#include "bytes.h"

struct record_header {
    struct bytes name;
    struct bytes value;
};

struct record {
    struct bytes topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; below 0: the record has none */
    struct bytes key;
    bool has_key;
    struct bytes value;
    bool has_value;
    const struct record_header *headers;
    size_t header_count;
};

/* The value of the last header of this name, compared without regard to ASCII case; false: there is
 * none. */
bool record_find_header(const struct record *record, const char *name, struct bytes *value);

#endif
