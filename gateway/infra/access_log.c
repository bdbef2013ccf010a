#include "access_log.h"

#include "hub.h"
#include "log.h"

static const char *or_nothing(const char *text)
{
    return text ? text : "";
}

void access_log(void *context, const struct access_note *note)
{
    (void)context;
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    const struct log_field session = LOG_BYTES("session", session_public_id(note->session));
    const struct log_field tenant = LOG_BYTES("tenant", session_tenant(note->session));
    const struct log_field user = LOG_BYTES("user", session_user(note->session));
    const struct log_field transport = LOG_STRING("transport", session_transport(note->session));
    switch (note->kind) {
    case ACCESS_OPENED:
        log_info("session opened", session, tenant, user, transport,
                 LOG_BOOLEAN("recovered", note->recovered), LOG_UNSIGNED("rooms", note->rooms),
                 LOG_STRING("reason", or_nothing(note->reason)));
        break;
    case ACCESS_JOINED:
        log_info("room joined", session, tenant, user, transport, LOG_BYTES("room", note->room));
        break;
    case ACCESS_CLOSED:
        log_info("session closed", session, tenant, user, transport,
                 LOG_STRING("reason", note->reason ? note->reason : "client_gone"),
                 LOG_UNSIGNED("notifications", note->notifications),
                 LOG_UNSIGNED("rooms", note->rooms), LOG_INTEGER("lasted_ms", note->lasted_ms));
        break;
    }
}
