/* Until when a client's token holds, whatever carries the client.
 *
 *      holds -- it expires --> expired -- the time of grace passes --> over
 *        ^                        |
 *        '----- a fresh token ----'
 *
 * A client whose token has expired is told, and may bring another one; when the grace is over, its
 * connection ends. Not who the client is (identity.h), and nothing is said to it from here. */
#ifndef GATEWAY_TRANSPORT_TOKEN_EXPIRY_H
#define GATEWAY_TRANSPORT_TOKEN_EXPIRY_H

#include "hub.h"
#include "identity.h"
#include "timer_wheel.h"

/* An adapter's, at the time of the call. */
struct token_times {
    struct timer_wheel *wheel;
    int64_t grace_ms;
    int64_t now_ms, wall_ms;
};

/* Embedded in what it belongs to, whose owner sets timer.fire. Zeroed: no token yet. */
struct token_expiry {
    struct timer timer;
    int64_t expires_ms; /* wall clock; INT64_MAX: never */
    bool expired;       /* the time of grace runs */
};

/* A token holds until then. */
void token_expiry_set(struct token_expiry *expiry, const struct token_times *times,
                      int64_t expires_ms);

/* Its timer has fired. False: the token has expired, and the grace begins now. True: it is over. */
bool token_expiry_is_over(struct token_expiry *expiry, const struct token_times *times);

/* An open session's client has brought another token, and it is known whose it is. Returns NULL (the
 * session's stream answers `request`, and the token's time is set), or a word that says why not:
 * the session then goes on with the token it has. */
const char *token_expiry_refresh(struct token_expiry *expiry, const struct token_times *times,
                                 struct session *session, uint64_t request,
                                 enum identity_verdict verdict, const struct identity *identity);

/* For a session that moves to another gateway. */
void token_expiry_pack(const struct token_expiry *expiry, const struct token_times *times,
                       struct buffer *state);
/* Takes it off the front of `state`, and goes on with it. False: it is no such state, or one beyond
 * the limits of this gateway. */
bool token_expiry_unpack(struct token_expiry *expiry, const struct token_times *times,
                         struct bytes *state);

#endif
