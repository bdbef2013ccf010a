/* The text is read twice: once to know that it is a list of so many values, so that what is
 * malformed is refused as a whole and nothing of it is done; and once to give each of them. */
#include "event_batch.h"

#include <assert.h>

#include "event_private.h"

/* Its content type, if it is a batch in a character set that is read. */
static bool is_batch(const struct record *record)
{
    struct bytes type;
    return record->has_value && event_content_type(record, &type) &&
           event_type_is_batch(event_media_type(type)) && event_type_is_utf8(type);
}

/* How many values the list has; else why it is none. */
static enum status count_events(struct bytes text, unsigned most, unsigned *count,
                                struct error *error)
{
    struct json_scanner scanner;
    enum json_token token;
    size_t seen = 0;
    json_init(&scanner, text, JSON_DEPTH_MAX);
    if (json_next(&scanner) != JSON_ARRAY)
        return error_set(error, STATUS_MALFORMED, "a batch of CloudEvents is a JSON array");
    while ((token = json_value(&scanner, NULL)) != JSON_ARRAY_END && token != JSON_ERROR)
        seen++;
    if (token == JSON_ERROR || json_next(&scanner) != JSON_END)
        return error_set(error, scanner.status == STATUS_OK ? STATUS_MALFORMED : scanner.status,
                         "a batch of CloudEvents: %s at byte %zu",
                         scanner.problem ? scanner.problem : "more than one value",
                         scanner.problem_offset);
    if (seen > most)
        return error_set(error, STATUS_LIMIT,
                         "a batch of %zu events, the limit is %u "
                         "(dispatcher.limits.events_per_record)",
                         seen, most);
    *count = (unsigned)seen;
    return STATUS_OK;
}

/* The headers of all events: the record's, with another content type. */
static void share_headers(struct record *event, struct arena *arena)
{
    static const struct record_header single = {BYTES_LITERAL("content-type"),
                                                BYTES_LITERAL("application/cloudevents+json")};
    struct record_header *headers =
        arena_raw(arena, (event->header_count + 1) * sizeof(struct record_header));
    size_t count = 0;
    for (size_t i = 0; i < event->header_count; i++)
        if (!event_type_is(event->headers[i].name, "content-type"))
            headers[count++] = event->headers[i];
    headers[count++] = single;
    assert(count <= event->header_count);
    event->headers = headers;
    event->header_count = count;
    event->content_type = bytes_of(NULL, 0);
}

void event_batch_open(struct event_batch *events, const struct record *record,
                      const struct event_batch_limits *limits, struct arena *arena)
{
    struct bytes text = record->value;
    assert(record->part == 0 && !record->fault);
    *events = (struct event_batch){.event = *record, .rest = 1};
    if (!is_batch(record) || record->value.size > limits->bytes)
        return;
    event_skip_framing(&text);
    /* In a topic of batches: one that comes back alone, from the dead letters. */
    if (record->content_type.size > 0 && text.size > 0 && text.data[0] == '{') {
        share_headers(&events->event, arena);
        return;
    }
    unsigned count = 0;
    if (count_events(text, limits->events, &count, &events->fault) != STATUS_OK) {
        events->event.fault = &events->fault;
        return;
    }
    if (count == 0) {
        events->event.has_value = false;
        events->event.header_count = 0;
        return;
    }
    share_headers(&events->event, arena);
    json_init(&events->scanner, text, JSON_DEPTH_MAX);
    enum json_token token = json_next(&events->scanner);
    assert(token == JSON_ARRAY);
    (void)token;
    events->rest = count;
}

bool event_batch_next(struct event_batch *events)
{
    if (events->rest == 0)
        return false;
    events->rest--;
    if (!events->scanner.text.data) /* the record itself */
        return true;
    enum json_token token = json_value(&events->scanner, &events->event.value);
    assert(token != JSON_ERROR && token != JSON_ARRAY_END);
    (void)token;
    events->event.part++;
    return true;
}
