/* Rooms of presence: the union of what live workers say, and what of it is told.
 *
 * A user is in a room as long as a list that counts names him. Whose state differs from what was
 * told stands in the room's `touched`, so that telling costs what has changed, and neither what the
 * room holds nor how often it changed. What is told is told once for all seats, as one version of
 * the room: a seat that has seen the one before gets the changes, any other a snapshot. */
#include "presence_private.h"

#include "json.h"

/* --- names ------------------------------------------------------------------------------------ */

static void presence_names_add(struct presence_names *names, struct bytes name)
{
    assert(name.size > 0 && name.size <= PRESENCE_USER_LIMIT);
    static_assert(PRESENCE_USER_LIMIT <= UINT8_MAX, "its size is kept in a byte");
    buffer_append_byte(&names->packed, narrow_8(name.size));
    buffer_append(&names->packed, name);
    names->count++;
}

/* Without their sizes. */
static size_t names_bytes(const struct presence_names *names)
{
    assert(buffer_size(&names->packed) >= names->count);
    return buffer_size(&names->packed) - names->count;
}

void presence_names_clear(struct presence_names *names)
{
    buffer_clear(&names->packed);
    names->count = 0;
}

bool presence_next_name(struct bytes *names, struct bytes *name)
{
    if (names->size == 0)
        return false;
    size_t size = names->data[0];
    assert(size > 0 && size < names->size);
    *name = bytes_of(names->data + 1, size);
    *names = bytes_skip(*names, size + 1);
    return true;
}

/* --- rooms ------------------------------------------------------------------------------------ */

/* Size of the scope, scope, name: no two rooms have one key. */
static size_t pack_room(struct bytes scope, struct bytes name, uint8_t *out)
{
    uint16_t size = narrow_16(scope.size);
    assert(scope.size <= LAYOUT_KEY_LIMIT && name.size > 0 && name.size <= ROOM_NAME_LIMIT);
    memcpy(out, &size, sizeof(size));
    if (scope.size)
        memcpy(out + sizeof(size), scope.data, scope.size);
    memcpy(out + sizeof(size) + scope.size, name.data, name.size);
    return sizeof(size) + scope.size + name.size;
}

enum { PACKED_MOST = sizeof(uint16_t) + LAYOUT_KEY_LIMIT + ROOM_NAME_LIMIT };

static struct presence_room *find_packed(const struct presence *presence, const uint8_t *key,
                                         size_t size)
{
    struct presence_room *room;
    HASH_FIND_BYHASHVALUE(hh, presence->rooms, key, size, presence_hash(presence, key, size), room);
    return room;
}

struct presence_room *presence_room_find(const struct presence *presence, struct bytes scope,
                                         struct bytes name)
{
    uint8_t key[PACKED_MOST];
    return find_packed(presence, key, pack_room(scope, name, key));
}

struct presence_room *presence_room_get(struct presence *presence, struct bytes scope,
                                        struct bytes name)
{
    uint8_t key[PACKED_MOST];
    size_t size = pack_room(scope, name, key);
    struct presence_room *room = find_packed(presence, key, size);
    if (room)
        return room;
    room = mem_alloc(sizeof(*room) + size);
    room->version = 2;
    room->written = -1;
    room->tenant = presence_tenant_hold(presence, scope);
    room->scope_size = narrow_16(scope.size);
    room->name_size = narrow_16(name.size);
    memcpy(room->text, key, size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, presence->rooms, room->text, size,
                                presence_hash(presence, room->text, size), room);
    presence->stats.rooms++;
    return room;
}

static void leave_hazy(struct presence *presence, struct presence_room *room)
{
    if (!room->hazy)
        return;
    assert(presence->hazy_count > 0);
    DL_DELETE2(presence->hazy, room, hazy_prev, hazy_next);
    room->hazy = false;
    presence->hazy_count--;
}

static void enter_hazy(struct presence *presence, struct presence_room *room)
{
    if (room->hazy)
        return;
    room->hazy = true;
    DL_APPEND2(presence->hazy, room, hazy_prev, hazy_next);
    presence->hazy_count++;
}

void presence_room_release(struct presence *presence, struct presence_room *room)
{
    /* Seats have guests. */
    if (room->list_count || room->guest_list || room->users || room->changed || room->dirty ||
        room->unwritten || room->sent)
        return;
    leave_hazy(presence, room);
    presence_tenant_release(presence, room->tenant);
    assert(!room->watchers && !room->touched && room->told_count == 0 && room->unnamed == 0);
    HASH_DELETE(hh, presence->rooms, room);
    presence->stats.rooms--;
    buffer_deinit(&room->joined.packed);
    buffer_deinit(&room->left.packed);
    buffer_deinit(&room->snapshot.packed);
    buffer_deinit(&room->json);
    buffer_deinit(&room->snapshot_json);
    free(room);
}

void presence_room_changed(struct presence *presence, struct presence_room *room)
{
    if (room->changed)
        return;
    room->changed = true;
    DL_APPEND2(presence->changed, room, changed_prev, changed_next);
}

/* --- users ------------------------------------------------------------------------------------ */

static struct presence_user *user_get(struct presence *presence, struct presence_room *room,
                                      struct bytes name)
{
    struct presence_user *user;
    unsigned hash = presence_hash(presence, name.data, name.size);
    HASH_FIND_BYHASHVALUE(hh, room->users, name.data, name.size, hash, user);
    if (user)
        return user;
    user = mem_alloc(sizeof(*user) + name.size);
    user->room = room;
    user->size = narrow_8(name.size);
    memcpy(user->name, name.data, name.size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, room->users, user->name, name.size, hash, user);
    return user;
}

/* Nobody names him, and nobody is to be told that he is gone. */
static void user_release(struct presence_user *user)
{
    if (user->mentions || user->told || user->touched)
        return;
    assert(user->lists == 0);
    HASH_DELETE(hh, user->room->users, user);
    free(user);
}

static void user_touch(struct presence *presence, struct presence_user *user)
{
    if (user->touched || (user->lists > 0) == user->told)
        return;
    user->touched = true;
    DL_APPEND2(user->room->touched, user, touched_prev, touched_next);
    presence_room_changed(presence, user->room);
}

static void user_count(struct presence *presence, struct presence_user *user)
{
    presence->stats.users += user->lists == 0;
    user->lists++;
    assert(user->lists <= user->mentions);
    user_touch(presence, user);
}

static void user_discount(struct presence *presence, struct presence_user *user)
{
    assert(user->lists > 0 && presence->stats.users > 0);
    user->lists--;
    presence->stats.users -= user->lists == 0;
    user_touch(presence, user);
}

/* --- lists ------------------------------------------------------------------------------------ */

struct presence_list *presence_list_find(const struct presence *presence,
                                         const struct presence_worker *worker,
                                         const struct presence_room *room)
{
    struct presence_list *list;
    HASH_FIND_BYHASHVALUE(hh, worker->lists, &room, sizeof(room),
                          presence_hash(presence, &room, sizeof(room)), list);
    return list;
}

void presence_list_count(struct presence *presence, struct presence_worker *worker,
                         struct presence_list *list, bool counts)
{
    struct presence_list **from = list->counts ? &worker->counting : &worker->idle;
    struct presence_list **to = counts ? &worker->counting : &worker->idle;
    if (list->counts == counts)
        return;
    if (presence->rewriting == list)
        presence->rewriting = list->next;
    DL_DELETE(*from, list);
    DL_APPEND(*to, list);
    list->counts = counts;
    presence->stats.steps += list->user_count;
    for (uint32_t i = 0; i < list->user_count; i++) {
        if (counts)
            user_count(presence, list->users[i]);
        else
            user_discount(presence, list->users[i]);
    }
    assert(counts || list->room->unnamed >= list->unnamed);
    list->room->unnamed =
        counts ? list->room->unnamed + list->unnamed : list->room->unnamed - list->unnamed;
    if (list->unnamed)
        presence_room_changed(presence, list->room);
}

/* Its own are as many as sessions make them, and limited with those. */
static void count_entries(struct presence *presence, const struct presence_worker *worker,
                          const struct presence_room *room, uint64_t more, uint64_t less)
{
    if (worker != presence->self)
        presence_tenant_count(presence, room->tenant, more, less);
}

static struct presence_list *list_new(struct presence *presence, struct presence_worker *worker,
                                      struct presence_room *room)
{
    struct presence_list *list = mem_new(struct presence_list);
    list->room = room;
    list->counts = worker->live;
    room->list_count++;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, worker->lists, &list->room, sizeof(list->room),
                                presence_hash(presence, &list->room, sizeof(list->room)), list);
    if (list->counts)
        DL_APPEND(worker->counting, list);
    else
        DL_APPEND(worker->idle, list);
    count_entries(presence, worker, room, 1, 0);
    return list;
}

/* It names these no more: those who stay were named anew before. */
static void drop_users(struct presence *presence, struct presence_list *list,
                       struct presence_user **users, uint32_t count)
{
    presence->stats.steps += count;
    for (uint32_t i = 0; i < count; i++) {
        if (list->counts)
            user_discount(presence, users[i]);
        assert(users[i]->mentions > 0);
        users[i]->mentions--;
        user_release(users[i]);
    }
    free(users);
}

static void list_free(struct presence *presence, struct presence_worker *worker,
                      struct presence_list *list)
{
    struct presence_room *room = list->room;
    presence_list_count(presence, worker, list, false);
    drop_users(presence, list, list->users, list->user_count);
    HASH_DELETE(hh, worker->lists, list);
    DL_DELETE(worker->idle, list);
    assert(room->list_count > 0);
    room->list_count--;
    count_entries(presence, worker, room, 0, 1 + (uint64_t)list->user_count);
    free(list);
    presence_room_release(presence, room);
}

static void set_unnamed(struct presence *presence, struct presence_list *list, uint64_t unnamed)
{
    struct presence_room *room = list->room;
    if (list->counts && unnamed != list->unnamed) {
        assert(room->unnamed >= list->unnamed);
        room->unnamed += unnamed - list->unnamed;
        presence_room_changed(presence, room);
    }
    list->unnamed = unnamed;
}

void presence_list_set(struct presence *presence, struct presence_worker *worker,
                       struct presence_room *room, uint64_t count, const struct bytes *users,
                       uint32_t named)
{
    struct presence_list *list = presence_list_find(presence, worker, room);
    assert(named <= count);
    if (count == 0) {
        if (list)
            list_free(presence, worker, list);
        return;
    }
    if (!list)
        list = list_new(presence, worker, room);
    struct presence_user **old = list->users;
    uint32_t old_count = list->user_count;
    list->users = named ? mem_resize(NULL, named, sizeof(*list->users)) : NULL;
    list->user_count = named;
    count_entries(presence, worker, room, named, old_count);
    /* The new ones first: who is in both stays untouched. */
    presence->stats.steps += named;
    for (uint32_t i = 0; i < named; i++) {
        struct presence_user *user = user_get(presence, room, users[i]);
        user->mentions++;
        list->users[i] = user;
        if (list->counts)
            user_count(presence, user);
    }
    drop_users(presence, list, old, old_count);
    set_unnamed(presence, list, count - named);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void untouch(struct presence_user *user)
{
    assert(user->touched);
    DL_DELETE2(user->room->touched, user, touched_prev, touched_next);
    user->touched = false;
}

/* Who came and went again in between was not there. */
static void forget_passers(struct presence *presence, struct presence_room *room)
{
    struct presence_user *user, *next;
    DL_FOREACH_SAFE2(room->touched, user, next, touched_next) {
        presence->stats.steps++;
        if ((user->lists > 0) != user->told)
            continue;
        untouch(user);
        user_release(user);
    }
}

/* Who came and who went since the room was told last. */
static void collect(struct presence *presence, struct presence_room *room)
{
    presence_names_clear(&room->joined);
    presence_names_clear(&room->left);
    while (room->touched) {
        struct presence_user *user = room->touched;
        assert((user->lists > 0) != user->told);
        untouch(user);
        user->told = !user->told;
        presence_names_add(user->told ? &room->joined : &room->left,
                           bytes_of(user->name, user->size));
        assert(user->told || room->told_count > 0);
        room->told_count = user->told ? room->told_count + 1 : room->told_count - 1;
        user_release(user);
    }
    presence->stats.joined += room->joined.count;
    presence->stats.left += room->left.count;
    room->too_many = room->joined.count + room->left.count > presence->config.users ||
                     names_bytes(&room->joined) + names_bytes(&room->left) > PRESENCE_NAMES_BYTES;
}

void presence_pend(struct presence *presence, struct presence_seat *seat)
{
    if (seat->pending)
        return;
    seat->pending = true;
    presence->config.pending(seat);
}

/* Also if nothing has changed: those who wait for their first snapshot. */
static void tell_newcomers(struct presence *presence, struct presence_room *room)
{
    if (!room->newcomers)
        return;
    room->newcomers = false;
    /* From the last one backwards: a list's first has the last for its `prev`. */
    struct presence_seat *seat = room->watchers ? room->watchers->prev : NULL;
    while (seat && seat->seen == 0) {
        presence->stats.steps++;
        presence_pend(presence, seat);
        seat = seat == room->watchers ? NULL : seat->prev;
    }
}

static void tell_room(struct presence *presence, struct presence_room *room)
{
    struct presence_seat *seat;
    forget_passers(presence, room);
    /* The changes of the version before stay until there are others: not all have taken them. */
    if (!room->touched && room->unnamed == room->told_unnamed) {
        tell_newcomers(presence, room);
        return;
    }
    room->newcomers = false; /* all are told */
    collect(presence, room);
    room->told_unnamed = room->unnamed;
    room->version++;
    DL_FOREACH(room->watchers, seat) {
        presence->stats.steps++;
        presence_pend(presence, seat);
    }
}

/* A crowd is told less often: what it costs grows with who comes, and with who hears of it. */
static void tell_next_after(const struct presence *presence, struct presence_room *room)
{
    room->due_ms = presence->now_ms + room->watcher_count / PRESENCE_WATCHERS_A_MS;
}

bool presence_tell(struct presence *presence, unsigned most)
{
    struct presence_room *room, *next;
    DL_FOREACH_SAFE2(presence->changed, room, next, changed_next) {
        presence->stats.steps++;
        assert(room->changed);
        if (room->due_ms > presence->now_ms || presence_room_is_read_again(presence, room))
            continue;
        DL_DELETE2(presence->changed, room, changed_prev, changed_next);
        room->changed = false;
        tell_room(presence, room);
        tell_next_after(presence, room);
        presence_room_release(presence, room);
        if (--most == 0)
            return presence->changed != NULL;
    }
    return false;
}

void presence_tell_anew(struct presence *presence)
{
    presence->anew_left = presence->hazy_count;
}

void presence_anew_run(struct presence *presence, unsigned most)
{
    struct presence_seat *seat;
    for (; presence->anew_left > 0 && presence->hazy && most > 0; most--, presence->anew_left--) {
        struct presence_room *room = presence->hazy;
        presence->stats.steps++;
        leave_hazy(presence, room);
        if (presence_is_hazy(presence, room)) {
            enter_hazy(presence, room);
            continue;
        }
        room->version += 2; /* nobody has seen the one before */
        DL_FOREACH(room->watchers, seat)
            presence_pend(presence, seat);
    }
    if (!presence->hazy)
        presence->anew_left = 0;
}

/* --- news ------------------------------------------------------------------------------------- */

static uint64_t told_total(const struct presence_room *room)
{
    return room->told_count + room->told_unnamed;
}

static void write_names(struct buffer *json, const char *member, struct bytes names)
{
    struct bytes name;
    const char *comma = "";
    buffer_append_format(json, ",\"%s\":[", member);
    while (presence_next_name(&names, &name)) {
        buffer_append_string(json, comma);
        json_write_string(json, name);
        comma = ",";
    }
    buffer_append_byte(json, ']');
}

static void begin_json(struct buffer *json, const struct presence_room *room)
{
    buffer_clear(json);
    buffer_append_string(json, "{\"room\":");
    json_write_string(json, presence_name_of(room));
}

/* The snapshot names all. Of which rooms of a tenant something was not kept is not known, so it is
 * none of his then. */
static bool names_all(const struct presence *presence, const struct presence_room *room)
{
    return !presence_is_hazy(presence, room) && room->snapshot.count == told_total(room);
}

/* As it was told, not as it is: the changes that are told next begin there. Once for all who need
 * it. */
static void make_snapshot(struct presence *presence, struct presence_room *room)
{
    const struct presence_user *user;
    bool hazy = presence_is_hazy(presence, room);
    if (hazy)
        enter_hazy(presence, room);
    if (room->snapshot_version == room->version && room->snapshot_hazy == hazy)
        return;
    presence_names_clear(&room->snapshot);
    for (user = room->users; user && room->snapshot.count < presence->config.users;
         user = user->hh.next) {
        presence->stats.steps++;
        if (user->told && names_bytes(&room->snapshot) + user->size > PRESENCE_NAMES_BYTES)
            break;
        if (user->told)
            presence_names_add(&room->snapshot, bytes_of(user->name, user->size));
    }
    begin_json(&room->snapshot_json, room);
    write_names(&room->snapshot_json, "users", buffer_peek(&room->snapshot.packed));
    buffer_append_format(&room->snapshot_json, ",\"count\":%llu,\"complete\":%s}",
                         (unsigned long long)told_total(room),
                         names_all(presence, room) ? "true" : "false");
    room->snapshot_version = room->version;
    room->snapshot_hazy = hazy;
}

static void make_json(struct presence_room *room)
{
    if (room->json_version == room->version)
        return;
    begin_json(&room->json, room);
    write_names(&room->json, "joined", buffer_peek(&room->joined.packed));
    write_names(&room->json, "left", buffer_peek(&room->left.packed));
    buffer_append_format(&room->json, ",\"count\":%llu}", (unsigned long long)told_total(room));
    room->json_version = room->version;
}

void presence_next_news(struct presence *presence, struct presence_seat *seat,
                        struct presence_news *news)
{
    struct presence_room *room = seat->room;
    assert(seat->watches && seat->pending && seat->seen <= room->version);
    *news = (struct presence_news){.room = presence_name_of(room),
                                   .snapshot = seat->seen + 1 != room->version || room->too_many,
                                   .count = told_total(room)};
    seat->pending = false;
    seat->seen = room->version;
    if (news->snapshot) {
        make_snapshot(presence, room);
        presence->stats.snapshots++;
        news->users = buffer_peek(&room->snapshot.packed);
        news->complete = names_all(presence, room);
        news->json = buffer_peek(&room->snapshot_json);
        return;
    }
    make_json(room);
    presence->stats.changes++;
    news->joined = buffer_peek(&room->joined.packed);
    news->left = buffer_peek(&room->left.packed);
    news->json = buffer_peek(&room->json);
}
