/* The log of presence: what the records of all workers say, and who of the workers is there.
 *
 * Time, for what others do, is the count of this worker's own beats, as they come back in the log:
 * between two of them each other worker that lives has about one. So how long a reader was stopped,
 * or the broker away, does not matter; a worker is gone when it was passed over several times by
 * beats that came behind its own.
 *
 *    unknown -- any record --> idle -- a beat, behind our first --> live
 *                               ^  <-- PRESENCE_BEATS_MISSED of ours --+
 *                               |
 *                    PRESENCE_SWEEP_AFTER of ours: its records are removed, then its beat
 *
 * An idle worker's lists are kept: if it was only stopped, its next beat brings all of them back. */
#include "presence_private.h"

enum {
    ROOMS_A_TICK = 1000,
    LISTS_A_RUN = 2000,
    SWEPT_A_BEAT = 200,
    WORKERS_AGAIN = PRESENCE_WORKERS_MOST - PRESENCE_WORKERS_MOST / 10,
};

/* --- workers ---------------------------------------------------------------------------------- */

static struct presence_worker *worker_find(const struct presence *presence, struct bytes id)
{
    struct presence_worker *worker;
    HASH_FIND_BYHASHVALUE(hh, presence->workers, id.data, id.size,
                          presence_hash(presence, id.data, id.size), worker);
    return worker;
}

static struct presence_worker *worker_new(struct bytes id)
{
    struct presence_worker *worker = mem_alloc(sizeof(*worker) + id.size);
    assert(id.size > 0 && id.size <= PRESENCE_WORKER_TEXT_LIMIT);
    worker->size = id.size;
    memcpy(worker->id, id.data, id.size);
    return worker;
}

static void worker_settle(struct presence *presence, struct presence_worker *worker)
{
    if (worker->settling)
        return;
    worker->settling = true;
    DL_APPEND2(presence->settling, worker, settling_prev, settling_next);
}

static void worker_settled(struct presence *presence, struct presence_worker *worker)
{
    if (!worker->settling)
        return;
    worker->settling = false;
    /* The first of several has a next. */
    assert(worker != presence->settling || worker->settling_prev == worker ||
           worker->settling_next);
    DL_DELETE2(presence->settling, worker, settling_prev, settling_next);
}

static void set_live(struct presence *presence, struct presence_worker *worker, bool live)
{
    if (worker->live == live)
        return;
    worker->live = live;
    assert(presence->stats.workers > 0 || live);
    presence->stats.workers = live ? presence->stats.workers + 1 : presence->stats.workers - 1;
    worker_settle(presence, worker);
}

/* Of thousands of lists of a worker that is gone, or back, so many in a turn. */
static void settle_workers(struct presence *presence)
{
    for (unsigned left = LISTS_A_RUN; presence->settling && left > 0; left--) {
        struct presence_worker *worker = presence->settling;
        struct presence_list *list = worker->live ? worker->idle : worker->counting;
        presence->stats.steps++;
        if (list)
            presence_list_count(presence, worker, list, worker->live);
        else
            worker_settled(presence, worker);
    }
}

/* It is not known any more from now on; its lists, which may be thousands, go one after the other. */
static void worker_end(struct presence *presence, struct presence_worker *worker)
{
    set_live(presence, worker, false);
    worker_settled(presence, worker);
    HASH_DELETE(hh, presence->workers, worker);
    DL_DELETE(presence->by_seen, worker);
    worker->settling = true;
    DL_APPEND2(presence->ending, worker, settling_prev, settling_next);
}

/* One list of those that have ended; false: there is none. */
static bool end_list(struct presence *presence)
{
    struct presence_worker *worker = presence->ending;
    if (!worker)
        return false;
    assert(!worker->live && worker->settling);
    presence->stats.steps++;
    if (worker->lists) {
        presence_list_set(presence, worker, worker->lists->room, 0, NULL, 0);
        return true;
    }
    assert(!worker->counting && !worker->idle);
    DL_DELETE2(presence->ending, worker, settling_prev, settling_next);
    free(worker);
    return true;
}

/* The longest silent gives way to one that is heard of, if it is not live: those that are gone do
 * not keep out who lives. */
static bool forget_silent(struct presence *presence)
{
    struct presence_worker *worker = presence->by_seen;
    if (!worker || worker->live)
        return false;
    presence->left_out = true;
    worker_end(presence, worker);
    return true;
}

/* NULL: there are too many. */
static struct presence_worker *worker_get(struct presence *presence, struct bytes id)
{
    struct presence_worker *worker = worker_find(presence, id);
    if (worker)
        return worker;
    bool full = HASH_COUNT(presence->workers) >= PRESENCE_WORKERS_MOST;
    /* Who lives is known by the time that the log is read again. */
    if (full && presence->again_until) {
        presence->left_out = true;
        return NULL;
    }
    if (full && !forget_silent(presence)) {
        presence->stats.dropped[PRESENCE_DROP_WORKERS]++;
        presence->left_out = true;
        presence->unknown_in = presence->reading;
        return NULL;
    }
    /* What it wrote before may be among that. */
    if (presence->left_out && !presence->again_until) {
        presence->unknown_in = presence->reading;
        presence->wants_again = true;
    }
    worker = worker_new(id);
    worker->seen = presence->beats;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, presence->workers, worker->id, worker->size,
                                presence_hash(presence, worker->id, worker->size), worker);
    DL_APPEND(presence->by_seen, worker);
    return worker;
}

/* --- beats ------------------------------------------------------------------------------------ */

static void sweep_key(struct presence *presence, const struct presence_worker *worker,
                      const struct presence_room *room)
{
    auto_buffer struct buffer key = {0};
    uint8_t size[4];
    if (room) {
        struct bytes scope = presence_scope_of(room), name = presence_name_of(room);
        presence_append_key(&key, bytes_of(worker->id, worker->size), &scope, &name);
    } else {
        presence_append_key(&key, bytes_of(worker->id, worker->size), NULL, NULL);
    }
    bytes_write_little_endian(size, buffer_size(&key), sizeof(size));
    buffer_append(&presence->sweep, bytes_of(size, sizeof(size)));
    buffer_append(&presence->sweep, buffer_peek(&key));
}

/* The records of one that is long gone are removed, a share with each beat: that they are is read in
 * the log, and what is still there comes up again. Its beat goes last: as long as that is there,
 * somebody goes on. Without this the topic would grow with each start of a gateway. */
static void sweep_worker(struct presence *presence)
{
    struct presence_worker *worker = presence->by_seen;
    unsigned left = SWEPT_A_BEAT;
    if (!worker || worker->live || presence->beats - worker->seen < presence->sweep_after ||
        buffer_size(&presence->sweep))
        return;
    for (const struct presence_list *list = worker->lists; list && left > 0;
         list = list->hh.next, left--)
        sweep_key(presence, worker, list->room);
    if (!worker->lists)
        sweep_key(presence, worker, NULL);
}

/* --- reading again ---------------------------------------------------------------------------- */

/* What was left out is in the log, and nowhere else: once there is space it is read again, all of
 * it, since nobody knows where. Of that only what may have been left out is taken, and nothing is
 * told of these rooms until it has come to where it was: what it says on the way is the past. */
static bool is_again_due(const struct presence *presence)
{
    bool is_swept = presence->left_out && HASH_COUNT(presence->workers) < WORKERS_AGAIN;
    return (presence->wants_again || is_swept) && presence->again_until == 0 &&
           presence_is_known(presence) && presence->beats >= presence->again_from &&
           presence_has_space_again(presence);
}

bool presence_wants_log(struct presence *presence)
{
    if (!presence->again_due)
        return false;
    assert(presence->position > 0 && presence->again_until == 0);
    presence->again_due = presence->wants_again = presence->left_out = false;
    presence->again_from = presence->beats + PRESENCE_AGAIN_BEATS;
    presence->again_until = presence->position;
    presence->reading++;
    return true;
}

static void reading_ends(struct presence *presence)
{
    presence->again_until = 0;
    presence->whole = presence->reading;
    presence_tenants_whole(presence);
    presence_tell_anew(presence);
}

static void own_beat(struct presence *presence)
{
    bool known = presence_is_known(presence);
    presence->beats++;
    if (!known && presence_is_known(presence))
        presence_tell_anew(presence);
    /* In the order in which they were seen: those who have missed most stand first. */
    for (struct presence_worker *worker = presence->by_seen;
         worker && presence->beats - worker->seen >= PRESENCE_BEATS_MISSED; worker = worker->next)
        set_live(presence, worker, false);
    sweep_worker(presence);
    presence->again_due = is_again_due(presence);
}

static void beat_of(struct presence *presence, struct presence_worker *worker)
{
    worker->seen = presence->beats;
    assert(worker != presence->by_seen || worker->prev == worker || worker->next);
    DL_DELETE(presence->by_seen, worker);
    DL_APPEND(presence->by_seen, worker);
    /* Before our first it may be of whenever: the log begins long ago. */
    if (presence->beats > 0)
        set_live(presence, worker, true);
}

/* --- records ---------------------------------------------------------------------------------- */

static bool is_own(const struct presence *presence, struct bytes id)
{
    return bytes_equal(id, bytes_of(presence->self->id, presence->self->size));
}

/* What this worker wrote it knows. But others may have taken it for gone, and removed it; or what it
 * gave up as lost, and wrote again, arrived behind that: then it is written once more. If it is only
 * that the answer to it is on its way, once too often. */
static void read_own(struct presence *presence, int64_t offset,
                     const struct presence_record *record)
{
    if (record->is_beat) {
        if (!record->over)
            own_beat(presence);
        return;
    }
    struct presence_room *room = presence_room_find(presence, record->scope, record->room);
    if ((room && offset <= room->written) || !presence_guests_differ(presence, room, record))
        return;
    if (!room)
        room = presence_room_get(presence, record->scope, record->room);
    room->logged = true;
    presence_room_unwritten(presence, room);
}

static uint64_t space_for(const struct presence *presence, const struct presence_worker *worker,
                          const struct presence_record *record, enum presence_drop *short_of)
{
    const struct presence_room *room = presence_room_find(presence, record->scope, record->room);
    const struct presence_list *list = room ? presence_list_find(presence, worker, room) : NULL;
    const struct presence_tenant *tenant =
        room ? room->tenant : presence_tenant_find(presence, record->scope);
    return presence_space(presence, tenant, list ? 1 + (uint64_t)list->user_count : 0, short_of);
}

static void note_left_out(struct presence *presence, const struct presence_record *record,
                          enum presence_drop drop)
{
    struct presence_tenant *tenant = presence_tenant_find(presence, record->scope);
    presence->stats.dropped[drop]++;
    if (drop == PRESENCE_DROP_TENANT) {
        assert(tenant && tenant->entries > 0); /* a share is more than one list */
        tenant->partly_in = presence->reading;
    } else {
        presence->unknown_in = presence->reading;
        presence->wants_again = true;
    }
}

static void read_list_of(struct presence *presence, struct presence_worker *worker,
                         const struct presence_record *record)
{
    enum presence_drop short_of;
    uint32_t named =
        record->user_count < presence->config.users ? record->user_count : presence->config.users;
    uint64_t space;
    do
        space = space_for(presence, worker, record, &short_of);
    while (space < 1 + (uint64_t)named && end_list(presence));
    /* Counted, and not named: some of them would look as if the others were not there. */
    if (space < 1 + (uint64_t)named) {
        note_left_out(presence, record, short_of);
        named = 0;
    }
    struct presence_room *room = space >= 1
                                     ? presence_room_get(presence, record->scope, record->room)
                                     : presence_room_find(presence, record->scope, record->room);
    if (room)
        presence_list_set(presence, worker, room, space >= 1 ? record->count : 0, record->users,
                          named);
}

/* Of a log that is read again: what may have been left out. Beats of the past prove nothing. */
static bool is_wanted_again(const struct presence *presence, const struct presence_record *record)
{
    const struct presence_tenant *tenant =
        record->is_beat ? NULL : presence_tenant_find(presence, record->scope);
    return !record->is_beat && (presence->unknown_in >= presence->whole ||
                                (tenant && presence_tenant_is_partly(presence, tenant)));
}

static void read_other(struct presence *presence, const struct presence_record *record)
{
    if (presence->again_until && !is_wanted_again(presence, record))
        return;
    struct presence_worker *worker =
        record->over ? worker_find(presence, record->worker) : worker_get(presence, record->worker);
    if (!worker)
        return;
    if (record->is_beat) {
        if (!record->over)
            beat_of(presence, worker);
        else if (!worker->lists)
            worker_end(presence, worker);
        return;
    }
    if (!record->over) {
        read_list_of(presence, worker, record);
        return;
    }
    struct presence_room *room = presence_room_find(presence, record->scope, record->room);
    if (room)
        presence_list_set(presence, worker, room, 0, NULL, 0);
}

void presence_read(struct presence *presence, int64_t offset, struct bytes key, bool has_value,
                   struct bytes value)
{
    assert(offset >= 0);
    if (presence->again_until && offset >= presence->again_until)
        reading_ends(presence);
    if (offset >= presence->position)
        presence->position = offset + 1;
    struct presence_record record;
    enum presence_fault fault =
        presence_record_read(key, has_value, value, &presence->space, &record);
    presence->stats.read++;
    if (fault != PRESENCE_SOUND)
        presence->stats.faulty[fault]++;
    else if (!is_own(presence, record.worker))
        read_other(presence, &record);
    else if (!presence->again_until)
        read_own(presence, offset, &record);
}

/* No turn of the loop takes all of it: presence_run() goes on with it. */
void presence_log_begins(struct presence *presence)
{
    struct presence_worker *worker, *next;
    HASH_ITER(hh, presence->workers, worker, next)
        worker_end(presence, worker);
    presence->position = presence->again_until = 0;
    presence->again_due = presence->wants_again = presence->left_out = false;
    presence->again_from = 0;
    presence->whole = ++presence->reading;
    presence_tenants_whole(presence);
    presence->beats = 0;
    presence_guests_rewrite(presence);
}

bool presence_is_known(const struct presence *presence)
{
    return presence_knows(presence);
}

/* --- time ------------------------------------------------------------------------------------- */

static bool has_changes(const struct presence *presence)
{
    return presence->changed || presence->dirty;
}

/* What was too much for this turn is done soon; but of a crowd that is to be told later, a change in
 * any other room is collected as long as ever. */
static int64_t next_tick_ms(const struct presence *presence, bool more)
{
    if (!has_changes(presence))
        return 0;
    return presence->now_ms + (more ? PRESENCE_MORE_MS : PRESENCE_TICK_MS);
}

void presence_run(struct presence *presence, int64_t now_ms)
{
    if (now_ms > presence->now_ms)
        presence->now_ms = now_ms;
    for (unsigned left = LISTS_A_RUN; left > 0 && end_list(presence);)
        left--;
    settle_workers(presence);
    presence_guests_run(presence, ROOMS_A_TICK);
    presence_anew_run(presence, ROOMS_A_TICK);
    if (!has_changes(presence))
        return;
    /* The first change of a tick begins it. */
    if (presence->tick_ms == 0)
        presence->tick_ms = presence->now_ms + PRESENCE_TICK_MS;
    if (presence->now_ms < presence->tick_ms)
        return;
    presence_guests_settle(presence, ROOMS_A_TICK);
    bool more = presence_tell(presence, ROOMS_A_TICK) || presence->dirty;
    presence->tick_ms = next_tick_ms(presence, more);
}

int64_t presence_deadline_ms(const struct presence *presence)
{
    int64_t deadline = presence->lingering ? presence->lingering->until_ms : INT64_MAX;
    if (presence->settling || presence->ending || presence->rewriting || presence->anew_left ||
        (has_changes(presence) && presence->tick_ms == 0))
        return presence->now_ms;
    if (has_changes(presence) && presence->tick_ms < deadline)
        deadline = presence->tick_ms;
    return deadline;
}

/* --- life ------------------------------------------------------------------------------------- */

struct presence *presence_new(const struct presence_config *config)
{
    static const char digits[] = "0123456789abcdef";
    struct presence *presence = mem_new(struct presence);
    uint8_t id[2 * PRESENCE_WORKER_BYTES];
    assert(config->users > 0 && config->users <= PRESENCE_USERS_MOST && config->linger_ms >= 0);
    assert(config->entries > 0 && config->tenant_entries > config->users);
    static_assert(sizeof(id) <= PRESENCE_WORKER_TEXT_LIMIT, "others can read it");
    for (size_t i = 0; i < PRESENCE_WORKER_BYTES; i++) {
        id[2 * i] = (uint8_t)digits[config->worker[i] >> 4];
        id[2 * i + 1] = (uint8_t)digits[config->worker[i] & 15];
    }
    presence->config = *config;
    presence->self = worker_new(bytes_of(id, sizeof(id)));
    presence->self->live = true;
    presence->stats.workers = 1;
    presence->reading = presence->whole = 1;
    presence->sweep_after = PRESENCE_SWEEP_AFTER + config->worker[0] % PRESENCE_SWEEP_AFTER;
    return presence;
}

void presence_free(struct presence *presence)
{
    struct presence_worker *worker, *next;
    if (!presence)
        return;
    presence->rewriting = NULL;
    while (presence->lingering) {
        presence->now_ms = presence->lingering->until_ms;
        presence_guests_run(presence, UINT32_MAX);
    }
    HASH_ITER(hh, presence->workers, worker, next)
        worker_end(presence, worker);
    while (end_list(presence))
        ;
    presence->again_until = 0;
    presence->whole = presence->reading + 1; /* nothing is to be known any more */
    presence_tenants_whole(presence);
    if (presence->batch_size) {
        presence->batch = true;
        presence_written(presence, true, presence->now_ms);
    }
    presence_guests_forget(presence);
    presence->now_ms = INT64_MAX; /* nobody watches, and no room waits */
    presence_tell(presence, UINT32_MAX);
    assert(!presence->rooms && presence->stats.entries == 0 && presence->stats.users == 0);
    assert(!presence->tenants && !presence->turns && !presence->hazy);
    free(presence->self);
    presence_space_deinit(&presence->space);
    buffer_deinit(&presence->sweep);
    buffer_deinit(&presence->key);
    buffer_deinit(&presence->value);
    free(presence);
}

const struct presence_stats *presence_stats(const struct presence *presence)
{
    return &presence->stats;
}
