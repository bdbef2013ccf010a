/* What histories hold that are not given yet, by whose they are: of a session, of all sessions of a
 * tenant, of all. So who asks and does not read leaves space for the others.
 *
 * A tenant's is known while a history of his, or a list that one of his has asked for first, is held.
 * Which limits there are hub_config.history says. */
#ifndef GATEWAY_DOMAIN_HISTORY_SHARE_H
#define GATEWAY_DOMAIN_HISTORY_SHARE_H

#include <stddef.h>

#include "bytes.h"

struct hub;
struct history_share;
struct session;

/* What a history is too much for. */
enum history_limit {
    HISTORY_FITS,
    HISTORY_LIMIT_ONE, /* what one may hold */
    HISTORY_LIMIT_SESSION,
    HISTORY_LIMIT_TENANT,
    HISTORY_LIMIT_ALL,
    HISTORY_LIMITS
};

/* For the session's tenant; it is held. NULL: it has none. */
struct history_share *history_share_hold(struct hub *hub, const struct session *session);
/* The same once more. */
struct history_share *history_share_hold_again(struct history_share *share);
/* NULL: nothing happens. */
void history_share_drop(struct history_share *share);
/* So many bytes more, or less. NULL: nothing happens. */
void history_share_add(struct history_share *share, size_t bytes);
void history_share_take(struct history_share *share, size_t bytes);

/* Who has more than he may, if this much is held by the session; its tenant's share may be NULL. */
enum history_limit history_share_limit(const struct hub *hub, const struct session *session,
                                       const struct history_share *share);
/* Why the session gets no further history now: of a limit three quarters are held. */
enum history_limit history_share_full(const struct session *session);

#endif
