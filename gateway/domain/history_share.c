/* One number for each tenant that has something, in a table by his name. */
#include "history_share.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"

struct history_share {
    struct hub *hub;
    size_t bytes;
    size_t holders; /* histories and lists */
    UT_hash_handle hh;
    uint16_t size;
    uint8_t name[];
};

static unsigned share_hash(const struct hub *hub, struct bytes name)
{
    return (unsigned)XXH3_64bits_withSeed(name.data, name.size, hub->config.hash_seed);
}

static struct history_share *share_find(const struct hub *hub, struct bytes name)
{
    struct history_share *share = NULL;
    if (name.size)
        HASH_FIND_BYHASHVALUE(hh, hub->history_shares, name.data, name.size, share_hash(hub, name),
                              share);
    return share;
}

struct history_share *history_share_hold(struct hub *hub, const struct session *session)
{
    struct bytes name = session_tenant(session);
    struct history_share *share = share_find(hub, name);
    if (share || name.size == 0)
        return history_share_hold_again(share);
    share = mem_alloc(sizeof(*share) + name.size);
    share->hub = hub;
    share->holders = 1;
    share->size = narrow_16(name.size);
    memcpy(share->name, name.data, name.size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, hub->history_shares, share->name, name.size,
                                share_hash(hub, name), share);
    return share;
}

struct history_share *history_share_hold_again(struct history_share *share)
{
    assert(!share || share->holders > 0);
    if (share)
        share->holders++;
    return share;
}

void history_share_drop(struct history_share *share)
{
    if (!share)
        return;
    assert(share->holders > 0);
    if (--share->holders)
        return;
    assert(share->bytes == 0); /* who counts holds it */
    HASH_DELETE(hh, share->hub->history_shares, share);
    free(share);
}

void history_share_add(struct history_share *share, size_t bytes)
{
    if (!share)
        return;
    assert(share->holders > 0 && share->bytes <= SIZE_MAX - bytes);
    share->bytes += bytes;
}

void history_share_take(struct history_share *share, size_t bytes)
{
    if (!share)
        return;
    assert(share->holders > 0 && share->bytes >= bytes);
    share->bytes -= bytes;
}

enum history_limit history_share_limit(const struct hub *hub, const struct session *session,
                                       const struct history_share *share)
{
    const struct history_limits *limits = &hub->config.history;
    if (session && session->history_bytes > limits->session_buffered)
        return HISTORY_LIMIT_SESSION;
    if (share && share->bytes > limits->tenant_buffered)
        return HISTORY_LIMIT_TENANT;
    return hub->stats.history_bytes > limits->buffered ? HISTORY_LIMIT_ALL : HISTORY_FITS;
}

/* With so little left a history would be all but empty. */
static bool is_full(uint64_t bytes, uint64_t limit)
{
    return bytes >= limit - limit / 4;
}

enum history_limit history_share_full(const struct session *session)
{
    const struct hub *hub = session->hub;
    const struct history_limits *limits = &hub->config.history;
    const struct history_share *share = share_find(hub, session_tenant(session));
    if (is_full(session->history_bytes, limits->session_buffered))
        return HISTORY_LIMIT_SESSION;
    if (share && is_full(share->bytes, limits->tenant_buffered))
        return HISTORY_LIMIT_TENANT;
    return is_full(hub->stats.history_bytes, limits->buffered) ? HISTORY_LIMIT_ALL : HISTORY_FITS;
}
