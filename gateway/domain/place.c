#include "hub_state.h"
#include "narrow.h"

/* From each state, to which. Whoever is live falls behind before it reads back. */
static const bool allowed[][PLACE_SCANNING + 1] = {
    [PLACE_OPENING] = {[PLACE_OPENING] = true,
                       [PLACE_LIVE] = true,
                       [PLACE_BEHIND] = true,
                       [PLACE_SCANNING] = true},
    [PLACE_LIVE] = {[PLACE_OPENING] = true, [PLACE_LIVE] = true, [PLACE_BEHIND] = true},
    [PLACE_BEHIND] = {[PLACE_OPENING] = true,
                      [PLACE_LIVE] = true,
                      [PLACE_BEHIND] = true,
                      [PLACE_SCANNING] = true},
    [PLACE_SCANNING] = {[PLACE_OPENING] = true,
                        [PLACE_LIVE] = true,
                        [PLACE_BEHIND] = true,
                        [PLACE_SCANNING] = true},
};

void place_move(struct place *place, enum place_state state)
{
    struct lane_scan *scan = &place->lane->scan;
    assert(place->state <= PLACE_SCANNING && allowed[place->state][state]);
    assert(!place->doubtful || place->state == PLACE_OPENING);
    if (place->state == state)
        return;
    if (place->state == PLACE_SCANNING) {
        scan_leave(place);
        DL_DELETE2(scan->places, place, list_prev, list_next);
    }
    place->state = narrow_8(state);
    place->full = false;
    if (state == PLACE_SCANNING)
        DL_APPEND2(scan->places, place, list_prev, list_next);
}
