/* Why a client is refused, or its connection ended: the words that clients, logs and metrics see,
 * what each says to a person, and how often each was said. One table for all transports;
 * deploy/docs/refusals.md shows it. A word stays what it is, its text may be said better. Not a
 * decision: that is made where the word is given. */
#ifndef GATEWAY_TRANSPORT_REFUSALS_H
#define GATEWAY_TRANSPORT_REFUSALS_H

#include "buffer.h"
#include "bytes.h"

/* X(word, message). Nothing in a message may tell what a client must not know. */
#define REFUSAL_TABLE(X)                                                                           \
    /* who it is */                                                                                \
    X(token_missing, "there is no token: bring one in `auth.token` or the Authorization field")    \
    X(token_malformed, "the token is no JWT")                                                      \
    X(token_algorithm_not_allowed, "the token is signed by another algorithm than this gateway's") \
    X(token_key_unknown, "the token names a key that this gateway does not know")                  \
    X(token_names_no_key, "the token needs a `kid`: there are too many keys to try")               \
    X(token_signature_wrong, "the token's signature does not fit")                                 \
    X(token_expired, "the token has expired")                                                      \
    X(token_never_expires, "the token has no `exp`")                                               \
    X(token_not_yet_valid, "the token is not valid yet")                                           \
    X(token_issuer_wrong, "the token's `iss` is not the one that is expected")                     \
    X(token_audience_wrong, "the token's `aud` is not the one that is expected")                   \
    X(token_tenant_not_of_issuer, "the token's issuer may not speak for its tenant")               \
    X(token_keys_unavailable, "the keys for tokens cannot be had now: try again")                  \
    X(auth_malformed, "the auth payload is no JSON object")                                        \
    X(bad_claims, "the token's claims are too many, too long or ambiguous")                        \
    X(tenant_missing, "the token says no tenant, which its rooms depend on")                       \
    X(user_missing, "the token says no user, which its rooms depend on")                           \
    X(other_principal, "the token is another user's or tenant's than the session")                 \
    X(too_many_refusals, "too many tokens were refused on this connection")                        \
    X(origin_not_allowed, "pages of this origin may not connect: gateway.cors.origins")            \
    /* rooms */                                                                                    \
    X(not_allowed, "the token does not allow this")                                                \
    X(no_such_room, "no room of this kind or key is configured")                                   \
    X(bad_room, "a room is `kind:key`, of plain text and limited length")                          \
    X(not_joined, "the session is not in this room")                                               \
    X(left, "the room was left before it was joined")                                              \
    X(too_many_rooms, "more rooms than one session or message may name")                           \
    X(too_many_lanes, "the rooms of one session lie in too many lanes")                            \
    X(bad_history, "`since` is a time, `last` a number; one of them is needed")                    \
    X(no_history, "there is no history here")                                                      \
    X(bad_state, "`state` is true, and goes with neither `since` nor `last`")                      \
    X(no_state, "there is no state here")                                                          \
    X(no_presence, "nobody is told who is in rooms of this kind, or your token names no user")     \
    /* requests */                                                                                 \
    X(bad_request, "the request lacks something, or something in it has the wrong form")           \
    X(bad_event_name, "an event's name is plain text of limited length")                           \
    X(unknown_event, "clients may not send an event of this name")                                 \
    X(unknown_message, "there is no message of this type")                                         \
    X(not_connected, "the session is not open yet")                                                \
    X(already_connected, "the session is open already")                                            \
    X(too_many_requests, "too many requests of this session are not answered yet")                 \
    X(too_much_unread, "more of the past waits to be read than a session or tenant may have")      \
    X(rate_limited, "more at a time than one session, user, tenant or address may ask for")        \
    X(too_large, "larger than a client may send")                                                  \
    X(too_deep, "JSON nested deeper than a client may send")                                       \
    /* what must not be sent: the connection ends */                                               \
    X(bad_packet, "this is no packet of Engine.IO or Socket.IO")                                   \
    X(bad_message, "this is no message of the subprotocol")                                        \
    X(bad_frame, "this is no WebSocket frame of a client")                                         \
    X(bad_text, "the text is not UTF-8")                                                           \
    X(wrong_kind_of_message, "text where binary is due, or the other way round")                   \
    X(connect_first, "the first message is `connect`")                                             \
    X(connect_again, "the namespace is joined already")                                            \
    X(no_such_namespace, "there is no such namespace here")                                        \
    X(namespace_not_joined, "a packet for a namespace that is not joined")                         \
    X(second_websocket, "the session has a WebSocket, or is getting one")                          \
    X(bad_upgrade, "the upgrade is `2probe`, then `5`")                                            \
    X(requests_overlap, "two polls, or two POSTs, of one session at a time")                       \
    X(too_many_answers, "the client asks, and does not read the answers")                          \
    X(hello_timeout, "no `connect` came in time")                                                  \
    X(connect_timeout, "no namespace was joined in time")                                          \
    X(message_timeout, "a message did not become whole in time")                                   \
    X(upgrade_timeout, "the upgrade was not completed in time")                                    \
    X(ping_timeout, "nothing was heard for too long")                                              \
    X(too_slow, "nothing was taken for too long")                                                  \
    X(client_left, "the client has closed the session")                                            \
    /* trouble of ours: come again as you are */                                                   \
    X(unavailable, "not possible now: try again")                                                  \
    X(disconnected, "ended by an administrator, or the backend")                                   \
    X(token_revoked, "the token is worth nothing any more: bring a fresh one")                     \
    X(too_many_sessions, "this gateway is full: try again")                                        \
    X(cannot_continue, "the session cannot go on at this gateway: connect again")                  \
    X(restart, "this gateway ends: connect again")                                                 \
    X(ending, "this gateway ends: connect again")                                                  \
    /* why a session starts afresh */                                                              \
    X(unknown_session, "the session is not known here: its keys, or its rooms, are others, or it " \
                       "ended before it was told of its rooms")                                    \
    X(layout, "rooms live elsewhere since")                                                        \
    X(retention, "what was missed is no longer kept")                                              \
    X(overtaken_by_retention, "what was missed is no longer kept")                                 \
    X(too_far, "what was missed is more than may be made up")                                      \
    X(recreated, "the log was made anew")                                                          \
    X(truncated, "the log was cut")                                                                \
    /* HTTP */                                                                                     \
    X(method, "only GET is possible here")                                                         \
    X(not_acceptable, "the answer would be `text/event-stream`")                                   \
    X(bad_http, "this is no HTTP request, or one that could be read in two ways")                  \
    X(not_found, "there is nothing at this path")                                                  \
    X(http_timeout, "the request did not arrive in time")                                          \
    X(head_too_large, "the request's head is larger than it may be")                               \
    X(bad_handshake, "this is no WebSocket handshake of version 13")                               \
    X(unknown_transport, "`transport` is neither polling nor websocket, or is switched off")       \
    X(unknown_sid, "the session is not known here, or has ended: connect again")                   \
    X(bad_handshake_method, "a session is opened by GET")                                          \
    X(forbidden, "the handshake is refused")                                                       \
    X(unsupported_protocol_version, "only Engine.IO 4 (`EIO=4`) is spoken here")                   \
    X(not_a_peer, "only other gateways may ask this")                                              \
    X(subprotocol, "a subprotocol is needed: smartstack.v1.json or smartstack.v1.protobuf")

enum refusal {
#define X(word, message) REFUSAL_##word,
    REFUSAL_TABLE(X)
#undef X
        REFUSAL_OTHER, /* a word that stands in no table */
    REFUSAL_COUNT
};

struct wire;

/* One refusal. */
struct refusal_note {
    const char *transport;              /* "socketio", "engineio", "websocket", "sse", "http" */
    const char *word;                   /* of the table */
    const char *claim;                  /* that is missing; NULL: it is not about one */
    bool ends;                          /* the connection, or the attempt at one, is over */
    struct bytes user, tenant, session; /* empty: not known */
    const struct wire *wire;            /* whose peer it was; NULL: not at hand */
};

/* Zeroed: nothing yet. */
struct refusals {
    uint64_t counts[REFUSAL_COUNT];
    void (*told)(void *context, const struct refusal_note *note); /* for logs; NULL: nobody */
    void *context;
};

/* Counts it, and hands it on. `refusals` NULL: nothing happens. */
void refusals_note(struct refusals *refusals, const struct refusal_note *note);

/* The word's place in the table; REFUSAL_OTHER. */
enum refusal refusal_of(const char *word);
const char *refusal_word(enum refusal refusal);
/* The word for what a reader of WebSocket frames closes with. */
const char *refusal_of_frame(unsigned close_code);
/* What the word says to a person. */
const char *refusal_message(const char *word);
/* The same, as text, with the claim that is missing unless that is NULL. */
void refusal_append_message(struct buffer *out, const char *word, const char *claim);
/* "code":"not_allowed","message":"..." */
void refusal_append_members(struct buffer *out, const char *word, const char *claim);
/* {"code":"not_allowed","message":"..."} */
void refusal_append_json(struct buffer *out, const char *word, const char *claim);
/* "retryAfter":2, as a further member: seconds, at least one; nothing if it is not known (0) */
void refusal_append_retry(struct buffer *out, int64_t retry_after_ms);
/* {"ok":false,"error":{"code":"not_allowed","message":"..."}}: how requests over Socket.IO are
 * refused */
void refusal_append_answer(struct buffer *out, const char *word, const char *claim,
                           int64_t retry_after_ms);

#endif
