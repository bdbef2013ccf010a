/* Sessions here, and what this worker writes of them.
 *
 * A user with a seat, or who left his last one less than `linger_ms` ago, is a guest of the room: a
 * reload of a page, or a move to another gateway, is no leaving. Guests make the worker's own list
 * of the room, at the next tick; the list counts here at once, and is written with the next batch,
 * so that what is seen here does not wait for the broker. */
#include "presence_private.h"

/* --- seats ------------------------------------------------------------------------------------ */

static void room_dirty(struct presence *presence, struct presence_room *room)
{
    if (room->dirty)
        return;
    room->dirty = true;
    DL_APPEND2(presence->dirty, room, dirty_prev, dirty_next);
}

static struct presence_guest *guest_get(struct presence *presence, struct presence_room *room,
                                        struct bytes name)
{
    struct presence_guest *guest;
    unsigned hash = presence_hash(presence, name.data, name.size);
    HASH_FIND_BYHASHVALUE(hh, room->guests, name.data, name.size, hash, guest);
    if (guest)
        return guest;
    guest = mem_alloc(sizeof(*guest) + name.size);
    guest->room = room;
    guest->size = narrow_8(name.size);
    memcpy(guest->name, name.data, name.size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, room->guests, guest->name, name.size, hash, guest);
    DL_APPEND(room->guest_list, guest);
    room->guest_count++;
    room_dirty(presence, room);
    return guest;
}

static void guest_free(struct presence *presence, struct presence_guest *guest)
{
    struct presence_room *room = guest->room;
    assert(guest->seats == 0 && room->guest_count > 0);
    HASH_DELETE(hh, room->guests, guest);
    DL_DELETE(room->guest_list, guest);
    room->guest_count--;
    free(guest);
    room_dirty(presence, room);
}

struct presence_seat *presence_enter(struct presence *presence, struct bytes scope,
                                     struct bytes room, struct bytes user, void *owner)
{
    struct presence_seat *seat = mem_new(struct presence_seat);
    assert(user.size > 0 && user.size <= PRESENCE_USER_LIMIT);
    seat->room = presence_room_get(presence, scope, room);
    seat->guest = guest_get(presence, seat->room, user);
    seat->owner = owner;
    if (seat->guest->until_ms) {
        DL_DELETE2(presence->lingering, seat->guest, linger_prev, linger_next);
        seat->guest->until_ms = 0;
    }
    seat->guest->seats++;
    return seat;
}

void presence_leave(struct presence *presence, struct presence_seat *seat, int64_t now_ms)
{
    struct presence_guest *guest = seat->guest;
    assert(guest->seats > 0 && guest->until_ms == 0 && guest->room == seat->room);
    if (now_ms > presence->now_ms)
        presence->now_ms = now_ms;
    if (seat->watches) {
        assert(seat->room->watcher_count > 0);
        DL_DELETE(seat->room->watchers, seat);
        seat->room->watcher_count--;
    }
    free(seat);
    if (--guest->seats)
        return;
    if (presence->config.linger_ms == 0) {
        guest_free(presence, guest);
        return;
    }
    /* All linger as long: the list is in order. */
    guest->until_ms = presence->now_ms + presence->config.linger_ms;
    DL_APPEND2(presence->lingering, guest, linger_prev, linger_next);
}

void presence_watch(struct presence *presence, struct presence_seat *seat)
{
    /* The last of them: those who wait for a snapshot are found there. Who has news anyway does not
     * wait: he stays where he is, since he would stand behind those who wait when he has taken it. */
    if (seat->watches && !seat->pending)
        DL_DELETE(seat->room->watchers, seat);
    if (!seat->watches || !seat->pending)
        DL_APPEND(seat->room->watchers, seat);
    seat->room->watcher_count += !seat->watches;
    seat->watches = true;
    seat->seen = 0;
    if (!seat->room->dirty && !seat->room->changed) {
        presence_pend(presence, seat);
        return;
    }
    /* With the next tick: then who has just come is in it himself. */
    seat->room->newcomers = true;
    presence_room_changed(presence, seat->room);
}

/* --- the worker's own lists ------------------------------------------------------------------- */

/* The first who came are named: who is does not change with everybody who comes. */
static uint32_t named_guests(struct presence *presence, const struct presence_room *room,
                             struct bytes *names)
{
    uint32_t count = 0;
    size_t left = PRESENCE_NAMES_BYTES;
    for (const struct presence_guest *guest = room->guest_list;
         guest && count < presence->config.users && guest->size <= left; guest = guest->next) {
        left -= guest->size;
        names[count++] = bytes_of(guest->name, guest->size);
    }
    assert(count > 0 || !room->guest_list);
    presence->stats.steps += count;
    return count;
}

static void leave_unwritten(struct presence *presence, struct presence_room *room)
{
    if (!room->unwritten)
        return;
    assert(presence->stats.unwritten > 0);
    if (room->again)
        DL_DELETE2(presence->again, room, unwritten_prev, unwritten_next);
    else
        presence_turn_delete(presence, room);
    room->unwritten = room->again = false;
    presence->stats.unwritten--;
}

void presence_guests_settle(struct presence *presence, unsigned most)
{
    struct bytes *names = mem_resize(NULL, presence->config.users, sizeof(*names));
    for (; presence->dirty && most > 0; most--) {
        struct presence_room *room = presence->dirty;
        assert(room->dirty);
        /* What the log never held need not be removed from it: else rooms of which nobody is left
         * would stay while the broker is away. */
        if (room->guest_count || room->logged)
            presence_room_unwritten(presence, room);
        else
            leave_unwritten(presence, room);
        presence_list_set(presence, presence->self, room, room->guest_count, names,
                          named_guests(presence, room, names));
        DL_DELETE2(presence->dirty, room, dirty_prev, dirty_next);
        room->dirty = false; /* that held it */
        presence_room_release(presence, room);
    }
    free(names);
}

void presence_room_unwritten(struct presence *presence, struct presence_room *room)
{
    if (room->unwritten)
        return;
    presence_turn_add(presence, room);
    room->unwritten = true;
    presence->stats.unwritten++;
}

/* Before all others: so those that the log may hold, which have to stay until they are written or
 * removed there, are no more than were in it and a batch. It is no tenant's advantage: they had
 * their turns. */
static void unwritten_again(struct presence *presence, struct presence_room *room)
{
    assert(room->logged);
    leave_unwritten(presence, room);
    room->unwritten = room->again = true;
    DL_PREPEND2(presence->again, room, unwritten_prev, unwritten_next);
    presence->stats.unwritten++;
}

void presence_guests_rewrite(struct presence *presence)
{
    assert(!presence->self->idle); /* all of them count */
    presence->rewriting = presence->self->counting;
}

void presence_guests_run(struct presence *presence, unsigned most)
{
    unsigned left = most;
    for (; presence->rewriting && left > 0; left--) {
        struct presence_room *room = presence->rewriting->room;
        presence->stats.steps++;
        presence->rewriting = presence->rewriting->next;
        room->written = -1; /* it was another log */
        presence_room_unwritten(presence, room);
    }
    for (left = most;
         left > 0 && presence->lingering && presence->lingering->until_ms <= presence->now_ms;
         left--) {
        struct presence_guest *guest = presence->lingering;
        DL_DELETE2(presence->lingering, guest, linger_prev, linger_next);
        guest_free(presence, guest);
    }
}

bool presence_guests_differ(struct presence *presence, const struct presence_room *room,
                            const struct presence_record *record)
{
    const struct presence_list *list =
        room ? presence_list_find(presence, presence->self, room) : NULL;
    if (record->over || !list)
        return record->over == (list != NULL);
    if (list->user_count != record->user_count || list->unnamed + list->user_count != record->count)
        return true;
    presence->stats.steps += list->user_count;
    for (uint32_t i = 0; i < list->user_count; i++)
        if (!bytes_equal(bytes_of(list->users[i]->name, list->users[i]->size), record->users[i]))
            return true;
    return false;
}

static struct presence_room *next_unwritten(struct presence *presence)
{
    return presence->again ? presence->again : presence_turn_next(presence);
}

void presence_guests_forget(struct presence *presence)
{
    assert(!presence->lingering && !presence->batch);
    presence_guests_settle(presence, UINT32_MAX);
    struct presence_room *room;
    while ((room = next_unwritten(presence))) {
        leave_unwritten(presence, room);
        presence_room_release(presence, room);
    }
    assert(presence->stats.unwritten == 0);
}

/* --- what is written -------------------------------------------------------------------------- */

/* From the list, so that what is written is what counts here. */
static void write_own_list(struct presence *presence, const struct presence_room *room,
                           struct presence_write *write)
{
    const struct presence_list *list = presence_list_find(presence, presence->self, room);
    struct bytes scope = presence_scope_of(room), name = presence_name_of(room);
    presence_append_key(&presence->key, bytes_of(presence->self->id, presence->self->size), &scope,
                        &name);
    write->has_value = list != NULL;
    if (!list)
        return;
    presence->stats.steps += list->user_count;
    presence_begin_list(&presence->value, list->unnamed + list->user_count);
    for (uint32_t i = 0; i < list->user_count; i++)
        presence_append_user(&presence->value,
                             bytes_of(list->users[i]->name, list->users[i]->size));
    presence_end_list(&presence->value);
}

static bool write_next(struct presence *presence, struct presence_write *write)
{
    if (presence->now_ms >= presence->beat_ms) {
        presence->beat_ms = presence->now_ms + PRESENCE_BEAT_MS;
        presence_append_key(&presence->key, bytes_of(presence->self->id, presence->self->size),
                            NULL, NULL);
        presence_append_beat(&presence->value);
        write->has_value = true;
        return true;
    }
    if (buffer_size(&presence->sweep)) {
        struct bytes rest = buffer_peek(&presence->sweep);
        size_t size = (size_t)bytes_read_little_endian(rest.data, 4);
        assert(size > 0 && size + 4 <= rest.size);
        buffer_append(&presence->key, bytes_of(rest.data + 4, size));
        buffer_consume(&presence->sweep, size + 4);
        presence->stats.swept++;
        return true;
    }
    struct presence_room *room = next_unwritten(presence);
    if (!room)
        return false;
    assert(room->unwritten);
    leave_unwritten(presence, room);
    assert(!room->sent && presence->sent_count < PRESENCE_WRITES_MOST);
    room->sent = true;
    write->number = presence->sent_count;
    presence->sent[presence->sent_count++] = room;
    write_own_list(presence, room, write);
    room->sent_removal = !write->has_value;
    room->logged = true;
    return true;
}

bool presence_next_write(struct presence *presence, int64_t now_ms, struct presence_write *write)
{
    if (now_ms > presence->now_ms)
        presence->now_ms = now_ms;
    *write = (struct presence_write){.number = PRESENCE_NO_NUMBER};
    if (presence->now_ms < presence->write_ms || presence->batch_size == PRESENCE_WRITES_MOST ||
        presence->batch)
        return false;
    buffer_clear(&presence->key);
    buffer_clear(&presence->value);
    if (!write_next(presence, write)) {
        presence->batch = presence->batch_size > 0;
        return false;
    }
    presence->batch_size++;
    presence->batch = presence->batch_size == PRESENCE_WRITES_MOST;
    presence->stats.written++;
    write->key = buffer_peek(&presence->key);
    write->value = buffer_peek(&presence->value);
    return true;
}

void presence_landed(struct presence *presence, uint32_t number, int64_t offset)
{
    assert(number < presence->sent_count && presence->sent[number]->sent && offset >= 0);
    presence->sent[number]->written = offset;
}

/* One batch at a time. So of this worker there is never more than one beat on its way, and a broker
 * that comes back gets no run of them, in which others would seem to have missed theirs. */
void presence_written(struct presence *presence, bool all, int64_t now_ms)
{
    assert(presence->batch && presence->batch_size > 0);
    presence->batch = false;
    presence->batch_size = 0;
    presence->write_ms = now_ms + PRESENCE_WRITE_MS;
    for (uint32_t i = 0; i < presence->sent_count; i++) {
        struct presence_room *room = presence->sent[i];
        room->sent = false;
        if (!all) /* it may be there: the same again does no harm */
            unwritten_again(presence, room);
        else if (room->sent_removal)
            room->logged = false;
        presence_room_release(presence, room);
    }
    presence->sent_count = 0;
}

int64_t presence_write_deadline_ms(const struct presence *presence)
{
    if (presence->batch)
        return INT64_MAX;
    bool more = presence->stats.unwritten > 0 || buffer_size(&presence->sweep);
    int64_t due =
        more && presence->now_ms < presence->beat_ms ? presence->now_ms : presence->beat_ms;
    return due > presence->write_ms ? due : presence->write_ms;
}
