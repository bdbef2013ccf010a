/* A wire of arrays and, around it, a small world: clock, wheel, HTTP server and one Engine.IO
 * server or Socket.IO server. A test talks HTTP and WebSocket to it and reads what comes back.
 * Sockets' moods are fields: full, cut, closed. */
#ifndef TESTS_UNIT_TRANSPORT_FAKE_WIRE_H
#define TESTS_UNIT_TRANSPORT_FAKE_WIRE_H

#include "socketio_server.h"
#include "wire.h"

struct fake_wire {
    struct wire wire;  /* first */
    struct buffer out; /* what the server wrote */
    size_t writes;     /* how often */
    bool wanted;       /* asked for `writable` */
    bool closed;       /* by the server */
    bool aborted;      /* likewise, without flushing */
    bool full;         /* the next write is kept: not writable until fake_drain() */
    struct fake_wire *next;
};

struct fake_world {
    struct timer_wheel wheel;
    struct http_server *http;
    struct engineio_server *engineio;
    struct socketio_server *socketio;
    struct fake_wire *wires;
    int64_t now_ms;
    bool byte_by_byte; /* input comes in portions of one byte, each in a turn of its own */
    uint8_t random;
    void (*others)(void); /* run in every turn, if set */
    char text[256 * 1024];
};

extern struct fake_world world;

/* Settings of the suites: 300, 200, 1,000,000; change them before fake_start(). */
extern struct engineio_config fake_engineio;
extern struct socketio_config fake_socketio;
extern struct http_server_config fake_http;

/* ops NULL: Socket.IO with fake_socketio. */
void fake_start(const struct engineio_application_ops *ops, bool byte_by_byte);
/* Ends everything; the sanitizer sees what was forgotten. */
void fake_stop(void);

/* The same in parts, for a test that makes servers of its own: clock and wheel; at the end, what is
 * left of wires. */
void fake_begin(bool byte_by_byte);
void fake_forget(void);
void fake_random(void *context, uint8_t *out, size_t size);

/* A turn of the loop; then time passes, turn by turn, deadline by deadline. */
void fake_turn(void);
void fake_pass(int64_t ms);

struct fake_wire *fake_open(void);
void fake_send(struct fake_wire *wire, struct bytes bytes);
/* The peer is gone. The wire may still be read. */
void fake_cut(struct fake_wire *wire);
/* The socket takes bytes again. */
void fake_drain(struct fake_wire *wire);

/* What was written since the last call, as text (valid until the next call). */
const char *fake_take(struct fake_wire *wire);

/* ---- HTTP ---- */

/* Opens a wire and sends "GET target"; body NULL: none. Does not wait. */
struct fake_wire *fake_request(const char *method, const char *target, const char *body);
/* The body of the one answer on the wire; asserts the code. */
const char *fake_answer(struct fake_wire *wire, unsigned code);
/* Both at once, for answers that come at once. */
const char *fake_ask(const char *method, const char *target, const char *body, unsigned code);
/* Polling handshake; the sid. */
const char *fake_handshake(char sid[64]);

/* ---- WebSocket ---- */

/* Sends the upgrade request; `behind` (may be NULL) follows in the same bytes. */
struct fake_wire *fake_upgrade(const char *target, const struct buffer *behind);
/* Fields (each with its CRLF) for the next upgrades and requests; "": none. */
extern const char *fake_fields;
void fake_append_frame(struct buffer *out, unsigned opcode, struct bytes payload);
void fake_frame(struct fake_wire *wire, const char *text);
void fake_binary_frame(struct fake_wire *wire, struct bytes payload);
/* The frames since the last call: "text|text|<binary 3>|<close 1000>". Asserts that they are whole.
 */
const char *fake_frames(struct fake_wire *wire);

#endif
