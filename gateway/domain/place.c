#include "hub_state.h"
#include "narrow.h"

/* From each state, to which. Whoever is live falls behind before it reads back. */
static const bool allowed[][LANE_SCANNING + 1] = {
    [LANE_OPENING] =
        {[LANE_OPENING] = true, [LANE_LIVE] = true, [LANE_BEHIND] = true, [LANE_SCANNING] = true},
    [LANE_LIVE] = {[LANE_OPENING] = true, [LANE_LIVE] = true, [LANE_BEHIND] = true},
    [LANE_BEHIND] =
        {[LANE_OPENING] = true, [LANE_LIVE] = true, [LANE_BEHIND] = true, [LANE_SCANNING] = true},
    [LANE_SCANNING] =
        {[LANE_OPENING] = true, [LANE_LIVE] = true, [LANE_BEHIND] = true, [LANE_SCANNING] = true},
};

void place_move(struct session_lane *place, enum lane_state state)
{
    struct scan *scan = &place->lane->scan;
    assert(place->state <= LANE_SCANNING && allowed[place->state][state]);
    assert(!place->doubtful || place->state == LANE_OPENING);
    if (place->state == state)
        return;
    if (place->state == LANE_SCANNING) {
        scan_leave(place);
        DL_DELETE2(scan->places, place, list_prev, list_next);
    }
    place->state = narrow_8(state);
    place->full = false;
    if (state == LANE_SCANNING)
        DL_APPEND2(scan->places, place, list_prev, list_next);
}
