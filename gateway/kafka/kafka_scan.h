/* Reads pieces of lanes' past for catch-up: a pool of consumers with little memory each, apart from
 * the live one. Not live reading (kafka_source.h), which goes on undisturbed beside it.
 *
 * A scan ends on a position or at the end of the partition, never on a record: control records and
 * aborted batches leave no trace but a gap (hazards 9). Scans beyond the number of consumers wait
 * their turn. */
#ifndef GATEWAY_KAFKA_KAFKA_SCAN_H
#define GATEWAY_KAFKA_KAFKA_SCAN_H

#include "kafka_client.h"
#include "kafka_settings.h"
#include "lane_source.h"
#include "status.h"

struct kafka_scan_pool;

struct kafka_scan_pool_config {
    const struct kafka_settings *settings;
    const char *client_id;
    int wake_descriptor; /* an eventfd */
    unsigned consumers;  /* scans at a time; each consumer keeps up to 1 MiB, of a load 2 MiB */
    enum kafka_purpose purpose; /* SCAN or LOAD */
    bool mock;
    int64_t stall_ms; /* a scan that gets nothing for so long ends as unavailable */
    int64_t
        short_ms; /* a log that ends below `to` is believed after so long: a new leader may know its
                         last stable offset a little late, and a transaction may be open */
    /* False: pause after this record. May start, resume or cancel any scan, this one too. */
    bool (*record)(void *context, struct lane *lane, const struct lane_record *record);
    /* STATUS_OK: everything below `to` was given. STATUS_EXPIRED: the log does not have `from`.
     * STATUS_NOT_FOUND: the log ends below `to`, or is gone. STATUS_UNAVAILABLE: no progress. */
    void (*ended)(void *context, struct lane *lane, enum status status);
    void *context;
};

struct kafka_scan_stats {
    uint64_t started, records, record_bytes, failed;
    uint64_t running, waiting; /* now */
};

struct kafka_scan_pool *kafka_scan_pool_open(const struct kafka_scan_pool_config *config);
/* Drops all scans. NULL is fine. */
void kafka_scan_pool_close(struct kafka_scan_pool *pool);

/* Reads [from, to) of the lane; at most one scan of a lane at a time. */
void kafka_scan_start(struct kafka_scan_pool *pool, struct lane *lane, const char *topic,
                      int32_t partition, int64_t from, int64_t to);
void kafka_scan_resume(struct kafka_scan_pool *pool, struct lane *lane);
/* No further call names the lane. Without a scan of the lane, nothing. */
void kafka_scan_cancel(struct kafka_scan_pool *pool, struct lane *lane);

/* Hands over what has arrived, up to some hundred records. True: there is more. */
bool kafka_scan_service(struct kafka_scan_pool *pool, int64_t now_ms);
/* When it must be called at the latest; INT64_MAX: only when the descriptor was written. */
int64_t kafka_scan_deadline_ms(const struct kafka_scan_pool *pool);

const struct kafka_scan_stats *kafka_scan_stats(const struct kafka_scan_pool *pool);

#endif
