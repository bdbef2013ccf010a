/* What is known of a session without regard to its stream: whose it is, what it may send, what
 * it may spend. Before its claims have been read it has no user, no tenant and no right. */
#include "hub_state.h"

struct bytes session_user(const struct session *session)
{
    return session->claims ? claims_user(session->claims) : bytes_of("", 0);
}

struct bytes session_tenant(const struct session *session)
{
    return session->claims ? claims_tenant(session->claims) : bytes_of("", 0);
}

enum status session_may_send(const struct session *session, struct bytes event)
{
    return session->claims ? policy_may_send(session->hub->config.policy, session->claims, event)
                           : STATUS_DENIED;
}

/* For logs, by what the client speaks: both codecs of a raw WebSocket are one word. */
const char *session_transport(const struct session *session)
{
    static const char *const names[] = {[TRANSPORT_SLOT_SOCKETIO] = "socketio",
                                        [TRANSPORT_SLOT_WEBSOCKET_JSON] = "websocket",
                                        [TRANSPORT_SLOT_WEBSOCKET_PROTOBUF] = "websocket",
                                        [TRANSPORT_SLOT_SSE] = "sse"};
    static_assert(sizeof(names) / sizeof(names[0]) == TRANSPORT_SLOT_COUNT, "a name for each");
    assert(session->transport->slot < TRANSPORT_SLOT_COUNT);
    return names[session->transport->slot];
}

int64_t session_spend(const struct session *session, enum quota_kind kind, int64_t now_ms)
{
    struct hub *hub = session->hub;
    struct quota_refusal refusal;
    if (now_ms < hub->now_ms) /* a transport's turn began before ours */
        now_ms = hub->now_ms;
    /* Refusals are counted here, for whatever was asked; what the client is told is the
     * caller's. */
    if (quota_spend(session->quota, kind, now_ms, &refusal))
        return 0;
    hub->stats.quota_refused[refusal.scope][refusal.kind]++;
    assert(refusal.retry_after_ms > 0);
    return refusal.retry_after_ms;
}

struct bytes session_public_id(const struct session *session)
{
    struct buffer *text = &session->hub->public_id;
    buffer_clear(text);
    cursor_append_base64url(bytes_of(session->public_id, sizeof(session->public_id)), text);
    return buffer_peek(text);
}
