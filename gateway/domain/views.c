/* What state_load.h says, done with a source. One question or one reading of a lane is under way at
 * most; what fails begins again from nothing, a little later.
 *
 * Nobody's turn is long: records come as the source hands them over, and a view that goes is freed
 * a part in each turn. */
#include "views.h"

#include "hub_state.h"

enum {
    RETRY_MS = 500,
    NONE_MS = 60000, /* a topic that is not there, or a view that does not fit: for so long */
    FREES_A_TURN = 4096,
};

static void set_due(struct lane *lane, int64_t due_ms)
{
    struct lane_view *state = &lane->view;
    lane->hub->views.due -= state->due_ms != INT64_MAX;
    lane->hub->views.due += due_ms != INT64_MAX;
    state->due_ms = due_ms;
}

/* --- its life --------------------------------------------------------------------------------- */

static void retire(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct lane_view *state = &lane->view;
    if (!state->view)
        return;
    if (state->reads)
        hub->source_ops->state_cancel(hub->source, lane);
    state->reads = false;
    view_retire(state->view);
    LL_PREPEND(hub->views.retired, state->view);
    state->view = NULL;
    state_load_stop(&state->load);
}

static void ask_for_ends(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct lane_view *state = &lane->view;
    assert(!state->reads && (state->load.phase == STATE_LOAD_ASKS_KEPT ||
                             state->load.phase == STATE_LOAD_ASKS_LANE));
    state->reads = true;
    hub->source_ops->state_ends(hub->source, lane, state->load.phase == STATE_LOAD_ASKS_LANE,
                                state->load.question);
}

static void begin_load(struct lane *lane, int64_t wall_ms)
{
    struct lane_view *state = &lane->view;
    assert(lane->open && !state->view);
    state->view = view_new(lane->hub, ++lane->hub->views.last_id, wall_ms);
    state_load_begin(&state->load, lane->position);
    lane->hub->stats.view_loads++;
    ask_for_ends(lane);
}

/* What was folded may have a hole. */
static void begin_later(struct lane *lane, int64_t in_ms)
{
    retire(lane);
    lane->hub->stats.views_failed++;
    set_due(lane, lane->hub->now_ms + in_ms);
}

static void unlist(struct lane *lane)
{
    struct hub *hub = lane->hub;
    if (!lane->view.listed)
        return;
    lane->view.listed = false;
    set_due(lane, INT64_MAX);
    DL_DELETE2(hub->views.all, lane, view.prev, view.next);
    hub->stats.views--;
}

void views_forget(struct lane *lane)
{
    retire(lane);
    unlist(lane);
}

/* For a while there is none. */
static void give_up(struct lane *lane)
{
    views_forget(lane);
    lane->view.none_until_ms = lane->hub->now_ms + NONE_MS;
}

enum status views_want(struct lane *lane, int64_t oldest_ms, int64_t wall_ms)
{
    struct hub *hub = lane->hub;
    struct lane_view *state = &lane->view;
    assert(lane->open);
    if (hub->config.state.bytes == 0 || hub->now_ms < state->none_until_ms)
        return STATUS_NOT_FOUND;
    if (state->listed) {
        DL_DELETE2(hub->views.all, lane, view.prev, view.next);
    } else {
        state->listed = true;
        state->due_ms = INT64_MAX;
        hub->stats.views++;
    }
    DL_APPEND2(hub->views.all, lane, view.prev, view.next);
    state->asked_ms = hub->now_ms;
    state->wall_ms = wall_ms;
    state->oldest_ms = oldest_ms;
    if (!state->view && state->due_ms == INT64_MAX)
        begin_load(lane, wall_ms);
    if (state->load.phase != STATE_LOAD_EXACT)
        return STATUS_INCOMPLETE;
    view_expire(state->view, oldest_ms);
    return STATUS_OK;
}

/* --- what comes ------------------------------------------------------------------------------- */

static void load_on(struct lane *lane)
{
    struct hub *hub = lane->hub;
    struct lane_view *state = &lane->view;
    assert(!state->reads);
    if (state->load.phase == STATE_LOAD_READS_KEPT) {
        state->reads = true;
        hub->source_ops->state_read(hub->source, lane, state->load.kept_position,
                                    state->load.kept_end);
    } else if (state->load.phase == STATE_LOAD_ASKS_LANE) {
        view_set_loaded(state->view);
        ask_for_ends(lane);
    }
}

/* All of the lane up to its position has been folded. True: it is exact now, and was not. */
static bool follow_lane(struct lane *lane)
{
    struct state_load *load = &lane->view.load;
    bool was_exact = load->phase == STATE_LOAD_EXACT;
    if (load->phase != STATE_LOAD_FOLLOWS && !was_exact)
        return false;
    state_load_lane_read(load, lane->position);
    return load->phase == STATE_LOAD_EXACT && !was_exact;
}

bool views_ends(struct lane *lane, const struct state_ends *ends)
{
    struct lane_view *state = &lane->view;
    struct state_load *load = &state->load;
    if (!state->view || !state->reads || ends->question != load->question)
        return false;
    state->reads = false;
    if (ends->status == STATUS_UNAVAILABLE) {
        set_due(lane, lane->hub->now_ms + RETRY_MS); /* the same question */
        return false;
    }
    if (ends->status != STATUS_OK) {
        give_up(lane);
        return true;
    }
    bool of_lane = load->phase == STATE_LOAD_ASKS_LANE;
    bool taken = of_lane ? state_load_lane_end(load, ends->question, ends->end)
                         : state_load_kept_ends(load, ends->question, ends->first, ends->end);
    assert(taken);
    (void)taken;
    load_on(lane);
    return of_lane && (load->phase == STATE_LOAD_EXACT || follow_lane(lane));
}

/* Lists that it keeps for the next one give way first. */
static bool view_fits(struct lane *lane)
{
    struct hub *hub = lane->hub;
    if (hub->stats.view_bytes <= hub->config.state.bytes)
        return true;
    state_list_make_room(hub);
    if (hub->stats.view_bytes <= hub->config.state.bytes)
        return true;
    hub->stats.views_too_large++;
    give_up(lane);
    return false;
}

bool views_kept_record(struct lane *lane, const struct lane_record *record)
{
    struct hub *hub = lane->hub;
    struct lane_view *state = &lane->view;
    const struct state_load *load = &state->load;
    struct lane_record read = *record;
    if (!state->view || load->phase != STATE_LOAD_READS_KEPT ||
        record->offset < load->kept_position || record->offset >= load->kept_end)
        return false;
    /* That all was read says views_kept_read(). */
    if (record->offset + 1 < load->kept_end)
        state_load_kept_read(&state->load, record->offset + 1);
    if (record->layout && record->layout != layout_revision(hub->config.layout)) {
        view_cut_kept(state->view, record->offset, record->timestamp_ms);
        return false;
    }
    if (!notification_state_scope(record->key, &read.key)) {
        hub->stats.records_faulty[RECORD_BAD_KEY]++;
        return false;
    }
    struct message *message =
        message_new(lane->id, &read, LANE_SCOPE_KEY, hub->config.rooms_per_record);
    if (!message->fault)
        view_fold_kept(state->view, message, state->oldest_ms);
    hub->stats.records_faulty[message->fault] += message->fault != RECORD_SOUND;
    message_unref(message);
    return !view_fits(lane);
}

bool views_kept_read(struct lane *lane, enum status status)
{
    struct lane_view *state = &lane->view;
    if (!state->view || !state->reads || state->load.phase != STATE_LOAD_READS_KEPT)
        return false;
    state->reads = false;
    if (status != STATUS_OK) {
        begin_later(lane, status == STATUS_EXPIRED ? 0 : RETRY_MS);
        return false;
    }
    state_load_kept_read(&state->load, state->load.kept_end);
    load_on(lane);
    return false;
}

bool views_record(struct lane *lane, struct message *message, bool about_item)
{
    if (!lane->view.view || !about_item || message->fault)
        return false;
    view_fold_lane(lane->view.view, message);
    return !view_fits(lane);
}

bool views_position(struct lane *lane)
{
    return follow_lane(lane);
}

/* --- time ------------------------------------------------------------------------------------- */

/* Who waits for a view gives up sooner. */
static int64_t idle_ms(const struct hub *hub)
{
    const struct hub_config *config = &hub->config;
    return config->state.idle_ms > config->open_timeout_ms ? config->state.idle_ms
                                                           : config->open_timeout_ms;
}

static void expire_idle(struct hub *hub)
{
    struct lane *lane;
    while ((lane = hub->views.all) && hub->now_ms - lane->view.asked_ms > idle_ms(hub))
        views_forget(lane);
}

static void do_due(struct hub *hub)
{
    struct lane *lane;
    DL_FOREACH2(hub->views.all, lane, view.next) {
        if (hub->views.due == 0)
            return;
        hub->stats.steps++;
        if (lane->view.due_ms > hub->now_ms)
            continue;
        set_due(lane, INT64_MAX);
        if (lane->view.view)
            ask_for_ends(lane);
        else
            begin_load(lane, lane->view.wall_ms + (hub->now_ms - lane->view.asked_ms));
    }
}

void views_run(struct hub *hub)
{
    expire_idle(hub);
    do_due(hub);
    for (unsigned i = 0; i < FREES_A_TURN && hub->views.retired; i++) {
        struct view *view = hub->views.retired, *next = view->next;
        if (!view_free_one(view))
            hub->views.retired = next;
    }
}

int64_t views_deadline_ms(const struct hub *hub)
{
    const struct lane *lane;
    int64_t deadline = INT64_MAX;
    if (hub->views.retired)
        return hub->now_ms;
    if (hub->views.all)
        deadline = hub->views.all->view.asked_ms + idle_ms(hub) + 1;
    if (hub->views.due)
        DL_FOREACH2(hub->views.all, lane, view.next)
            if (lane->view.due_ms < deadline)
                deadline = lane->view.due_ms;
    return deadline;
}

void views_deinit(struct hub *hub)
{
    assert(!hub->views.all && hub->views.due == 0);
    while (hub->views.retired) {
        struct view *view = hub->views.retired;
        hub->views.retired = view->next;
        while (view_free_one(view))
            ;
    }
    assert(!hub->state_lists);
}
