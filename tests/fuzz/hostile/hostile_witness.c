#include "hostile_witness.h"

#include <assert.h>
#include <stdio.h>

#include "hostile_text.h"
#include "hostile_world.h"

enum kind { WITNESS_SOCKETIO, WITNESS_WEBSOCKET, WITNESS_SSE, WITNESSES };
enum { CLOSE = 8, PING = 9, PONG = 10, TEXT = 1 };

static struct witness {
    enum kind kind;
    struct hostile_wire *wire;
    struct buffer said; /* what it answers */
    bool upgraded, joined;
    unsigned last;
} witnesses[WITNESSES];

/* Every number in the text, in order: each is the next one. */
static void take_numbers(struct witness *witness, struct bytes text)
{
    static const char before[] = "\"n\":";
    const uint8_t *at;
    while ((at = memmem(text.data, text.size, before, sizeof(before) - 1))) {
        text = bytes_skip(text, (size_t)(at - text.data) + sizeof(before) - 1);
        unsigned number = 0;
        for (; text.size && text.data[0] >= '0' && text.data[0] <= '9'; text = bytes_skip(text, 1))
            number = 10 * number + (text.data[0] - '0');
        assert(number == witness->last + 1);
        witness->last = number;
    }
}

static bool contains(struct bytes text, const char *what)
{
    return memmem(text.data, text.size, what, strlen(what));
}

static void take_message(struct witness *witness, struct bytes text)
{
    bool socketio = witness->kind == WITNESS_SOCKETIO;
    assert(!contains(text, "\"error\"") && !contains(text, "unsubscribed"));
    if (contains(text, socketio ? "43" : "\"ack\""))
        witness->joined = true;
    if (socketio && bytes_equal_string(text, "2"))
        hostile_append_frame(&witness->said, TEXT, BYTES_LITERAL("3"));
    else
        take_numbers(witness, text);
}

static void take_frame(struct witness *witness, const struct hostile_frame *frame)
{
    assert(frame->opcode != CLOSE);
    if (frame->opcode == PING)
        hostile_append_frame(&witness->said, PONG, frame->payload);
    if (frame->opcode == TEXT)
        take_message(witness, frame->payload);
}

static void take_frames(struct witness *witness)
{
    struct buffer *out = &witness->wire->out;
    struct hostile_frame frame;
    if (!witness->upgraded) {
        const uint8_t *end = memmem(buffer_peek(out).data, buffer_size(out), "\r\n\r\n", 4);
        assert(end && bytes_start_with(buffer_peek(out), BYTES_LITERAL("HTTP/1.1 101")));
        buffer_consume(out, (size_t)(end - buffer_peek(out).data) + 4);
        witness->upgraded = true;
    }
    while (hostile_next_frame(out, &frame)) {
        take_frame(witness, &frame);
        buffer_consume(out, frame.size);
    }
}

bool hostile_witnesses_read(void)
{
    bool answered = false;
    for (size_t i = 0; i < WITNESSES; i++) {
        struct witness *witness = &witnesses[i];
        assert(!witness->wire->closed);
        if (buffer_size(&witness->wire->out) == 0)
            continue;
        if (witness->kind == WITNESS_SSE) {
            take_numbers(witness, buffer_peek(&witness->wire->out));
            buffer_clear(&witness->wire->out);
        } else {
            take_frames(witness);
        }
        if (buffer_size(&witness->said)) {
            hostile_wire_send(witness->wire, buffer_peek(&witness->said), SIZE_MAX, world.now_ms);
            buffer_clear(&witness->said);
            answered = true;
        }
    }
    return answered;
}

void hostile_witnesses_check(void)
{
    for (size_t i = 0; i < WITNESSES; i++)
        assert(witnesses[i].last == world.witnessed);
}

static void say(struct witness *witness, const char *text)
{
    struct buffer frame = {0};
    hostile_append_frame(&frame, TEXT, bytes_of_string(text));
    hostile_wire_send(witness->wire, buffer_peek(&frame), SIZE_MAX, world.now_ms);
    buffer_deinit(&frame);
}

static void settle(void)
{
    do
        hostile_world_run();
    while (hostile_witnesses_read());
}

static void enter(struct witness *witness)
{
    auto_buffer struct buffer head = {0};
    static const char *const targets[] = {"/socket.io/?EIO=4&transport=websocket", "/ws",
                                          ("/sse?room=" HOSTILE_WITNESS_ROOM)};
    witness->wire = hostile_wire_open(world.gateways[0].http, 0, world.now_ms);
    hostile_append_request(&head, targets[witness->kind],
                           witness->kind == WITNESS_SSE ? HOSTILE_STREAM : HOSTILE_UPGRADE,
                           "witness");
    hostile_wire_send(witness->wire, buffer_peek(&head), SIZE_MAX, world.now_ms);
}

void hostile_witnesses_enter(void)
{
    for (unsigned i = 0; i < WITNESSES; i++) {
        witnesses[i] = (struct witness){.kind = (enum kind)i};
        enter(&witnesses[i]);
    }
    say(&witnesses[WITNESS_SOCKETIO], "40{\"token\":\"witness\"}");
    say(&witnesses[WITNESS_WEBSOCKET], "{\"type\":\"connect\",\"token\":\"witness\"}");
    settle();
    say(&witnesses[WITNESS_SOCKETIO], "421[\"subscribe\",\"" HOSTILE_WITNESS_ROOM "\"]");
    say(&witnesses[WITNESS_WEBSOCKET],
        "{\"type\":\"subscribe\",\"id\":1,\"rooms\":[\"" HOSTILE_WITNESS_ROOM "\"]}");
    settle();
    assert(witnesses[WITNESS_SOCKETIO].joined && witnesses[WITNESS_WEBSOCKET].joined);
}

void hostile_witnesses_leave(void)
{
    for (size_t i = 0; i < WITNESSES; i++) {
        buffer_deinit(&witnesses[i].said);
        hostile_wire_let_go(witnesses[i].wire);
    }
}
