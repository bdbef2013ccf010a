/* Opened in the order in which each needs the one before, and ended in the other.
 *
 * Threads: the loop opens and ends it; the client is the worker's in between. */
#include "kafka_asker.h"

#include <assert.h>
#include <unistd.h>

#include "event_descriptor.h"

enum status kafka_asker_open(const struct kafka_settings *settings, const char *client_id,
                             struct kafka_asker *asker, struct error *error)
{
    struct kafka_client_options options = {
        .settings = settings, .client_id = client_id, .purpose = KAFKA_PURPOSE_ASKING};
    enum status status = event_descriptor_open(&asker->descriptor, error);
    if (status != STATUS_OK)
        return status;
    status = kafka_client_open(&options, &asker->client, error);
    if (status != STATUS_OK)
        goto failed_client;
    status = worker_open(asker->descriptor, &asker->worker, error);
    if (status != STATUS_OK)
        goto failed_worker;
    event_descriptor_signal(asker->descriptor);
    return STATUS_OK;

failed_worker:
    kafka_client_close(&asker->client);
failed_client:
    close(asker->descriptor);
    return status;
}

/* It may be asking through the client that is closed next. */
void kafka_asker_stop(struct kafka_asker *asker)
{
    worker_close(asker->worker);
    asker->worker = NULL;
}

void kafka_asker_close(struct kafka_asker *asker)
{
    assert(!asker->worker);
    kafka_client_close(&asker->client);
    close(asker->descriptor);
}
