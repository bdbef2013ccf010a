/* The bytes that clients send and read: request heads, frames. */
#ifndef TESTS_FUZZ_HOSTILE_TEXT_H
#define TESTS_FUZZ_HOSTILE_TEXT_H

#include "buffer.h"

enum hostile_request { HOSTILE_GET, HOSTILE_UPGRADE, HOSTILE_UPGRADE_PROTOBUF, HOSTILE_STREAM };

/* The head of a request without a body; token NULL: none. */
void hostile_append_request(struct buffer *out, const char *target, enum hostile_request kind,
                            const char *token);
void hostile_append_post(struct buffer *out, const char *target, struct bytes body);

/* A whole frame of a client. */
void hostile_append_frame(struct buffer *out, unsigned opcode, struct bytes payload);

/* A frame of a server, borrowed from the buffer. */
struct hostile_frame {
    unsigned opcode;
    struct bytes payload;
    size_t size; /* with its head */
};
/* The first frame in the buffer; false: it is not whole. */
bool hostile_next_frame(const struct buffer *buffer, struct hostile_frame *frame);

#endif
