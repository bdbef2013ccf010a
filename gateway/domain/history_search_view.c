/* A state that is taken of the lane's view: where view, lane and session are at one place, the list
 * is ready there and then. What a search waits for until then is told to history_search.c, which
 * alone moves it. */
#include "history_search_private.h"
#include "hub_state.h"
#include "lane.h"

/* It may have waited long since it was asked for, and nothing that is looked at from now on is known
 * from before. */
int64_t search_wall_ms(const struct history_search *search)
{
    assert(search->hub->now_ms >= search->began_ms);
    return search->asked_ms + (search->hub->now_ms - search->began_ms);
}

static int64_t oldest_shown_ms(const struct history_search *search)
{
    int64_t retention_ms = search->hub->config.state.retention_ms;
    return retention_ms < search->asked_ms ? search->asked_ms - retention_ms : INT64_MIN;
}

/* What a log holds from its beginning is all there is, and says so: it is read back if that is not
 * far. */
static bool is_short(const struct lane *lane)
{
    return lane->first == 0 &&
           lane_bytes_of(lane, lane->position) <= lane->hub->config.state.lane_bytes;
}

static void take_list(struct history_search *search)
{
    struct lane *lane = search->lane;
    struct view *view = lane->view.view;
    int64_t oldest_ms = oldest_shown_ms(search);
    history_clear(search->history); /* it was collected before there was a view, not far enough */
    struct state_list *list =
        view_list(view, room_scope_of(search->room), room_name_of(search->room), oldest_ms);
    int64_t since_ms = view->since_ms > list->since_ms ? view->since_ms : list->since_ms;
    bool complete = since_ms <= oldest_ms;
    assert(place_reach(search->pending->place) == lane->position);
    lane->hub->stats.states_of_views++;
    history_set_list(search->history, list, place_reached(search->pending->place), complete,
                     complete ? INT64_MIN : since_ms);
}

bool search_of_view(struct history_search *search, enum search_state *state, size_t *looks)
{
    struct lane *lane = search->lane;
    const struct place *place = search->pending->place;
    if (!search->history->is_state || search->begun || is_short(lane))
        return false;
    enum status status = views_want(lane, oldest_shown_ms(search), search_wall_ms(search));
    if (status == STATUS_NOT_FOUND)
        return false;
    if (status != STATUS_OK) {
        *state = SEARCH_VIEW;
    } else if (place_reach(place) > lane->position) {
        *state = SEARCH_AHEAD;
    } else if (place->state != PLACE_LIVE) {
        *state = SEARCH_BEHIND;
    } else {
        uint64_t lists = lane->hub->stats.state_lists;
        *state = SEARCH_READY;
        take_list(search);
        search_spend(looks, lists == lane->hub->stats.state_lists
                                ? LOOKS_TO_DECODE
                                : LOOKS_TO_DECODE * (size_t)(1 + lane->hub->config.state.items));
    }
    return true;
}
