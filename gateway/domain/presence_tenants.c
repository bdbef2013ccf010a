/* Tenants of presence: what the rooms of each take of what is shared, space and turns.
 *
 * A tenant has a share of the space for what others write, and his rooms are written in turn with
 * those of the others, however many he has. Of whom something had to be left out is kept with him,
 * so that it makes no other's snapshots incomplete. */
#include "presence_private.h"

/* Whose rooms of this scope are. Those that are shared over tenants are a tenant's of their own. */
static struct bytes tenant_of(struct bytes scope)
{
    struct bytes tenant;
    return lane_scope_take(LANE_SCOPE_TENANT, scope, &tenant) ? tenant : scope;
}

static struct presence_tenant *find_by_name(const struct presence *presence, struct bytes name)
{
    struct presence_tenant *tenant;
    const void *key = name.size ? (const void *)name.data : "";
    HASH_FIND_BYHASHVALUE(hh, presence->tenants, key, name.size,
                          presence_hash(presence, key, name.size), tenant);
    return tenant;
}

struct presence_tenant *presence_tenant_find(const struct presence *presence, struct bytes scope)
{
    return find_by_name(presence, tenant_of(scope));
}

static struct presence_tenant *tenant_new(struct presence *presence, struct bytes name)
{
    struct presence_tenant *tenant = mem_alloc(sizeof(*tenant) + name.size);
    tenant->size = narrow_16(name.size);
    if (name.size)
        memcpy(tenant->name, name.data, name.size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, presence->tenants, tenant->name, name.size,
                                presence_hash(presence, tenant->name, name.size), tenant);
    return tenant;
}

struct presence_tenant *presence_tenant_hold(struct presence *presence, struct bytes scope)
{
    struct bytes name = tenant_of(scope);
    struct presence_tenant *tenant = find_by_name(presence, name);
    if (!tenant)
        tenant = tenant_new(presence, name);
    else if (tenant->rooms == 0)
        DL_DELETE2(presence->roomless, tenant, turn_prev, turn_next);
    tenant->rooms++;
    return tenant;
}

static void tenant_free(struct presence *presence, struct presence_tenant *tenant)
{
    assert(presence->tenants && tenant->rooms == 0 && tenant->entries == 0 && !tenant->unwritten);
    HASH_DELETE(hh, presence->tenants, tenant);
    free(tenant);
}

/* That something of his was left out is remembered: the next room may be the one. */
void presence_tenant_release(struct presence *presence, struct presence_tenant *tenant)
{
    assert(tenant->rooms > 0);
    if (--tenant->rooms)
        return;
    if (presence_tenant_is_partly(presence, tenant))
        DL_APPEND2(presence->roomless, tenant, turn_prev, turn_next);
    else
        tenant_free(presence, tenant);
}

/* They are as few as shares fit into all space, and those that were emptied in a minute. */
void presence_tenants_whole(struct presence *presence)
{
    struct presence_tenant *tenant, *next;
    DL_FOREACH_SAFE2(presence->roomless, tenant, next, turn_next) {
        if (presence_tenant_is_partly(presence, tenant))
            continue;
        DL_DELETE2(presence->roomless, tenant, turn_prev, turn_next);
        tenant_free(presence, tenant);
    }
}

/* --- space ------------------------------------------------------------------------------------ */

/* Below this there is space again for what was left out: not at the limit itself, or each who comes
 * and goes there would have the log read again. */
static uint64_t roomy(uint64_t limit)
{
    return limit - limit / 10;
}

bool presence_has_space_again(const struct presence *presence)
{
    return presence->stats.entries < roomy(presence->config.entries);
}

void presence_tenant_count(struct presence *presence, struct presence_tenant *tenant, uint64_t more,
                           uint64_t less)
{
    assert(tenant->entries + more >= less && presence->stats.entries + more >= less);
    presence->stats.entries = presence->stats.entries + more - less;
    tenant->entries = tenant->entries + more - less;
    if (less > more && tenant->partly_in >= presence->whole &&
        tenant->entries < roomy(presence->config.tenant_entries))
        presence->wants_again = true;
}

static uint64_t share_left(uint64_t limit, uint64_t taken)
{
    return limit > taken ? limit - taken : 0;
}

uint64_t presence_space(const struct presence *presence, const struct presence_tenant *tenant,
                        uint64_t before, enum presence_drop *short_of)
{
    uint64_t taken = tenant ? tenant->entries : 0;
    assert(taken >= before && presence->stats.entries >= taken);
    uint64_t all = share_left(presence->config.entries, presence->stats.entries - before);
    uint64_t own = share_left(presence->config.tenant_entries, taken - before);
    *short_of = own < all ? PRESENCE_DROP_TENANT : PRESENCE_DROP_ENTRIES;
    return own < all ? own : all;
}

/* --- turns ------------------------------------------------------------------------------------ */

void presence_turn_add(struct presence *presence, struct presence_room *room)
{
    struct presence_tenant *tenant = room->tenant;
    assert(tenant->rooms > 0 && !room->again);
    if (!tenant->unwritten)
        DL_APPEND2(presence->turns, tenant, turn_prev, turn_next);
    DL_APPEND2(tenant->unwritten, room, unwritten_prev, unwritten_next);
}

void presence_turn_delete(struct presence *presence, struct presence_room *room)
{
    struct presence_tenant *tenant = room->tenant;
    assert(tenant->unwritten && presence->turns);
    DL_DELETE2(tenant->unwritten, room, unwritten_prev, unwritten_next);
    if (!tenant->unwritten)
        DL_DELETE2(presence->turns, tenant, turn_prev, turn_next);
}

struct presence_room *presence_turn_next(struct presence *presence)
{
    struct presence_tenant *tenant = presence->turns;
    if (!tenant)
        return NULL;
    assert(tenant->unwritten);
    DL_DELETE2(presence->turns, tenant, turn_prev, turn_next);
    DL_APPEND2(presence->turns, tenant, turn_prev, turn_next);
    return tenant->unwritten;
}
