/* What dispatchers write about reviews: CloudEvents in binary mode, to the log, at the home of the
 * task, or to the topic of decisions. */
#include <assert.h>

#include "murmur2.h"
#include "pipeline_private.h"

enum { HEADERS_LIMIT = 12 };

static void add_header(struct output *output, struct record_header *headers, const char *name,
                       struct bytes value)
{
    assert(output->header_count < HEADERS_LIMIT);
    if (value.size > 0)
        headers[output->header_count++] = (struct record_header){bytes_of_string(name), value};
}

/* Of a task by its user, as far as the subject is given: it may be an event for rules like any
 * other. */
struct output *review_event_add(struct batch *batch, const struct review_event *event)
{
    static const struct review_subject nothing;
    const struct review_subject *subject = event->subject ? event->subject : &nothing;
    struct record_header *headers =
        arena_raw(&batch->arena, HEADERS_LIMIT * sizeof(struct record_header));
    struct output *output = batch_add(batch);
    assert(event->id.size > 0 && event->hops <= 9);
    output->kind = OUTPUT_REVIEW;
    output->partition = -1;
    output->value = event->value;
    output->has_value = true;
    output->headers = headers;
    add_header(output, headers, "content-type", BYTES_LITERAL("application/json"));
    add_header(output, headers, "ce_specversion", BYTES_LITERAL("1.0"));
    add_header(output, headers, "ce_id", event->id);
    add_header(output, headers, "ce_source", BYTES_LITERAL("reviews"));
    add_header(output, headers, "ce_type", bytes_of_string(event->type));
    add_header(output, headers, "ce_time", event->time);
    add_header(output, headers, "ce_taskid", subject->task);
    add_header(output, headers, "ce_tenantid", subject->tenant);
    add_header(output, headers, "ce_projectid", subject->project);
    add_header(output, headers, "ce_userid", subject->user);
    add_header(output, headers, "ce_tasktype", subject->type);
    if (event->hops > 0)
        add_header(output, headers, NOTIFICATION_HEADER_HOPS,
                   bytes_of((const uint8_t *)"0123456789" + event->hops, 1));
    return output;
}

void review_event_log(const struct pipeline *pipeline, struct batch *batch, struct fingerprint task,
                      const struct review_event *event)
{
    char home[REVIEW_ID_SIZE + 1];
    struct output *output = review_event_add(batch, event);
    review_id_write((struct review_id){.task = task}, home);
    output->topic = pipeline->settings.review_log;
    output->key = arena_copy(&batch->arena, bytes_of(home, REVIEW_HOME_SIZE));
    output->has_key = true;
    output->partition_count = pipeline->settings.review_log_partitions;
    output->partition = murmur2_partition(output->key, output->partition_count);
}
