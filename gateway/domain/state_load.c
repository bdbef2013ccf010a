/* Each phase has one question or one log, and each call is of one phase. */
#include "state_load.h"

#include <assert.h>

static void ask(struct state_load *load, enum state_load_phase phase)
{
    assert(phase == STATE_LOAD_ASKS_KEPT || phase == STATE_LOAD_ASKS_LANE);
    load->phase = phase;
    load->question++;
}

/* The number goes on: an answer to a question of an earlier load is still refused. */
void state_load_begin(struct state_load *load, int64_t lane_position)
{
    assert(lane_position >= 0);
    *load = (struct state_load){.question = load->question, .lane_position = lane_position};
    ask(load, STATE_LOAD_ASKS_KEPT);
}

void state_load_stop(struct state_load *load)
{
    *load = (struct state_load){.question = load->question};
}

static void reach_kept(struct state_load *load)
{
    if (load->kept_position >= load->kept_end)
        ask(load, STATE_LOAD_ASKS_LANE);
}

/* A topic that was emptied begins where it ends. */
bool state_load_kept_ends(struct state_load *load, unsigned question, int64_t first, int64_t end)
{
    if (load->phase != STATE_LOAD_ASKS_KEPT || question != load->question)
        return false;
    load->phase = STATE_LOAD_READS_KEPT;
    load->kept_position = first;
    load->kept_end = end;
    reach_kept(load);
    return true;
}

void state_load_kept_read(struct state_load *load, int64_t position)
{
    assert(load->phase == STATE_LOAD_READS_KEPT && load->kept_position < load->kept_end);
    if (position > load->kept_position)
        load->kept_position = position;
    reach_kept(load);
}

static void reach_lane(struct state_load *load)
{
    if (load->lane_position >= load->lane_end)
        load->phase = STATE_LOAD_EXACT;
}

bool state_load_lane_end(struct state_load *load, unsigned question, int64_t end)
{
    if (load->phase != STATE_LOAD_ASKS_LANE || question != load->question)
        return false;
    load->phase = STATE_LOAD_FOLLOWS;
    load->lane_end = end;
    reach_lane(load);
    return true;
}

void state_load_lane_read(struct state_load *load, int64_t position)
{
    assert(load->phase == STATE_LOAD_FOLLOWS || load->phase == STATE_LOAD_EXACT);
    assert(position >= load->lane_position);
    load->lane_position = position;
    reach_lane(load);
}
