/* Searches that read along with their lane's scan: who does, from where, and what a record of the
 * scan is to each. */
#include "history_search_private.h"

#include <stdlib.h>

#include "hub_state.h"
#include "lane.h"
#include "mem.h"
#include "narrow.h"

static int searches_by_next(const void *a, const void *b)
{
    const struct history_search *const *left = a, *const *right = b;
    return ((*left)->next > (*right)->next) - ((*left)->next < (*right)->next);
}

/* Those that have not seen their first record, by where they begin. */
static void expect_firsts(struct lane *lane, size_t count)
{
    struct history_searches *searches = &lane->searches;
    struct history_search *search;
    assert(!searches->firsts && searches->first_count == 0);
    if (count == 0)
        return;
    searches->firsts = mem_resize(NULL, count, sizeof(struct history_search *));
    DL_FOREACH2(lane->searches.all, search, lane_next)
        if (search->reading && !search->first_seen)
            searches->firsts[searches->first_count++] = search;
    assert(searches->first_count == count);
    qsort(searches->firsts, count, sizeof(struct history_search *), searches_by_next);
    for (size_t i = 0; i < count; i++)
        searches->firsts[i]->first_index = narrow_32(i);
}

int64_t history_search_gather(struct lane *lane)
{
    assert(!lane->scan.running && lane->searches.readers == 0);
    struct history_search *search;
    int64_t from = INT64_MAX;
    size_t firsts = 0;
    DL_FOREACH2(lane->searches.all, search, lane_next) {
        lane->hub->stats.steps++;
        if (search->state != SEARCH_SCAN)
            continue;
        if (search->next >= lane->ring.from) { /* the ring has grown backwards */
            search_move(search, SEARCH_READY);
            continue;
        }
        search->reading = true;
        lane->searches.readers++;
        firsts += !search->first_seen;
        if (search->next < from)
            from = search->next;
    }
    expect_firsts(lane, firsts);
    return from;
}

static void look_at_firsts(struct lane *lane, const struct message *message)
{
    struct history_searches *searches = &lane->searches;
    for (; searches->first_at < searches->first_count; searches->first_at++) {
        struct history_search *search = searches->firsts[searches->first_at];
        if (search && search->next > message->offset)
            break;
        lane->hub->stats.steps++;
        if (search)
            search_look_at_first(search, message);
    }
}

static void search_offer(struct history_search *search, struct message *message)
{
    const struct lane *lane = search->lane;
    int64_t until = place_reach(search->pending->place);
    /* Where the history ends is the record before this one, whose check the cursor then names. */
    struct position end = lane->scan.last; /* of the record before this one */
    if (!search->reading || message->offset < search->next)
        return;
    if (message->offset < until) {
        search_keep(search, message);
        search->next = message->offset + 1;
        return;
    }
    search_leave_scan(search); /* it is whole, or looks further back */
    search_move(search, SEARCH_READY);
    search->next = until;
    if (end.next == 0 || end.next > until)
        end = (struct position){.next = until};
    if (!search_look_further(search))
        search_finish(search, end);
}

void history_search_scanned(struct lane *lane, struct message *message)
{
    look_at_firsts(lane, message);
    if (!lane->searches.all)
        return;
    for (unsigned i = 0; i < message->room_count; i++)
        for (struct room *room = room_find(lane, message->room_hashes[i]); room;
             room = room->same_hash) {
            struct history_search *search, *next;
            /* Only rooms whose past is looked for cost a look at the message. */
            if (!room->searches)
                continue;
            if (!message_names_room(message, room_scope_of(room), room_name_of(room)))
                continue;
            DL_FOREACH_SAFE2(room->searches, search, next, room_next)
                search_offer(search, message);
        }
}

void history_search_scan_over(struct lane *lane, bool useless)
{
    assert(lane->scan.running);
    struct history_search *search;
    DL_FOREACH2(lane->searches.all, search, lane_next) {
        lane->hub->stats.steps++;
        if (search->state != SEARCH_SCAN)
            continue;
        if (search->reading && search->next < lane->scan.next)
            search->next = lane->scan.next;
        /* One that ends where its session has stopped reading may be whole long before: it did not
         * read too much, and would read the same again, for ever. */
        if (search->reading && useless && search->next < place_reach(search->pending->place)) {
            search->shrinks = true;
            search->span /= NEXT_STEP;
            search->begun = false;
        }
        search_leave_scan(search);
        search_move(search, SEARCH_READY);
    }
    assert(lane->searches.readers == 0);
    free(lane->searches.firsts);
    lane->searches.firsts = NULL;
    lane->searches.first_count = lane->searches.first_at = 0;
}
