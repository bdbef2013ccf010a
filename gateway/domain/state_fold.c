/* A hash table whose elements are also in the order of their adding, as uthash keeps them: an item
 * that changes leaves it and comes in again at the end. */
#include "state_fold.h"

#include <stdlib.h>

#include "hub_state.h"
#include "mem.h"
#include "narrow.h"

struct state_item {
    struct message *message; /* a reference */
    UT_hash_handle hh;
    uint32_t key_size;
    uint8_t key[];
};

static struct state_item *find_item(const struct state_fold *fold, struct bytes key, unsigned hash)
{
    struct state_item *item;
    HASH_FIND_BYHASHVALUE(hh, fold->items, key.data, key.size, hash, item);
    return item;
}

/* Its reference is the caller's. */
static struct message *take_item(struct state_fold *fold, struct state_item *item)
{
    struct message *message = item->message;
    assert(fold->count > 0 && message);
    HASH_DELETE(hh, fold->items, item);
    fold->count--;
    free(item);
    assert(!fold->items == (fold->count == 0));
    return message;
}

struct message *state_fold_remove(struct state_fold *fold, const struct hub *hub, struct bytes key)
{
    struct state_item *item = find_item(fold, key, hub_hash(hub, key.data, key.size));
    return item ? take_item(fold, item) : NULL;
}

struct message *state_fold_put(struct state_fold *fold, const struct hub *hub, struct bytes key,
                               struct message *message)
{
    unsigned hash = hub_hash(hub, key.data, key.size);
    struct state_item *item = find_item(fold, key, hash);
    struct message *before = item ? take_item(fold, item) : NULL;
    assert(key.size > 0 && (!before || before->offset < message->offset));
    item = mem_alloc(sizeof(*item) + key.size);
    item->message = message_ref(message);
    item->key_size = narrow_32(key.size);
    memcpy(item->key, key.data, key.size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, fold->items, item->key, item->key_size, hash, item);
    fold->count++;
    return before;
}

struct message *state_fold_take_oldest(struct state_fold *fold)
{
    return fold->items ? take_item(fold, fold->items) : NULL;
}
