/* Every codec against the transcripts: what is read, whole and in pieces, and what is written. */
#include <stdio.h>

#include "engineio_packet.h"
#include "http_request.h"
#include "json.h"
#include "mem.h"
#include "socketio_packet.h"
#include "suite.h"
#include "transcript.h"
#include "websocket_frame.h"

static const struct http_limits http_limits = {1000, 8000, 50, 100000};
static const struct socketio_limits socketio_limits = {50, 100, 100000};

/* One side of a conversation. Attachments may come over another connection than their packet. */
struct side {
    struct socketio_decoder decoder;
    struct buffer lines;
};

static void side_init(struct side *side)
{
    *side = (struct side){0};
    socketio_decoder_init(&side->decoder, &socketio_limits);
}

static void side_deinit(struct side *side)
{
    socketio_decoder_deinit(&side->decoder);
    buffer_deinit(&side->lines);
}

/* The JavaScript decoder calls a binary event an event, once it is complete. */
static const char *socketio_name(enum socketio_packet_type type)
{
    static const char *const names[] = {"connect",       "disconnect", "event", "ack",
                                        "connect_error", "event",      "ack"};
    return names[type];
}

static void write_socketio(struct buffer *out, const struct socketio_packet *packet)
{
    buffer_append_format(out, "socketio %s %.*s", socketio_name(packet->type),
                         BYTES_PRINT(packet->name_space));
    if (packet->has_ack_id)
        buffer_append_format(out, " id=%llu", (unsigned long long)packet->ack_id);
    if (packet->attachment_count)
        buffer_append_format(out, " attachments=%u", packet->attachment_count);
    if (packet->payload.size)
        buffer_append_format(out, " %.*s", BYTES_PRINT(packet->payload));
    buffer_append_byte(out, '\n');
}

/* Our own encoding of a packet that a server sent, made from what it says. */
static void encode_again(const struct socketio_packet *packet, struct buffer *out)
{
    struct bytes raw = {0}, none = {0};
    auto_buffer struct buffer text = {0}, more = {0};
    switch (packet->type) {
    case SOCKETIO_CONNECT:
        ck_assert_int_eq(json_find(packet->payload, BYTES_LITERAL("sid"), &raw), STATUS_OK);
        json_unescape_append(bytes_of(raw.data + 1, raw.size - 2), &text);
        ck_assert_int_eq(json_find(packet->payload, BYTES_LITERAL("pid"), &raw), STATUS_OK);
        json_unescape_append(bytes_of(raw.data + 1, raw.size - 2), &more);
        socketio_append_connect(out, packet->name_space, buffer_peek(&text), buffer_peek(&more));
        return;
    case SOCKETIO_CONNECT_ERROR:
        ck_assert_int_eq(json_find(packet->payload, BYTES_LITERAL("message"), &raw), STATUS_OK);
        json_unescape_append(bytes_of(raw.data + 1, raw.size - 2), &text);
        if (json_find(packet->payload, BYTES_LITERAL("data"), &raw))
            raw = none;
        socketio_append_connect_error(out, packet->name_space, buffer_peek(&text), raw);
        return;
    case SOCKETIO_DISCONNECT:
        socketio_append_disconnect(out, packet->name_space);
        return;
    case SOCKETIO_ACK:
    case SOCKETIO_BINARY_ACK:
        socketio_append_ack(out, packet->name_space, packet->ack_id, packet->arguments,
                            packet->attachment_count);
        return;
    case SOCKETIO_EVENT:
    case SOCKETIO_BINARY_EVENT:
        socketio_append_event_name(packet, &text);
        socketio_append_event(out, &(struct socketio_event){
                                       .name_space = packet->name_space,
                                       .name = buffer_peek(&text),
                                       .arguments = packet->arguments,
                                       .has_ack_id = packet->has_ack_id,
                                       .ack_id = packet->ack_id,
                                       .attachment_count = packet->attachment_count,
                                   });
        return;
    }
}

static void expect_same(struct bytes ours, struct bytes theirs)
{
    ck_assert_msg(bytes_equal(ours, theirs), "wrote %.*s instead of %.*s", BYTES_PRINT(ours),
                  BYTES_PRINT(theirs));
}

static void write_hexadecimal(struct buffer *out, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        buffer_append_format(out, "%02x", bytes.data[i]);
}

static void read_message(struct side *side, const struct engineio_packet *packet, bool from_server)
{
    struct socketio_packet found;
    enum status status;
    if (packet->binary) {
        buffer_append_string(&side->lines, "binary ");
        write_hexadecimal(&side->lines, packet->data);
        buffer_append_byte(&side->lines, '\n');
        status = socketio_decoder_binary(&side->decoder, packet->data, &found);
    } else {
        status = socketio_decoder_text(&side->decoder, packet->data, &found);
    }
    if (status == STATUS_OK)
        write_socketio(&side->lines, &found);
    else if (status != STATUS_INCOMPLETE)
        buffer_append_string(&side->lines, "socketio refused\n");
    if (from_server && !packet->binary) {
        auto_buffer struct buffer again = {0};
        ck_assert_int_eq(socketio_decode(packet->data, &socketio_limits, &found), STATUS_OK);
        encode_again(&found, &again);
        expect_same(buffer_peek(&again), packet->data);
    }
}

static const char *const engineio_names[] = {"open",    "close",   "ping", "pong",
                                             "message", "upgrade", "noop"};

static uint64_t number_of(struct bytes json, const char *name)
{
    struct bytes raw;
    ck_assert_int_eq(json_find(json, bytes_of_string(name), &raw), STATUS_OK);
    auto_free char *text = mem_string(raw);
    return strtoull(text, NULL, 10);
}

static void check_open(struct bytes data)
{
    struct bytes sid, upgrades;
    ck_assert_int_eq(json_find(data, BYTES_LITERAL("sid"), &sid), STATUS_OK);
    ck_assert_int_eq(json_find(data, BYTES_LITERAL("upgrades"), &upgrades), STATUS_OK);
    struct engineio_handshake handshake = {
        .sid = bytes_of(sid.data + 1, sid.size - 2),
        .websocket_upgrade = !bytes_equal_string(upgrades, "[]"),
        .ping_interval_ms = (uint32_t)number_of(data, "pingInterval"),
        .ping_timeout_ms = (uint32_t)number_of(data, "pingTimeout"),
        .max_payload_bytes = number_of(data, "maxPayload"),
    };
    auto_buffer struct buffer again = {0};
    engineio_append_open(&again, &handshake);
    expect_same(bytes_skip(buffer_peek(&again), 1), data);
}

static void read_packet(struct side *side, const struct engineio_packet *packet, bool from_server)
{
    if (packet->type == ENGINEIO_MESSAGE) {
        read_message(side, packet, from_server);
        return;
    }
    buffer_append_format(&side->lines, "engineio %s", engineio_names[packet->type]);
    if (packet->data.size) {
        buffer_append_byte(&side->lines, ' ');
        transcript_escape(&side->lines, packet->data);
    }
    buffer_append_byte(&side->lines, '\n');
    if (packet->type == ENGINEIO_OPEN)
        check_open(packet->data);
}

static void write_payload_again(struct buffer *out, const struct engineio_packet *packet)
{
    engineio_append_separator(out, 0);
    if (packet->binary)
        engineio_append_binary(out, packet->data);
    else
        engineio_append_packet(out, packet->type, packet->data);
}

static void read_payload(struct side *side, struct bytes body, bool from_server)
{
    struct engineio_payload_reader reader;
    struct engineio_packet packet;
    auto_buffer struct buffer scratch = {0}, again = {0};
    enum status status = engineio_payload_init(&reader, body, 100);
    while (status == STATUS_OK) {
        status = engineio_payload_next(&reader, &scratch, &packet);
        if (status == STATUS_OK) {
            read_packet(side, &packet, from_server);
            write_payload_again(&again, &packet);
        }
    }
    ck_assert_int_eq(status, STATUS_NOT_FOUND);
    expect_same(buffer_peek(&again), body);
}

static void read_frame(struct side *side, const struct websocket_item *item, bool from_server)
{
    struct engineio_packet packet;
    auto_buffer struct buffer scratch = {0};
    switch (item->opcode) {
    case WEBSOCKET_TEXT:
        ck_assert_int_eq(engineio_decode(item->payload, &scratch, &packet), STATUS_OK);
        read_packet(side, &packet, from_server);
        return;
    case WEBSOCKET_BINARY:
        packet = engineio_binary(item->payload);
        read_packet(side, &packet, from_server);
        return;
    case WEBSOCKET_CLOSE:
        buffer_append_format(&side->lines, "websocket close %u\n", item->close_code);
        return;
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
    case WEBSOCKET_CONTINUATION:
        ck_abort_msg("not in these transcripts");
    }
}

/* A connection of a client, by and by. */
struct connection {
    struct side *side;
    struct http_reader http;
    struct websocket_reader websocket;
    struct buffer body;
    bool upgraded;
};

static void feed_websocket(struct connection *connection, struct bytes input)
{
    struct websocket_item item;
    enum status status;
    while ((status = websocket_reader_next(&connection->websocket, &input, &item)) == STATUS_OK)
        read_frame(connection->side, &item, false);
    ck_assert(status == STATUS_INCOMPLETE || status == STATUS_CLOSED);
}

static void begin_request(struct connection *connection, const struct http_request *request)
{
    struct bytes key;
    buffer_append_format(&connection->side->lines, "request %.*s %.*s%s\n",
                         BYTES_PRINT(request->method_name), BYTES_PRINT(request->target),
                         request->upgrade ? " upgrade" : "");
    if (!request->upgrade)
        return;
    ck_assert_int_eq(websocket_check_handshake(request, &key), STATUS_OK);
    auto_buffer struct buffer rest = {0};
    http_reader_upgrade(&connection->http, &rest);
    connection->upgraded = true;
    feed_websocket(connection, buffer_peek(&rest));
}

static void feed_http(struct connection *connection, struct bytes input)
{
    struct http_item item;
    enum status status = STATUS_OK;
    http_reader_feed(&connection->http, input);
    while (!connection->upgraded &&
           (status = http_reader_next(&connection->http, &item)) == STATUS_OK) {
        if (item.kind == HTTP_ITEM_HEAD) {
            begin_request(connection, &item.request);
        } else if (item.kind == HTTP_ITEM_BODY) {
            buffer_append(&connection->body, item.body);
        } else if (buffer_size(&connection->body)) {
            read_payload(connection->side, buffer_peek(&connection->body), false);
            buffer_clear(&connection->body);
        }
    }
    ck_assert(connection->upgraded || status == STATUS_INCOMPLETE);
}

static void read_client(struct side *side, struct bytes input, size_t piece)
{
    struct connection connection = {.side = side};
    http_reader_init(&connection.http, &http_limits);
    websocket_reader_init(&connection.websocket, 100000);
    while (input.size) {
        struct bytes part = bytes_of(input.data, piece < input.size ? piece : input.size);
        input = bytes_skip(input, part.size);
        if (connection.upgraded)
            feed_websocket(&connection, part);
        else
            feed_http(&connection, part);
    }
    http_reader_deinit(&connection.http);
    websocket_reader_deinit(&connection.websocket);
    buffer_deinit(&connection.body);
}

/* A server's frames are unmasked, which our reader refuses: cut by hand, and framed anew. */
static void read_server_frames(struct side *side, struct bytes input)
{
    while (input.size) {
        struct websocket_item item = {.opcode = (enum websocket_opcode)(input.data[0] & 0xf)};
        uint64_t size = input.data[1];
        size_t header = size == 126 ? 4 : size == 127 ? 10 : 2;
        if (header > 2)
            size = 0;
        for (size_t i = 2; i < header; i++)
            size = size << 8 | input.data[i];
        item.payload = bytes_of(input.data + header, (size_t)size);
        auto_buffer struct buffer again = {0};
        if (item.opcode == WEBSOCKET_CLOSE) {
            item.close_code = WEBSOCKET_CLOSE_NO_CODE;
            websocket_append_close(&again, WEBSOCKET_CLOSE_NO_CODE, "");
        } else {
            websocket_append_frame(&again, item.opcode, item.payload);
        }
        expect_same(buffer_peek(&again), bytes_of(input.data, header + (size_t)size));
        read_frame(side, &item, true);
        input = bytes_skip(input, header + (size_t)size);
    }
}

static void expect_lines(const char *path, const struct section *section, struct buffer *lines,
                         size_t piece)
{
    ck_assert_msg(bytes_equal(buffer_peek(lines), section->packets),
                  "%s, %.*s, in pieces of %zu gave:\n%.*sinstead of:\n%.*s", path,
                  BYTES_PRINT(section->title), piece, BYTES_PRINT(buffer_peek(lines)),
                  BYTES_PRINT(section->packets));
    buffer_clear(lines);
}

/* Returns how many sections were read. */
static size_t run_conversation(const char *path, size_t piece)
{
    auto_free char *file = transcript_read(path);
    struct bytes text = bytes_of_string(file);
    struct section section = {0};
    struct side client, server;
    side_init(&client);
    side_init(&server);
    size_t count = 0;
    for (; transcript_next(&text, &section); count++) {
        struct bytes bytes = buffer_peek(&section.bytes);
        bool from_client = bytes_equal_string(section.kind, "client");
        if (from_client)
            read_client(&client, bytes, piece);
        else if (bytes_equal_string(section.kind, "server-payload"))
            read_payload(&server, bytes, true);
        else if (bytes_equal_string(section.kind, "server-frames"))
            read_server_frames(&server, bytes);
        else
            ck_abort_msg("%s: what is %.*s?", path, BYTES_PRINT(section.kind));
        expect_lines(path, &section, from_client ? &client.lines : &server.lines, piece);
    }
    side_deinit(&client);
    side_deinit(&server);
    buffer_deinit(&section.bytes);
    return count;
}

START_TEST(conversations_are_read_as_the_libraries_read_them_however_they_are_cut)
{
    static const char *const paths[] = {
        "tests/golden/conversation-polling.md", "tests/golden/conversation-websocket.md",
        "tests/golden/conversation-upgrade.md", "tests/golden/conversation-namespaces.md"};
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++)
            ck_assert_uint_gt(run_conversation(paths[i], pieces[j]), 1);
}
END_TEST

static void judge_engineio(struct bytes body, struct buffer *out)
{
    struct engineio_payload_reader reader;
    struct engineio_packet packet;
    auto_buffer struct buffer scratch = {0};
    enum status status = engineio_payload_init(&reader, body, 100);
    while (status == STATUS_OK &&
           (status = engineio_payload_next(&reader, &scratch, &packet)) == STATUS_OK) {
        buffer_append_string(out, engineio_names[packet.type]);
        if (packet.binary)
            buffer_append_string(out, " binary");
        if (packet.data.size)
            buffer_append_byte(out, ' ');
        if (packet.binary)
            write_hexadecimal(out, packet.data);
        else
            transcript_escape(out, packet.data);
        buffer_append_byte(out, '\n');
    }
    if (status != STATUS_NOT_FOUND)
        buffer_append_string(out, "refused\n");
}

static void judge_socketio(struct bytes text, struct buffer *out)
{
    struct socketio_decoder decoder;
    struct socketio_packet packet;
    socketio_decoder_init(&decoder, &socketio_limits);
    enum status status = socketio_decoder_text(&decoder, text, &packet);
    while (status == STATUS_INCOMPLETE)
        status = socketio_decoder_binary(&decoder, BYTES_LITERAL("x"), &packet);
    if (status) {
        buffer_append_string(out, "refused\n");
    } else {
        buffer_append_format(out, "%s %.*s", socketio_name(packet.type),
                             BYTES_PRINT(packet.name_space));
        if (packet.has_ack_id)
            buffer_append_format(out, " id=%llu", (unsigned long long)packet.ack_id);
        if (packet.payload.size && packet.payload.data[0] == '[')
            buffer_append_format(out, " elements=%u",
                                 packet.argument_count + (packet.event.size > 0));
        buffer_append_byte(out, '\n');
    }
    socketio_decoder_deinit(&decoder);
}

static void run_texts(const char *path, size_t at_least)
{
    auto_free char *file = transcript_read(path);
    struct bytes text = bytes_of_string(file);
    struct section section = {0};
    auto_buffer struct buffer lines = {0};
    size_t count = 0;
    for (; transcript_next(&text, &section); count++) {
        if (bytes_equal_string(section.kind, "engineio"))
            judge_engineio(buffer_peek(&section.bytes), &lines);
        else
            judge_socketio(buffer_peek(&section.bytes), &lines);
        expect_lines(path, &section, &lines, SIZE_MAX);
    }
    ck_assert_uint_ge(count, at_least);
    buffer_deinit(&section.bytes);
}

START_TEST(texts_are_judged_as_the_libraries_judge_them)
{
    run_texts("tests/golden/engineio-payloads.md", 20);
    run_texts("tests/golden/socketio-texts.md", 100);
}
END_TEST

START_TEST(accidents_of_the_library_are_refused)
{
    run_texts("tests/golden/socketio-stricter.md", 10);
}
END_TEST

TEST_PROGRAM("golden", conversations_are_read_as_the_libraries_read_them_however_they_are_cut,
             texts_are_judged_as_the_libraries_judge_them, accidents_of_the_library_are_refused)
