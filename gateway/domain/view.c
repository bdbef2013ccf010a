/* Two tables, of rooms and of items, so that a room of one item costs no table of its own. An item
 * that changes stays in its table, and goes to the end of two lists: of its room, and of the view.
 * What is too old is found at their beginnings.
 *
 * Names and keys come from outside, and are compared whole. */
#include "view.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"

enum {
    EXPIRES_A_CALL = 64,
    FORGETS_A_RECORD = 2, /* what the lane took out while the topic was read */
};

struct view_item {
    struct message *message; /* a reference; NULL: in view->gone */
    struct view_room *room;
    struct view_item *prev, *next;   /* in room->kept or ->live, or in view->gone */
    struct view_item *older, *newer; /* in view->changed */
    UT_hash_handle hh;
    bool of_lane;      /* the lane has said what is in it */
    uint32_t key_size; /* of `key` */
    uint8_t key[];     /* the room's address, the item's key */
};

struct view_room {
    struct view_item *kept, *live; /* DL lists, the oldest first */
    uint32_t count;                /* in both */
    uint32_t entries;              /* items in the view's table, those that are gone included */
    int64_t since_ms;              /* older ones were left out; INT64_MIN: none was */
    struct state_list *list;       /* of what it shows now; NULL: none is kept */
    UT_hash_handle hh;
    uint16_t scope_size, name_size;
    uint8_t text[]; /* the scope's size, 2 bytes, the scope, the name */
};

/* --- what it takes ---------------------------------------------------------------------------- */

/* An entry of a hash table takes a bucket beside itself, or less. */
static size_t item_bytes(const struct view_item *item)
{
    return sizeof(*item) + sizeof(UT_hash_bucket) + item->key_size;
}

static size_t room_bytes(const struct view_room *room)
{
    return sizeof(*room) + sizeof(UT_hash_bucket) + sizeof(room->scope_size) + room->scope_size +
           room->name_size;
}

static void view_count_in(struct view *view, size_t bytes)
{
    view->bytes += bytes;
    view->hub->stats.view_bytes += bytes;
}

static void view_count_out(struct view *view, size_t bytes)
{
    if (view->retired)
        return;
    assert(view->bytes >= bytes && view->hub->stats.view_bytes >= bytes);
    view->bytes -= bytes;
    view->hub->stats.view_bytes -= bytes;
}

/* A message is counted once, in however many rooms it is shown. A view that retires leaves its
 * number on messages of the ring, which the next one takes over. */
static void show(struct view *view, struct view_item *item, struct message *message)
{
    assert(!item->message);
    if (message->view_id != view->id) {
        message->view_id = view->id;
        message->shown = 0;
    }
    if (message->shown++ == 0)
        view_count_in(view, message_record_bytes(message));
    item->message = message_ref(message);
}

static void hide(struct view *view, struct view_item *item)
{
    struct message *message = item->message;
    item->message = NULL;
    if (message && message->view_id == view->id) {
        assert(message->shown > 0);
        if (--message->shown == 0)
            view_count_out(view, message_record_bytes(message));
    }
    message_unref(message);
}

/* --- rooms ------------------------------------------------------------------------------------ */

enum { ROOM_KEY_MOST = sizeof(uint16_t) + LAYOUT_KEY_LIMIT + ROOM_NAME_LIMIT };

struct room_key {
    size_t size;
    uint8_t text[ROOM_KEY_MOST];
};

/* False: no client can ask for it. */
static bool make_room_key(struct bytes scope, struct bytes name, struct room_key *key)
{
    if (scope.size > LAYOUT_KEY_LIMIT || name.size == 0 || name.size > ROOM_NAME_LIMIT)
        return false;
    uint16_t scope_size = narrow_16(scope.size);
    memcpy(key->text, &scope_size, sizeof(scope_size));
    if (scope.size)
        memcpy(key->text + sizeof(scope_size), scope.data, scope.size);
    memcpy(key->text + sizeof(scope_size) + scope.size, name.data, name.size);
    key->size = sizeof(scope_size) + scope.size + name.size;
    return true;
}

static struct view_room *find_view_room(const struct view *view, const struct room_key *key)
{
    struct view_room *room;
    HASH_FIND_BYHASHVALUE(hh, view->rooms, key->text, key->size,
                          hub_hash(view->hub, key->text, key->size), room);
    return room;
}

static struct view_room *add_view_room(struct view *view, const struct room_key *key,
                                       size_t scope_size)
{
    struct view_room *room = mem_alloc(sizeof(*room) + key->size);
    room->since_ms = INT64_MIN;
    room->scope_size = narrow_16(scope_size);
    room->name_size = narrow_16(key->size - sizeof(room->scope_size) - scope_size);
    memcpy(room->text, key->text, key->size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, view->rooms, room->text, key->size,
                                hub_hash(view->hub, key->text, key->size), room);
    view_count_in(view, room_bytes(room));
    return room;
}

static void free_view_room(struct view *view, struct view_room *room)
{
    assert(room->entries == 0 && room->count == 0 && !room->kept && !room->live);
    if (room->list)
        state_list_forget(room->list);
    HASH_DELETE(hh, view->rooms, room);
    view_count_out(view, room_bytes(room));
    free(room);
}

/* One that has left something out is kept, although it is empty: it is not complete. */
static void release_view_room(struct view *view, struct view_room *room)
{
    if (room->entries == 0 && room->since_ms == INT64_MIN)
        free_view_room(view, room);
}

/* --- items ------------------------------------------------------------------------------------ */

enum { ITEM_KEY_MOST = sizeof(struct view_room *) + NOTIFICATION_ITEM_KEY_LIMIT };

struct item_key {
    unsigned hash;
    size_t size;
    uint8_t text[ITEM_KEY_MOST];
};

static void make_item_key(const struct view *view, const struct view_room *room, struct bytes item,
                          struct item_key *key)
{
    assert(item.size > 0 && item.size <= NOTIFICATION_ITEM_KEY_LIMIT);
    memcpy(key->text, &room, sizeof(room));
    memcpy(key->text + sizeof(room), item.data, item.size);
    key->size = sizeof(room) + item.size;
    key->hash = hub_hash(view->hub, key->text, key->size);
}

static struct view_item *find_view_item(const struct view *view, const struct item_key *key)
{
    struct view_item *item;
    HASH_FIND_BYHASHVALUE(hh, view->items, key->text, key->size, key->hash, item);
    return item;
}

/* In no list yet. */
static struct view_item *add_view_item(struct view *view, struct view_room *room,
                                       const struct item_key *key)
{
    struct view_item *item = mem_alloc(sizeof(*item) + key->size);
    item->room = room;
    item->key_size = narrow_32(key->size);
    memcpy(item->key, key->text, key->size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, view->items, item->key, item->key_size, key->hash, item);
    room->entries++;
    view_count_in(view, item_bytes(item));
    return item;
}

static struct view_item **list_of(struct view *view, struct view_item *item)
{
    if (!item->message)
        return &view->gone;
    return item->of_lane ? &item->room->live : &item->room->kept;
}

static void list_item(struct view *view, struct view_item *item)
{
    DL_APPEND(*list_of(view, item), item);
    DL_APPEND2(view->changed, item, older, newer);
    item->room->count += item->message != NULL;
}

static void unlist_item(struct view *view, struct view_item *item)
{
    struct view_item **list = list_of(view, item);
    assert(!item->message || item->room->count > 0);
    DL_DELETE(*list, item);
    DL_DELETE2(view->changed, item, older, newer);
    item->room->count -= item->message != NULL;
}

static void free_view_item(struct view *view, struct view_item *item)
{
    struct view_room *room = item->room;
    unlist_item(view, item);
    hide(view, item);
    HASH_DELETE(hh, view->items, item);
    assert(room->entries > 0);
    room->entries--;
    view_count_out(view, item_bytes(item));
    free(item);
}

/* It is not shown any more. While the topic is read, what the lane has said of it stays known. */
static void drop_item(struct view *view, struct view_item *item)
{
    if (!view->loading || !item->of_lane) {
        free_view_item(view, item);
        return;
    }
    unlist_item(view, item);
    hide(view, item);
    list_item(view, item);
}

/* The topic has taken its word back: view_cut_kept(). */
static bool is_void(const struct view *view, const struct view_item *item)
{
    return !item->of_lane && item->message->offset < view->kept_from;
}

/* --- folding ---------------------------------------------------------------------------------- */

/* What has changed last is what is left, and it is known from when on. */
static void keep_within_items(struct view *view, struct view_room *room)
{
    uint32_t most = view->hub->config.state.items;
    while (room->count > most) {
        struct view_item *oldest = room->kept ? room->kept : room->live;
        if (!is_void(view, oldest) && room->since_ms <= oldest->message->timestamp_ms)
            room->since_ms = history_after_ms(oldest->message->timestamp_ms);
        drop_item(view, oldest);
    }
}

/* What a record says of an item in one of its rooms. */
struct word {
    struct message *message;
    struct bytes key;
    bool of_lane, removed;
};

static void fold_in_room(struct view *view, struct view_room *room, const struct word *word)
{
    struct item_key key;
    make_item_key(view, room, word->key, &key);
    struct view_item *item = find_view_item(view, &key);
    bool is_kept = !word->removed || (word->of_lane && view->loading);
    if (item && item->of_lane && !word->of_lane)
        return;
    if (room->list)
        state_list_forget(room->list);
    if (!is_kept) {
        if (item)
            free_view_item(view, item);
        return;
    }
    if (item) {
        unlist_item(view, item);
        hide(view, item);
    } else {
        item = add_view_item(view, room, &key);
    }
    item->of_lane = word->of_lane;
    if (!word->removed)
        show(view, item, word->message);
    list_item(view, item);
    keep_within_items(view, room);
}

static void fold_view(struct view *view, struct message *message, bool of_lane, bool is_old)
{
    struct room_key key;
    if (!message_decode(message))
        return;
    const struct notification *notification = message->notification;
    const struct bytes scope = message_rooms_scope(message);
    const struct word word = {.message = message,
                              .key = notification->item.key,
                              .of_lane = of_lane,
                              .removed = notification->item.removed || is_old};
    for (size_t i = 0; word.key.size > 0 && i < notification->room_count; i++) {
        if (!make_room_key(scope, notification->rooms[i], &key))
            continue;
        struct view_room *room = find_view_room(view, &key);
        if (!room && word.removed && !(of_lane && view->loading))
            continue;
        if (!room)
            room = add_view_room(view, &key, scope.size);
        fold_in_room(view, room, &word);
        release_view_room(view, room);
    }
}

/* Those that are gone are of use only while the topic is read: a few with each record, so that no
 * turn has to forget all of them. */
static void forget_gone(struct view *view)
{
    for (unsigned i = 0; i < FORGETS_A_RECORD && view->gone && !view->loading; i++) {
        struct view_room *room = view->gone->room;
        free_view_item(view, view->gone);
        release_view_room(view, room);
    }
}

void view_fold_lane(struct view *view, struct message *message)
{
    fold_view(view, message, true, false);
    forget_gone(view);
}

/* The first that counts says from when on all is known, as exactly as the clocks of those who wrote. */
void view_fold_kept(struct view *view, struct message *message, int64_t oldest_ms)
{
    assert(view->loading && message->offset >= view->kept_from);
    if (message->timestamp_ms < view->since_ms && !view->has_kept)
        view->since_ms = history_after_ms(message->timestamp_ms);
    view->has_kept = true;
    fold_view(view, message, false, message->timestamp_ms < oldest_ms);
    message_forget_decoded(message);
}

void view_cut_kept(struct view *view, int64_t offset, int64_t written_ms)
{
    assert(view->loading && offset >= view->kept_from);
    view->kept_from = offset + 1;
    view->has_kept = true;
    view->since_ms = history_after_ms(written_ms);
}

/* --- its life --------------------------------------------------------------------------------- */

struct view *view_new(struct hub *hub, uint32_t id, int64_t now_ms)
{
    struct view *view = mem_new(struct view);
    assert(id > 0);
    view->hub = hub;
    view->id = id;
    view->loading = true;
    view->since_ms = now_ms;
    return view;
}

void view_set_loaded(struct view *view)
{
    assert(view->loading && !view->retired);
    view->loading = false;
}

void view_expire(struct view *view, int64_t oldest_ms)
{
    for (unsigned i = 0; i < EXPIRES_A_CALL && view->changed && !view->loading; i++) {
        struct view_item *item = view->changed;
        struct view_room *room = item->room;
        if (item->message && item->message->timestamp_ms >= oldest_ms)
            return;
        if (room->list)
            state_list_forget(room->list);
        free_view_item(view, item);
        release_view_room(view, room);
    }
}

void view_retire(struct view *view)
{
    assert(!view->retired && view->hub->stats.view_bytes >= view->bytes);
    view->hub->stats.view_bytes -= view->bytes;
    view->bytes = 0;
    view->retired = true;
}

bool view_free_one(struct view *view)
{
    assert(view->retired);
    if (view->items)
        free_view_item(view, view->items);
    else if (view->rooms)
        free_view_room(view, view->rooms);
    if (view->items || view->rooms)
        return true;
    assert(!view->gone && view->bytes == 0);
    free(view);
    return false;
}

/* --- what a room shows ------------------------------------------------------------------------ */

static void expire_items(struct view *view, struct view_item *list, int64_t oldest_ms)
{
    struct view_item *item, *next;
    DL_FOREACH_SAFE(list, item, next)
        if (is_void(view, item) || item->message->timestamp_ms < oldest_ms)
            free_view_item(view, item);
}

/* By each record's own time, which may be out of order. False: nothing is left, nor the room. */
static bool expire_room(struct view *view, struct view_room *room, int64_t oldest_ms)
{
    expire_items(view, room->kept, oldest_ms);
    expire_items(view, room->live, oldest_ms);
    bool left = room->entries > 0 || room->since_ms != INT64_MIN;
    release_view_room(view, room);
    return left;
}

/* All that it shows, as far as `most` bytes of records go: of more the newest. */
static struct state_list *make_list(struct view *view, const struct view_room *room, size_t most)
{
    struct message **all = mem_alloc((room->count + 1) * sizeof(struct message *));
    const struct view_item *item;
    uint32_t count = 0, from;
    int64_t since_ms = room->since_ms;
    DL_FOREACH(room->kept, item)
        all[count++] = item->message;
    DL_FOREACH(room->live, item)
        all[count++] = item->message;
    assert(count == room->count);
    size_t bytes = 0;
    for (from = count; from > 0; from--) {
        bytes += message_record_bytes(all[from - 1]) + sizeof(struct message *);
        if (bytes > most)
            break;
    }
    for (uint32_t i = 0; i < from; i++)
        if (since_ms <= all[i]->timestamp_ms)
            since_ms = history_after_ms(all[i]->timestamp_ms);
    for (uint32_t i = from; i < count; i++)
        all[i - from] = message_ref(all[i]);
    return state_list_new(view->hub, all, count - from, since_ms, true);
}

static bool list_serves(const struct state_list *list, int64_t oldest_ms)
{
    return list->oldest_ms >= oldest_ms &&
           (list->holders > 0 ||
            list->message_bytes + list->own_bytes <= state_list_room(list->hub));
}

struct state_list *view_list(struct view *view, struct bytes scope, struct bytes name,
                             int64_t oldest_ms)
{
    struct hub *hub = view->hub;
    struct room_key key;
    bool is_room = make_room_key(scope, name, &key);
    struct view_room *room = is_room ? find_view_room(view, &key) : NULL;
    struct state_list *list = room ? room->list : NULL;
    assert(is_room && !view->loading && !view->retired);
    if (list && list_serves(list, oldest_ms)) {
        state_list_hold(list);
        return list;
    }
    if (list)
        state_list_forget(list);
    if (room && !expire_room(view, room, oldest_ms))
        room = NULL;
    size_t most = state_list_room(hub);
    list = room ? make_list(view, room, most) : state_list_new(hub, NULL, 0, INT64_MIN, true);
    state_list_hold(list);
    /* What was cut off for what others hold now is not for those who come later. */
    if (room && (list->count == room->count || most == hub->config.history.buffered / STATE_SHARE))
        state_list_keep(list, &room->list);
    state_list_make_room(hub);
    return list;
}
