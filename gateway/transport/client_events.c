/* Whether one event of a client may go out now, and what becomes of it.
 *
 * The checks stand in the order of what they cost: the name, what the policy says, the form; then
 * the session's own bucket, and last those of its user and tenant. What one bucket gave is not
 * given back when the next one refuses: a client that asks too often waits longer, not shorter.
 *
 * An event that is on its way stands in its sender's list until done() or client_events_take(),
 * and nowhere else: so neither the outlet nor the session ever names the other after its end. */
#include "client_events.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <utlist.h>

#include "buffer.h"
#include "mem.h"
#include "policy.h"
#include "review_command.h"
#include "review_id.h"
#include "room.h"

enum { ID_BYTES = 16, TRACEPARENT_LIMIT = 64, TRACESTATE_LIMIT = 512, MILLI = 1000 };

struct client_events {
    struct client_events_config config;
    struct client_events_stats stats;
    struct buffer source; /* of the event that is being sent */
    struct arena command; /* what it says, of a command about a review */
};

struct client_events *client_events_new(const struct client_events_config *config)
{
    struct client_events *events = mem_new(struct client_events);
    assert(!config->outlet_ops || config->rate > 0);
    events->config = *config;
    return events;
}

void client_events_free(struct client_events *events)
{
    if (!events)
        return;
    buffer_deinit(&events->source);
    arena_deinit(&events->command);
    free(events);
}

const struct client_events_stats *client_events_stats(const struct client_events *events)
{
    return &events->stats;
}

/* --- Whether ---------------------------------------------------------------------------------- */

/* Every refusal has a counter: the caller cannot give a word and forget to count it. */
static const char *refuse_event_for(uint64_t *counter, const char *word)
{
    assert(word);
    (*counter)++;
    return word;
}

/* Visible ASCII and blanks: header values (W3C trace context). */
static bool is_trace(struct bytes text, size_t limit)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return text.size <= limit;
}

/* As room keys are: text without control characters. It becomes a header. */
static bool is_name(struct bytes name)
{
    return name.size <= POLICY_EVENT_NAME_LIMIT && room_key_valid(name);
}

static bool is_owner(struct bytes owner)
{
    return owner.size == 0 || room_key_valid(owner);
}

static bool is_well_formed(const struct client_event *event)
{
    return (event->id.size == 0 || room_key_valid(event->id)) &&
           is_trace(event->traceparent, TRACEPARENT_LIMIT) &&
           is_trace(event->tracestate, TRACESTATE_LIMIT);
}

static bool is_command(const struct client_events *events, const struct client_event *event,
                       enum review_act *act)
{
    return events->config.has_review_log && review_act_named(event->name, act);
}

/* What can be known of a command here; whether it stands is decided by the log. NULL: nothing is
 * wrong with it. `*home` is its review's, good until the next command. */
static const char *judge_command(struct client_events *events, const struct session *session,
                                 const struct client_event *event, enum review_act act,
                                 struct bytes *home)
{
    struct client_events_stats *stats = &events->stats;
    struct review_payload payload;
    if (!bytes_start_with(event->room, BYTES_LITERAL(REVIEW_ROOM_KIND ":")))
        return refuse_event_for(&stats->refused_denied, "not_allowed");
    if (session_user(session).size == 0) /* who has a review has a name */
        return refuse_event_for(&stats->refused_denied, "not_allowed");
    if (event->payload.size > REVIEW_COMMAND_LIMIT)
        return refuse_event_for(&stats->refused_size, "too_large");
    arena_reset(&events->command);
    if (!review_payload_read(event->payload, act, &events->command, &payload))
        return refuse_event_for(&stats->refused_malformed, "bad_request");
    *home = review_id_home(payload.review);
    return NULL;
}

/* A bucket that is refilled steadily. 0: one is taken; else there will be one in so many
 * milliseconds. */
static int64_t spend_own(const struct client_events *events, struct event_sender *sender,
                         int64_t now_ms)
{
    uint64_t refill = (uint64_t)(now_ms - sender->refilled_ms) * events->config.rate;
    assert(now_ms >= sender->refilled_ms);
    sender->refilled_ms = now_ms;
    sender->spent_milli = refill < sender->spent_milli ? sender->spent_milli - (uint32_t)refill : 0;
    uint64_t spent = (uint64_t)sender->spent_milli + MILLI;
    uint64_t most = (uint64_t)events->config.burst * MILLI;
    if (spent > most)
        return (int64_t)((spent - most - 1) / events->config.rate + 1);
    sender->spent_milli += MILLI;
    return 0;
}

/* The same, of the session's and then of its user's and tenant's. */
static int64_t spend_all(const struct client_events *events, struct event_sender *sender,
                         const struct session *session, int64_t now_ms)
{
    int64_t wait_ms = spend_own(events, sender, now_ms);
    assert(wait_ms >= 0);
    return wait_ms > 0 ? wait_ms : session_spend(session, QUOTA_EVENTS, now_ms);
}

/* Whether it may go out, if there are not too many. `*home`: judge_command(). */
static const char *judge_event(struct client_events *events, const struct event_sender *sender,
                               const struct session *session, const struct client_event *event,
                               struct bytes *home)
{
    struct client_events_stats *stats = &events->stats;
    enum review_act act;
    assert(session);
    if (!is_name(event->name))
        return refuse_event_for(&stats->refused_malformed, "bad_event_name");
    enum status allowed =
        events->config.outlet_ops ? session_may_send(session, event->name) : STATUS_NOT_FOUND;
    if (allowed == STATUS_NOT_FOUND)
        return refuse_event_for(&stats->refused_unknown, "unknown_event");
    if (allowed != STATUS_OK)
        return refuse_event_for(&stats->refused_denied, "not_allowed");
    if (!is_owner(session_user(session)) || !is_owner(session_tenant(session)))
        return refuse_event_for(&stats->refused_malformed, "bad_claims");
    if (!is_well_formed(event))
        return refuse_event_for(&stats->refused_malformed, "bad_request");
    if (event->room.size > 0 && !session_is_in(session, event->room))
        return refuse_event_for(&stats->refused_denied, "not_allowed");
    if (event->payload.size > events->config.payload_bytes)
        return refuse_event_for(&stats->refused_size, "too_large");
    const char *problem =
        is_command(events, event, &act) ? judge_command(events, session, event, act, home) : NULL;
    if (problem)
        return problem;
    if (sender->pending >= events->config.pending)
        return refuse_event_for(&stats->refused_busy, "too_many_requests");
    return NULL;
}

/* --- On its way ------------------------------------------------------------------------------- */

/* It is answered, or nobody waits for it any more: its sender may have another one. */
static void sent_event_leave(struct sent_event *sent)
{
    assert(sent->sender && sent->sender->pending > 0);
    DL_DELETE(sent->sender->sent, sent);
    sent->sender->pending--;
    sent->sender = NULL;
}

/* The outlet's answer. The event leaves its sender first: answered() may free it, or send the next
 * one. */
static void done(struct outlet_waiter *waiter, enum status status)
{
    struct sent_event *sent =
        (struct sent_event *)((char *)waiter - offsetof(struct sent_event, waiter));
    struct client_events_stats *stats = &sent->events->stats;
    assert(sent->sender && sent->events);
    (*(status == STATUS_OK ? &stats->acknowledged : &stats->failed))++;
    sent_event_leave(sent);
    sent->answered(sent, status == STATUS_OK          ? NULL
                         : status == STATUS_TOO_LARGE ? "too_large"
                                                      : "unavailable");
}

/* An id for an event that came without one: consumers tell events apart by it. */
static struct bytes make_event_id(struct client_events *events, char text[2 * ID_BYTES + 1])
{
    uint8_t random[ID_BYTES];
    assert(events->config.random);
    events->config.random(events->config.random_context, random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    return bytes_of(text, sizeof(random) * 2);
}

/* A segment of a URI's path (RFC 3986, 3.3), in which a slash of the name is none of the path. */
static void append_segment(struct buffer *out, struct bytes name)
{
    buffer_append_byte(out, '/');
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     byte_is_digit(byte) || (byte && strchr("-._~", byte));
        if (plain)
            buffer_append_byte(out, byte);
        else
            buffer_append_format(out, "%%%02X", byte);
    }
}

/* Whose ids these are: by the token and not by the client's word, so that the id of one can never
 * be taken for the id of another's event, or of a backend's. Who has no name is his session. */
static struct bytes make_event_source(struct client_events *events, const struct session *session)
{
    struct buffer *source = &events->source;
    buffer_clear(source);
    buffer_append_string(source, "client");
    append_segment(source, session_tenant(session));
    append_segment(source, session_user(session));
    if (session_user(session).size == 0)
        append_segment(source, session_public_id(session));
    return buffer_peek(source);
}

const char *client_events_send(struct client_events *events, struct event_sender *sender,
                               const struct session *session, const struct client_event *event,
                               struct sent_event *sent, int64_t now_ms)
{
    char id[2 * ID_BYTES + 1];
    struct bytes home = bytes_of("", 0);
    const char *problem = judge_event(events, sender, session, event, &home);
    assert(sent && sent->answered);
    sent->retry_after_ms = problem ? 0 : spend_all(events, sender, session, now_ms);
    if (sent->retry_after_ms > 0)
        problem = refuse_event_for(&events->stats.refused_rate, "rate_limited");
    if (problem)
        return problem;
    struct outlet_record record = {
        .event = event->name,
        .payload = event->payload.size > 0 ? event->payload : BYTES_LITERAL("null"),
        .id = event->id.size > 0 ? event->id : make_event_id(events, id),
        .source = make_event_source(events, session),
        .user = session_user(session),
        .tenant = session_tenant(session),
        .session = session_public_id(session),
        .room = event->room,
        .traceparent = event->traceparent,
        .tracestate = event->tracestate,
        .review_home = home,
    };
    sent->waiter = (struct outlet_waiter){.done = done};
    enum status status =
        events->config.outlet_ops->send(events->config.outlet, &record, &sent->waiter);
    if (status != STATUS_OK)
        return refuse_event_for(&events->stats.failed, "unavailable");
    sent->events = events;
    sent->sender = sender;
    assert(sender->pending < events->config.pending);
    DL_APPEND(sender->sent, sent);
    sender->pending++;
    events->stats.sent++;
    return NULL;
}

/* The outlet forgets who waits; the record goes its way, and whatever comes of it nobody hears. */
struct sent_event *client_events_take(struct event_sender *sender)
{
    struct sent_event *sent = sender->sent;
    if (!sent)
        return NULL;
    const struct client_events_config *config = &sent->events->config;
    config->outlet_ops->forget(config->outlet, &sent->waiter);
    sent_event_leave(sent);
    return sent;
}
