/* From a request for a stream to its first event, or to the answer instead of it.
 *
 * An EventSource never comes back from an answer that is no stream (HTML standard, 9.2.3). So
 * whatever may still go wrong is waited for before the stream begins: who the client is, and each
 * room of its query. What comes in the meantime is kept back, and is little; if it is not, the
 * client is sent away to come again.
 *
 *      request --> wire taken --> session opened --> all rooms joined --> stream
 *         |            |               |                   |
 *         '-- JSON ----'---------------'-------------------'--> JSON with 401, 403, 404; or, for trouble
 *                                                               of ours, a stream that says when to come
 *                                                               again, and ends
 *
 * With a history in it the stream begins earlier: the first of its events is the end of other
 * answers. */
#include <assert.h>
#include <stdlib.h>

#include "history_options.h"
#include "http_response.h"
#include "http_token.h"
#include "json.h"
#include "mem.h"
#include "sse_event.h"
#include "sse_private.h"

/* --- answers instead of a stream -------------------------------------------------------------- */

/* Spread from half to one and a half of what is configured: who was sent away together does not
 * come back together. */
static uint32_t retry_of(struct sse_adapter *adapter)
{
    const struct wire_clients_config *config = &adapter->config.clients;
    assert(config->random);
    uint32_t retry_ms = adapter->config.retry_ms;
    uint16_t random;
    config->random(config->random_context, (uint8_t *)&random, sizeof(random));
    return retry_ms / 2 + (uint32_t)((uint64_t)retry_ms * random / UINT16_MAX);
}

#define RETRY_AFTER_S "5" /* where a user or tenant asks too much */

struct instead {
    unsigned code;
    const char *content_type;
    struct buffer body;
    struct http_field field;
    size_t field_count;
};

/* What is wrong with a request. */
struct problem {
    const char *word;
    const char *claim, *room; /* that it is about; NULL: none */
};

/* As every refusal: a code for programs and a text for people; with a room, which one. */
static void append_problem(struct buffer *out, const struct problem *problem)
{
    assert(problem->word);
    buffer_append_string(out, "{\"error\":{");
    refusal_append_members(out, problem->word, problem->claim);
    if (problem->room) {
        buffer_append_string(out, ",\"room\":");
        json_write_string(out, bytes_of_string(problem->room));
    }
    buffer_append_string(out, "}}");
}

/* An answer in JSON, with the field that its code requires. */
static void refusal_init(struct instead *refusal, unsigned code, const struct problem *problem)
{
    assert(code >= 400 && code < 600);
    *refusal = (struct instead){.code = code, .content_type = "application/json"};
    append_problem(&refusal->body, problem);
    buffer_append_byte(&refusal->body, '\n');
    refusal->field_count = 1;
    if (code == 401)
        refusal->field = http_field_of("WWW-Authenticate", "Bearer");
    else if (code == 405)
        refusal->field = http_field_of("Allow", "GET");
    else if (code == 503 || code == 429)
        refusal->field = http_field_of("Retry-After", code == 429 ? RETRY_AFTER_S : "1");
    else
        refusal->field_count = 0;
}

/* To somebody who asked for a stream by name, a stream: one event that says why, when to come
 * again, and the end. To anybody else the code that says the same. */
static void refusal_init_transient(struct instead *refusal, struct sse_adapter *adapter,
                                   const char *word, bool names_stream)
{
    const struct problem problem = {.word = word};
    if (!names_stream) {
        refusal_init(refusal, strcmp(word, "rate_limited") == 0 ? 429 : 503, &problem);
        return;
    }
    *refusal = (struct instead){.code = 200, .content_type = "text/event-stream"};
    refusal->field = http_field_of("Cache-Control", "no-store");
    refusal->field_count = 1;
    auto_buffer struct buffer data = {0};
    append_problem(&data, &problem);
    sse_append_retry(&refusal->body, retry_of(adapter));
    sse_append_body(&refusal->body, BYTES_LITERAL("unavailable"), buffer_peek(&data));
    sse_append_tail(&refusal->body, bytes_of(NULL, 0));
}

/* Before the wire is ours. */
static void refuse_exchange(struct http_exchange *exchange, struct instead *refusal)
{
    assert(buffer_size(&refusal->body) > 0);
    http_exchange_answer(exchange, &(struct http_answer){.code = refusal->code,
                                                         .content_type = refusal->content_type,
                                                         .fields = &refusal->field,
                                                         .field_count = refusal->field_count,
                                                         .body = buffer_peek(&refusal->body)});
    buffer_deinit(&refusal->body);
}

/* What only the beginning needs; most of a client's memory while it lasts, and a stream may last
 * for days. */
void sse_opening_free(struct sse_client *client)
{
    struct sse_opening *opening = client->opening;
    if (!opening)
        return;
    buffer_deinit(&opening->rooms);
    free(opening->refused_room);
    free(opening->sid);
    free(opening);
    client->opening = NULL;
}

/* The wire is ours by now, so the whole answer is written here, with the fields CORS wants on
 * each. */
static void refuse_client(struct sse_client *client, struct instead *refusal)
{
    struct sse_opening *opening = client->opening;
    struct http_field fields[HTTP_CORS_FIELDS + 1];
    size_t count = opening->field_count;
    assert(opening && !opening->begun);
    memcpy(fields, opening->fields, count * sizeof(fields[0]));
    if (refusal->field_count)
        fields[count++] = refusal->field;
    struct http_response response = {.code = refusal->code,
                                     .minor_version = opening->minor_version,
                                     .close = true,
                                     .content_type = refusal->content_type};
    buffer_clear(&client->client.held); /* no part of a stream */
    http_response_write(wire_client_queue(&client->client), &response, fields, count,
                        buffer_peek(&refusal->body));
    buffer_deinit(&refusal->body);
    sse_opening_free(client);
    wire_client_end(&client->client);
}

static void refuse_with(struct sse_client *client, unsigned code, const struct problem *problem)
{
    struct instead refusal;
    sse_note(client, problem->word, problem->claim, true);
    refusal_init(&refusal, code, problem);
    refuse_client(client, &refusal);
}

void sse_refuse(struct sse_client *client, unsigned code, const char *problem, const char *claim)
{
    refuse_with(client, code, &(struct problem){.word = problem, .claim = claim});
}

void sse_send_away(struct sse_client *client, const char *problem)
{
    assert(client->opening && !client->opening->begun);
    struct instead refusal;
    sse_note(client, problem, NULL, true);
    refusal_init_transient(&refusal, client->adapter, problem, client->opening->names_stream);
    refuse_client(client, &refusal);
}

/* It has begun, so there can be no other answer. */
void sse_end_telling(struct sse_client *client, struct buffer *out, const char *problem)
{
    assert(!sse_is_opening(client));
    sse_note(client, problem, NULL, true);
    append_problem(sse_begin_data(client), &(struct problem){.word = problem});
    sse_append_event(client, out, "unavailable", bytes_of(NULL, 0));
    if (client->chunked)
        http_response_write_last_chunk(out);
    wire_client_end(&client->client);
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* The answer's head. Proxies must neither keep nor collect what follows. */
static void append_head(struct sse_client *client, struct buffer *out)
{
    const struct sse_opening *opening = client->opening;
    struct http_field fields[HTTP_CORS_FIELDS + 2];
    size_t count = opening->field_count;
    assert(!opening->begun);
    memcpy(fields, opening->fields, count * sizeof(fields[0]));
    fields[count++] = http_field_of("Cache-Control", "no-store, no-transform");
    fields[count++] = http_field_of("X-Accel-Buffering", "no"); /* nginx would keep events back */
    struct http_response response = {.code = 200,
                                     .framing = client->chunked ? HTTP_FRAMING_CHUNKED
                                                                : HTTP_FRAMING_CLOSE,
                                     .minor_version = opening->minor_version,
                                     .close = true,
                                     .content_type = "text/event-stream; charset=utf-8"};
    http_response_write_head(out, &response, fields, count);
    auto_buffer struct buffer retry = {0};
    sse_append_retry(&retry, retry_of(client->adapter));
    sse_append_parts(client, out, buffer_peek(&retry), bytes_of(NULL, 0));
}

/* No answer instead of it is possible any more. */
static void begin_stream(struct sse_client *client)
{
    assert(client->opening);
    if (client->opening->begun)
        return;
    append_head(client, wire_client_queue(&client->client));
    client->opening->begun = true;
    sse_set_timer(client, client->client.clients->now_ms + client->adapter->config.heartbeat_ms);
}

/* All rooms are joined: the event that says so, with the cursor that knows the rooms. */
static void confirm_rooms(struct sse_client *client, struct buffer *out, struct bytes cursor)
{
    struct sse_opening *opening = client->opening;
    assert(opening->joins_left == 0 && !opening->refusal);
    begin_stream(client);
    struct buffer *data = sse_begin_data(client);
    buffer_append_format(data, "{\"sid\":\"%s\",\"recovered\":%s", opening->sid,
                         opening->recovered ? "true" : "false");
    if (!opening->recovered && opening->reason)
        buffer_append_format(data, ",\"reason\":\"%s\"", opening->reason);
    if (opening->history_asked)
        buffer_append_format(data, ",\"%s\":{\"count\":%u,\"complete\":%s",
                             opening->history.state ? "state" : "history", opening->history_count,
                             opening->history_is_cut ? "false" : "true");
    if (opening->history_asked && opening->history.state)
        buffer_append_format(data, ",\"since\":%lld", (long long)opening->since_ms);
    buffer_append_string(data, opening->history_asked ? "}}" : "}");
    sse_append_event(client, out, "session", cursor);
    sse_opening_free(client);
    session_hold_presence(client->client.session, false);
}

/* A history came before the refusal, so that is no room that was refused at once: it is trouble of
 * ours. */
static void end_begun(struct sse_client *client, struct buffer *out)
{
    assert(client->opening->begun);
    sse_end_telling(client, out, client->opening->refusal);
}

/* By the word of the first room that was refused: 403 and 404 as a browser shows them, else a bad
 * request. */
static unsigned refusal_code(const char *problem)
{
    assert(problem);
    return strcmp(problem, "not_allowed") == 0 || strcmp(problem, "tenant_missing") == 0 ||
                   strcmp(problem, "user_missing") == 0
               ? 403
           : strcmp(problem, "no_such_room") == 0 ? 404
                                                  : 400;
}

/* Decided once every room has its answer: so one answer tells of the first refusal, whatever the
 * order. */
static void settle_opening(struct sse_client *client, struct buffer *out, struct bytes cursor)
{
    struct sse_opening *opening = client->opening;
    if (opening->joins_left)
        return;
    if (!opening->refusal)
        confirm_rooms(client, out, cursor);
    else if (opening->begun)
        end_begun(client, out);
    else if (opening->refusal_transient)
        sse_send_away(client, opening->refusal);
    else
        refuse_with(client, refusal_code(opening->refusal),
                    &(struct problem){.word = opening->refusal,
                                      .claim = opening->refusal_claim,
                                      .room = opening->refused_room});
}

/* A client that comes back has the history or state of its rooms already, unless it was cut off in
 * the middle of one. */
static void opening_join(struct sse_client *client, struct bytes room, uint64_t request)
{
    struct sse_opening *opening = client->opening;
    struct session *session = client->client.session;
    const struct wire_clients *clients = client->client.clients;
    bool has_it = opening->recovered && session_is_in(session, room);
    assert(session && room.size > 0);
    opening->history_asked = opening->history_asked || (opening->has_history && !has_it);
    if (opening->presence)
        session_join_with_presence(session, room, request,
                                   opening->has_history && !has_it ? &opening->history : NULL,
                                   clients->now_ms, clients->wall_ms);
    else if (opening->has_history && !has_it)
        session_join_with_history(session, room, request, &opening->history, clients->now_ms,
                                  clients->wall_ms);
    else
        session_join(session, room, request, clients->now_ms);
}

/* A room's past comes before the answer to its join, and may be long: it cannot be kept back. */
void sse_take_history(struct sse_client *client, const struct delivery *delivery,
                      struct buffer *out)
{
    auto_buffer struct buffer body = {0};
    assert(client->opening && (delivery->body.size > 0 || delivery->first));
    if (client->opening->refusal) /* the answer is no stream, once all rooms have theirs */
        return;
    begin_stream(client);
    if (delivery->kind == DELIVERY_STATE)
        sse_append_state(&body, delivery->room, delivery->first, delivery->body);
    else
        sse_append_history(&body, delivery->room, delivery->event, delivery->body);
    sse_append_session_event(client, out, buffer_peek(&body), delivery->cursor);
}

/* The session is there: now its rooms are asked for, all at once. */
void sse_take_opened(struct sse_client *client, const struct delivery *delivery, struct buffer *out)
{
    struct sse_opening *opening = client->opening;
    assert(opening && !opening->sid);
    opening->sid = mem_string(delivery->public_id);
    opening->recovered = delivery->recovered;
    opening->reason = delivery->reason;
    if (delivery->private_id.size)
        client->private_id = mem_string(delivery->private_id);
    /* Who is in its rooms may be more than can be kept back until all are joined. */
    session_hold_presence(client->client.session, true);
    for (struct bytes rest = buffer_peek(&opening->rooms); rest.size;) {
        struct bytes room = bytes_of(rest.data + 2, (size_t)(rest.data[0] << 8 | rest.data[1]));
        opening_join(client, room, ++opening->joins_left);
        rest = bytes_skip(rest, 2 + room.size);
    }
    settle_opening(client, out, delivery->cursor);
}

/* The answer for one room. The first refusal is kept, with the room it is about. */
void sse_take_join(struct sse_client *client, const struct delivery *delivery, struct buffer *out)
{
    struct sse_opening *opening = client->opening;
    assert(opening && opening->joins_left > 0);
    if (delivery->kind == DELIVERY_JOIN_REFUSED && !opening->refusal) {
        opening->refusal = delivery->reason;
        opening->refusal_claim = delivery->claim;
        opening->refusal_transient = delivery->transient;
        opening->refused_room = mem_string(delivery->room);
    }
    opening->history_count += delivery->history_count;
    opening->history_is_cut =
        opening->history_is_cut ||
        ((delivery->has_history || delivery->has_state) && !delivery->history_complete);
    if (delivery->has_state && delivery->since_ms > opening->since_ms)
        opening->since_ms = delivery->since_ms;
    opening->joins_left--;
    settle_opening(client, out, delivery->cursor);
}

/* --- the request ------------------------------------------------------------------------------ */

/* As text somewhere in the field: no client weighs its types so that it would matter. */
static bool names(struct bytes accept, const char *type)
{
    return memmem(accept.data, accept.size, type, strlen(type)) != NULL;
}

/* The rooms of the query, packed as in struct sse_opening; NULL, or what is wrong with them. */
static const char *opening_read_rooms(const struct sse_adapter *adapter, struct bytes query,
                                      struct buffer *rooms)
{
    struct http_field parameter;
    unsigned count = 0;
    while (http_query_next(&query, &parameter)) {
        if (!bytes_equal_string(parameter.name, "room"))
            continue;
        auto_buffer struct buffer name = {0};
        if (http_percent_decode(parameter.value, true, &name) != STATUS_OK)
            return "bad_request";
        if (buffer_size(&name) == 0 || buffer_size(&name) > UINT16_MAX)
            return "bad_room";
        if (count++ == adapter->config.rooms)
            return "too_many_rooms";
        buffer_append_byte(rooms, (uint8_t)(buffer_size(&name) >> 8));
        buffer_append_byte(rooms, (uint8_t)buffer_size(&name));
        buffer_append(rooms, buffer_peek(&name));
    }
    return NULL;
}

/* False: it is there and cannot be read. */
static bool opening_read_parameter(struct bytes query, const char *name, struct buffer *space,
                                   struct bytes *value)
{
    enum status status = http_query_parameter(query, name, space, value);
    return status == STATUS_OK || status == STATUS_NOT_FOUND;
}

/* The history or state that the query asks for; NULL, or what is wrong with it. */
static const char *opening_read_history(struct bytes query, struct sse_opening *opening)
{
    auto_buffer struct buffer since = {0};
    auto_buffer struct buffer last = {0};
    auto_buffer struct buffer state = {0};
    struct history_options options = {0};
    if (!opening_read_parameter(query, "since", &since, &options.since) ||
        !opening_read_parameter(query, "last", &last, &options.last) ||
        !opening_read_parameter(query, "state", &state, &options.state))
        return "bad_request";
    opening->has_history = history_options_said(&options);
    return opening->has_history ? history_options_read(&options, &opening->history) : NULL;
}

/* presence=1, or 0. */
static const char *opening_read_presence(struct bytes query, struct sse_opening *opening)
{
    auto_buffer struct buffer space = {0};
    struct bytes value = {0};
    enum status status = http_query_parameter(query, "presence", &space, &value);
    opening->presence = bytes_equal_string(value, "1");
    return status == STATUS_NOT_FOUND || opening->presence || bytes_equal_string(value, "0")
               ? NULL
               : "bad_request";
}

/* Development mode: who the client says it is. */
static void append_auth(struct bytes query, struct buffer *auth)
{
    static const char *const members[] = {"user", "tenant"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        auto_buffer struct buffer scratch = {0};
        struct bytes value;
        if (http_query_parameter(query, members[i], &scratch, &value) != STATUS_OK)
            continue;
        buffer_append_format(auth, "%c\"%s\":", buffer_size(auth) ? ',' : '{', members[i]);
        json_write_string(auth, value);
    }
    if (buffer_size(auth))
        buffer_append_byte(auth, '}');
}

/* What must be read before the request's slices are gone with the exchange. */
struct visit {
    char *token;
    struct buffer auth, last_id;
};

static void visit_deinit(struct visit *visit)
{
    free(visit->token);
    buffer_deinit(&visit->auth);
    buffer_deinit(&visit->last_id);
}

static void visit_read(struct visit *visit, const struct sse_adapter *adapter,
                       const struct http_request *request)
{
    auto_buffer struct buffer scratch = {0};
    assert(!visit->token);
    struct bytes id;
    visit->token = http_token_find(request, NULL, adapter->config.cookie);
    append_auth(request->query, &visit->auth);
    if (sse_last_event_id(request, &scratch, &id))
        buffer_append(&visit->last_id, id);
}

/* The wire is taken from the HTTP server. From here on the client answers for itself; who it is may
 * take until a later turn. */
static void sse_open_client(struct sse_adapter *adapter, struct http_exchange *exchange,
                            struct sse_opening *opening, const struct address_place *place,
                            const struct visit *visit, int64_t now_ms)
{
    struct sse_client *client = mem_new(struct sse_client);
    struct buffer rest = {0};
    assert(!opening->begun && !opening->sid);
    client->adapter = adapter;
    client->opening = opening;
    client->chunked = opening->minor_version > 0;
    client->client.transport = &sse_transport;
    client->timer.fire = sse_beat;
    opening->field_count = http_exchange_cors_fields(exchange, opening->fields);
    wire_client_open(&client->client, &adapter->clients, http_exchange_take(exchange, 0, &rest),
                     place);
    buffer_deinit(&rest);
    sse_set_timer(client, now_ms + adapter->config.open_timeout_ms);
    struct bytes id = buffer_peek(&visit->last_id), cursor = {0};
    const uint8_t *end = id.size ? memchr(id.data, ID_SEPARATOR, id.size) : NULL;
    if (end) {
        cursor = bytes_skip(id, (size_t)(end - id.data) + 1);
        id.size = (size_t)(end - id.data);
    }
    struct identity_question question = {.token = bytes_of_string(visit->token),
                                         .auth = buffer_peek(&visit->auth)};
    wire_client_identify(&client->client, &question, id, cursor);
}

/* Before the wire is taken: an ordinary answer, after which the connection lives on. */
static void sse_refuse_request(struct http_exchange *exchange, unsigned code, const char *problem)
{
    struct instead refusal;
    http_exchange_note_refusal(exchange, "sse", problem);
    refusal_init(&refusal, code, &(struct problem){.word = problem});
    refuse_exchange(exchange, &refusal);
}

/* The same, for trouble of ours. */
static void send_away_request(struct sse_adapter *adapter, struct http_exchange *exchange,
                              const char *problem, bool names_stream)
{
    struct instead refusal;
    http_exchange_note_refusal(exchange, "sse", problem);
    refusal_init_transient(&refusal, adapter, problem, names_stream);
    refuse_exchange(exchange, &refusal);
}

/* Checks in the order of what they cost, and of how final they are: method and form first, then
 * whether this gateway takes anybody, the rooms, and the address's quota last, since it takes a
 * place. */
void sse_handle_request(void *route, struct http_exchange *exchange,
                        const struct http_request *request, int64_t now_ms)
{
    struct sse_adapter *adapter = route;
    struct bytes accept = BYTES_LITERAL("*/*");
    (void)http_request_field(request, "accept", &accept);
    bool names_stream = names(accept, "text/event-stream");
    if (request->method != HTTP_GET) {
        sse_refuse_request(exchange, 405, "method");
        return;
    }
    if (!names_stream && !names(accept, "*/*") && !names(accept, "text/*")) {
        sse_refuse_request(exchange, 406, "not_acceptable");
        return;
    }
    if (request->has_body) {
        sse_refuse_request(exchange, 400, "bad_request");
        return;
    }
    if (adapter->clients.draining) {
        send_away_request(adapter, exchange, "ending", names_stream);
        return;
    }
    auto_buffer struct buffer rooms = {0};
    const char *problem = opening_read_rooms(adapter, request->query, &rooms);
    if (problem) {
        sse_refuse_request(exchange, 400, problem);
        return;
    }
    struct visit visit = {0};
    struct sse_opening *opening = mem_new(struct sse_opening);
    problem = opening_read_history(request->query, opening);
    if (!problem)
        problem = opening_read_presence(request->query, opening);
    if (problem) {
        free(opening);
        sse_refuse_request(exchange, 400, problem);
        return;
    }
    struct address_place place = {0};
    int64_t retry_after_ms;
    if (!http_exchange_enter(exchange, request, now_ms, &place, &retry_after_ms)) {
        free(opening);
        if (names_stream)
            send_away_request(adapter, exchange, "rate_limited", names_stream);
        else
            http_exchange_refuse_crowd(exchange, retry_after_ms);
        return;
    }
    opening->names_stream = names_stream;
    opening->minor_version = (uint8_t)request->minor_version;
    opening->rooms = rooms;
    rooms = (struct buffer){0};
    visit_read(&visit, adapter, request);
    sse_open_client(adapter, exchange, opening, &place, &visit, now_ms);
    visit_deinit(&visit);
}
