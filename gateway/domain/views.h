/* The views of lanes (view.h): when one is loaded, of what, and how long it is there. It is loaded
 * when somebody asks for the state of a room of the lane (state_load.h says how), follows the lane
 * from then on, and goes when nobody has asked for long.
 *
 * A lane has none if there is no state topic for it, or if it does not fit: then it is looked for
 * again after a while, and meanwhile a state is what can be read back of the lane
 * (history_search.h). What fails is loaded anew.
 *
 * Not here: who waits for a view, and gets of it. */
#ifndef GATEWAY_DOMAIN_VIEWS_H
#define GATEWAY_DOMAIN_VIEWS_H

#include "lane_source.h"
#include "state_load.h"
#include "view.h"

struct message;

/* A lane's. Zeroed: none. Read by anyone, written by views.c. */
struct lane_view {
    struct view *view; /* NULL: none */
    struct state_load load;
    bool reads;        /* the source reads the state topic, or is asked where it ends */
    bool listed;       /* in hub->views.all */
    int64_t asked_ms;  /* when somebody wanted it last */
    int64_t wall_ms;   /* the same, wall clock */
    int64_t oldest_ms; /* what is older is not shown; wall clock */
    int64_t due_ms;    /* loaded anew, or asked again, then; INT64_MAX: it is not waited for */
    int64_t none_until_ms;
    struct lane *prev, *next; /* in hub->views.all */
};

/* Of all lanes. */
struct views {
    struct lane *all;     /* DL list: those with a view, not asked for longest first */
    unsigned due;         /* so many of them have a due_ms */
    struct view *retired; /* to be freed in steps */
    uint32_t last_id;
};

/* Somebody wants it, of what has changed since `oldest_ms`, wall clock; the lane is open. STATUS_OK:
 * it is exact at the lane's position. STATUS_INCOMPLETE: it is being loaded. STATUS_NOT_FOUND: the
 * lane has none now. */
enum status views_want(struct lane *lane, int64_t oldest_ms, int64_t wall_ms) MUST_CHECK;

/* The lane has a record more, or a position. These all tell whether who waits for the view is to be
 * asked again: it is exact, or there will be none. */
bool views_record(struct lane *lane, struct message *message, bool about_item);
bool views_position(struct lane *lane);

/* What the source answers; hub.h. */
bool views_ends(struct lane *lane, const struct state_ends *ends);
bool views_kept_record(struct lane *lane, const struct lane_record *record);
bool views_kept_read(struct lane *lane, enum status status);

/* The lane is broken, or goes. */
void views_forget(struct lane *lane);

/* What is due by time, and memory that is given back, a part of it in each turn. */
void views_run(struct hub *hub);
int64_t views_deadline_ms(const struct hub *hub);
/* All that is retired is freed: at the end. */
void views_deinit(struct hub *hub);

#endif
